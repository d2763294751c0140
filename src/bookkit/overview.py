"""The overviews on the first page: the map of the survey and the state of the ledger."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx

from bookkit.elements import element, link_to, link_to_page
from bookkit.ledger_page import GeneratedDirective, bar, by_section, count_verdicts, legend
from bookkit.publication import Publication
from bookkit.survey import PARTS, PlannedChapter, place


class LedgerSummaryDirective(GeneratedDirective):
    """``{ledger-summary}``: how many claims of each section are decided, and how."""

    def run(self) -> list[nodes.Node]:
        publication = self.publication
        rows = []
        for section, claims in by_section(publication.claims):
            counts = count_verdicts(publication, claims)
            decided = len(claims) - counts["planned"] - counts["quoted"]
            anchor = "section-" + section.number.replace(".", "-").lower()
            label = f"{section.label} {section.title}"
            rows.append(
                element(
                    "tr",
                    element(
                        "th",
                        link_to(anchor, self.env.docname, section.label),
                        " ",
                        section.title,
                        scope="row",
                    ),
                    element("td", bar(counts, label)),
                    element("td", f"{decided} of {len(claims)}"),
                )
            )
        head = element(
            "tr",
            *(
                element("th", text, scope="col")
                for text in ("Section of the survey", "Claims by verdict", "Decided")
            ),
        )
        table = element("table", element("thead", head), element("tbody", *rows), classes=["ledger-summary"])
        total = count_verdicts(publication, publication.claims)
        return [legend(total), table]


class SurveyMapDirective(GeneratedDirective):
    """``{survey-map}``: the chapters by part; those that are not written yet look it and say so."""

    def run(self) -> list[nodes.Node]:
        publication = self.publication
        parts = []
        for part in PARTS:
            tiles = [self._tile(publication, chapter) for chapter in part.chapters]
            parts.append(element("h3", part.title, classes=["map-part"]))
            parts.append(element("ul", *tiles, classes=["map-tiles"]))
        return [element("div", *parts, classes=["survey-map"])]

    def _tile(self, publication: Publication, planned: PlannedChapter) -> nodes.Element:
        chapter = publication.chapter(planned.stem)
        where = ", ".join(place(number) for number in planned.sections)
        claims = [claim for claim in publication.claims if claim.chapter == planned.stem]
        counts = count_verdicts(publication, claims)
        decided = len(claims) - counts["planned"] - counts["quoted"]
        number = element("span", where, classes=["map-where"])
        if chapter:
            title = link_to_page(f"book/{planned.stem}", self.env.docname, planned.title)
            state = f"{decided} of {_claims(len(claims))} decided"
        else:
            title = nodes.inline("", planned.title)
            state = f"not written yet · {_claims(len(claims))}" if claims else "not written yet"
        content = [
            number,
            element("span", title, classes=["map-title"]),
            element("span", state, classes=["map-state"]),
        ]
        if claims and chapter:
            content.append(bar(counts, planned.title))
        return element(
            "li", *content, classes=["map-tile", "map-tile--there" if chapter else "map-tile--planned"]
        )


def _claims(number: int) -> str:
    return f"{number} claim" if number == 1 else f"{number} claims"


def setup(app: Sphinx) -> None:
    app.add_directive("ledger-summary", LedgerSummaryDirective)
    app.add_directive("survey-map", SurveyMapDirective)
