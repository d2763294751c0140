"""The status page: what the runs behind this very build took, with which versions, on which hardware."""

from __future__ import annotations

from datetime import datetime

from docutils import nodes
from sphinx.application import Sphinx

from bookkit.elements import element, link_to_page
from bookkit.execute import MEMORY_BUDGET_MB, SECONDS_BUDGET, Executed, over_budget
from bookkit.ledger_page import GeneratedDirective
from bookkit.publication import Publication
from bookkit.survey import TITLES


class StatusDirective(GeneratedDirective):
    """``{status}``: tables of the runs, the versions and the hardware."""

    def run(self) -> list[nodes.Node]:
        publication = self.publication
        runs = [
            publication.runs[chapter.name]
            for chapter in publication.chapters
            if chapter.name in publication.runs
        ]
        if not runs:
            return [nodes.paragraph("", "No chapter was executed for this build.")]
        return [
            self._runs(publication, runs),
            nodes.paragraph("", _summary(runs)),
            *_facts("Versions", "versions", runs),
            *_facts("Hardware", "hardware", runs),
        ]

    def _runs(self, publication: Publication, runs: list[Executed]) -> nodes.Node:
        names = ("Chapter", "Time", "Memory", "Cells", "Claims", "Finished (UTC)", "Budget")
        rows = []
        for run in runs:
            record = run.record
            decided = sum(chapter.name == run.chapter.name for chapter, _ in publication.decided.values())
            cells = [
                element(
                    "th",
                    link_to_page(
                        f"book/{run.chapter.name}",
                        self.env.docname,
                        TITLES.get(run.chapter.name, run.chapter.title),
                    ),
                    scope="row",
                ),
                element("td", f"{record['seconds']:.1f} s"),
                element("td", f"{record['memory_mb']:.0f} MB"),
                element("td", str(record["cells"])),
                element("td", str(decided)),
                element("td", f"{datetime.fromisoformat(record['finished']):%Y-%m-%d %H:%M}"),
                element("td", *_budget(run)),
            ]
            rows.append(element("tr", *cells))
        head = element("tr", *(element("th", name, scope="col") for name in names))
        table = element("table", element("thead", head), element("tbody", *rows), classes=["table", "status"])
        return element("div", table, classes=["table-frame"], tabindex="0", role="region", aria_label="Runs")


def _title(run: Executed) -> str:
    return TITLES.get(run.chapter.name, run.chapter.title)


def _budget(run: Executed) -> list[nodes.Node | str]:
    over = over_budget(run)
    words: list[nodes.Node | str] = [f"✗ {over}" if over else "✓ kept"]
    if alone := run.chapter.metadata.get("alone"):
        words.append(element("span", f"executed alone: {alone}", classes=["status-note"]))
    if (seconds := run.chapter.metadata.get("seconds", SECONDS_BUDGET)) != SECONDS_BUDGET:
        words.append(element("span", f"allowed {seconds:.0f} s", classes=["status-note"]))
    return words


def _summary(runs: list[Executed]) -> str:
    total = sum(run.record["seconds"] for run in runs)
    memory = max(run.record["memory_mb"] for run in runs)
    scales = " and ".join(sorted({run.record["scale"] for run in runs}))
    return (
        f"Together {total:.0f} s of one thread at scale “{scales}”, and {memory:.0f} MB at the peak of the largest. "
        f"The budget of a chapter is {SECONDS_BUDGET:.0f} s with another chapter running beside it, "
        f"and {MEMORY_BUDGET_MB:.0f} MB."
    )


def _facts(title: str, key: str, runs: list[Executed]) -> list[nodes.Node]:
    """A table of names and values; where the runs differ, every value."""
    found: dict[str, list[str]] = {}
    for run in runs:
        for name, value in run.record[key].items():
            if value not in found.setdefault(name, []):
                found[name].append(value)
    rows = [
        element("tr", element("th", name, scope="row"), element("td", "; ".join(values)))
        for name, values in found.items()
    ]
    return [
        element("h2", title),
        element("table", element("tbody", *rows), classes=["table", "facts"], aria_label=title),
    ]


def setup(app: Sphinx) -> None:
    app.add_directive("status", StatusDirective)
