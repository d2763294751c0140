"""The ledger page, and the links by which other pages refer to claims.

``{ledger}`` makes the page: totals, a filter, and one table for every section of the survey.
``{claim}`` in a line of text links to the cell that decides a claim and shows its verdict.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from bookkit.elements import VERDICTS, element, link_to, link_to_page, prose, verdict_mark
from bookkit.publication import Publication, mark_generated
from bookkit.render import claim_box, measured_list
from bookkit.survey import SECTIONS, TITLES, Section, place, section_of
from dlopt.claims import Claim

logger = logging.getLogger(__name__)

TIERS = {
    1: "core: a numbered equation or figure, or a statement that the survey argues for",
    2: "in passing: a paper or method to which the survey gives about a sentence",
    3: "recorded: beyond a small machine, or named only by the journal version",
}


def by_section(claims: Iterable[Claim]) -> list[tuple[Section, list[Claim]]]:
    """The claims of every section of the survey that has any, in its order."""
    groups: dict[Section, list[Claim]] = {section: [] for section in SECTIONS}
    for claim in claims:
        groups[section_of(claim.section)].append(claim)
    return [(section, group) for section, group in groups.items() if group]


def bar(counts: Counter[str], label: str) -> nodes.Element:
    """Verdicts as one stacked bar; ``label`` says for a screen reader what it is about."""
    shown = [(verdict, counts[verdict]) for verdict in VERDICTS if counts[verdict]]
    text = ", ".join(f"{count} {VERDICTS[verdict][0]}" for verdict, count in shown)
    pieces = [
        element("span", classes=["bar-piece", f"verdict--{verdict}"], style=f"flex-grow: {count}")
        for verdict, count in shown
    ]
    return element("div", *pieces, classes=["bar"], role="img", aria_label=f"{label}: {text}")


def count_verdicts(publication: Publication, claims: Iterable[Claim]) -> Counter[str]:
    return Counter(publication.verdict(claim) for claim in claims)


def legend(counts: Counter[str]) -> nodes.Element:
    """Every verdict with its number and its meaning."""
    rows = [
        element(
            "div",
            element("dt", verdict_mark(verdict), element("span", str(counts[verdict]), classes=["count"])),
            element("dd", meaning),
        )
        for verdict, (_, meaning) in VERDICTS.items()
    ]
    return element("dl", *rows, classes=["legend"])


class GeneratedDirective(SphinxDirective):
    """A directive whose content comes from the publication."""

    @property
    def publication(self) -> Publication:
        return mark_generated(self.env)


class LedgerDirective(GeneratedDirective):
    """``{ledger}``: the whole ledger."""

    def run(self) -> list[nodes.Node]:
        publication = self.publication
        claims = publication.claims
        counts = count_verdicts(publication, claims)
        sections = by_section(claims)
        content: list[nodes.Node] = [
            element("p", *_totals(counts, claims), classes=["ledger-totals"]),
            bar(counts, "The whole ledger"),
            legend(counts),
            _filter(sections, counts),
        ]
        content += [self._section(publication, section, group) for section, group in sections]
        content.append(
            element("p", "No claim fits all of these filters.", classes=["ledger-none"], hidden="hidden")
        )
        return content

    def _section(self, publication: Publication, section: Section, claims: list[Claim]) -> nodes.Node:
        anchor = "section-" + section.number.replace(".", "-").lower()
        title = f"{section.label} {section.title}"
        node = nodes.section(
            "", nodes.title(title, title), ids=[anchor], names=[anchor], classes=["ledger-section"]
        )
        self.state.document.note_explicit_target(node, node)
        counts = count_verdicts(publication, claims)
        node += bar(counts, title)
        head = element(
            "tr",
            *(
                element("th", text, scope="col")
                for text in ("Claim", "What the survey states", "What came out")
            ),
        )
        body = [self._row(publication, section, claim) for claim in claims]
        table = element(
            "table", element("thead", head), element("tbody", *body), classes=["ledger"], aria_label=title
        )
        node += element("div", table, classes=["ledger-frame"])
        return node

    def _row(self, publication: Publication, section: Section, claim: Claim) -> nodes.Element:
        anchor = f"row-{claim.id}"
        verdict = publication.verdict(claim)
        permalink = nodes.reference("", claim.id, internal=True, refid=anchor, classes=["claim-id"])
        permalink["reftitle"] = "Permanent link to this row"
        row = element(
            "tr",
            element("td", permalink, element("span", _where(claim), classes=["claim-where"])),
            element("td", *self._statement(publication, claim)),
            element("td", *self._outcome(publication, claim, verdict)),
            ids=[anchor],
            data_verdict=verdict,
            data_tier=str(claim.tier),
            data_section=section.number,
        )
        row["names"] = [anchor]
        self.state.document.note_explicit_target(row, row)
        return row

    def _statement(self, publication: Publication, claim: Claim) -> list[nodes.Node]:
        found: list[nodes.Node] = [element("p", *prose(claim.statement))]
        if claim.note.strip():
            found.append(element("p", *self._note(publication, claim.note), classes=["claim-note"]))
        if claim.source != "survey":
            cited, messages = self.state.inline_text(f"{{cite:t}}`{claim.source}`", self.lineno)
            found += [element("p", *cited, classes=["claim-source"]), *messages]
        return found

    def _note(self, publication: Publication, note: str) -> list[nodes.Node]:
        """The note, with numbers of errata that have an entry as links to it."""
        found: list[nodes.Node] = []
        for piece in re.split(r"\b([EJ]\d+)\b", note):
            if piece in publication.errata:
                found.append(link_to(f"erratum-{piece.lower()}", self.env.docname, f"Erratum {piece}"))
            else:
                found += prose(piece)
        return found

    def _outcome(self, publication: Publication, claim: Claim, verdict: str) -> list[nodes.Node]:
        here = self.env.docname
        if claim.id not in publication.decided:
            place = publication.chapter(claim.chapter)
            title = TITLES.get(claim.chapter, claim.chapter)
            link = link_to_page(f"book/{claim.chapter}", here, title) if place else nodes.inline("", title)
            return [verdict_mark(verdict), element("p", link, classes=["claim-chapter"])]
        chapter, check = publication.decided[claim.id]
        found = [
            verdict_mark(verdict),
            element(
                "p",
                link_to(f"claim-{claim.id}", here, f"see it in {TITLES.get(chapter.name, chapter.title)}"),
                classes=["claim-chapter"],
            ),
        ]
        if check.measured:
            found.append(measured_list(check.measured))
        return found


def _totals(counts: Counter[str], claims: list[Claim]) -> list[nodes.Node | str]:
    decided = len(claims) - counts["planned"] - counts["quoted"]
    tiers = Counter(claim.tier for claim in claims)
    return [
        element("strong", f"{decided} of {len(claims)}"),
        " claims are decided by a cell of this book; the others are quoted, or planned. ",
        "; ".join(f"{tiers[tier]} are tier {tier} ({meaning})" for tier, meaning in TIERS.items()) + ".",
    ]


def _where(claim: Claim) -> str:
    """Section, equations and tier of a claim in one short line."""
    parts = [place(claim.section)]
    parts += [f"({number})" for number in claim.equations]
    return " ".join(parts) + f" · tier {claim.tier}"


def _filter(sections: list[tuple[Section, list[Claim]]], counts: Counter[str]) -> nodes.Element:
    """The controls that ledger.js listens to; without scripts they stay hidden and the whole ledger shows."""
    verdicts = [
        (verdict, f"{VERDICTS[verdict][0]} ({counts[verdict]})") for verdict in VERDICTS if counts[verdict]
    ]
    places = [
        (section.number, f"{section.label} {section.title} ({len(group)})") for section, group in sections
    ]
    return element(
        "form",
        _field(
            "Search",
            element("input", type="search", name="text", placeholder="words, id, author", autocomplete="off"),
        ),
        _field("Verdict", _choices("verdict", verdicts)),
        _field("Section", _choices("section", places)),
        _field("Tier", _choices("tier", [(str(tier), str(tier)) for tier in TIERS])),
        element("output", classes=["ledger-count"], aria_live="polite"),
        element("button", "Show all", type="reset"),
        classes=["ledger-filter"],
        hidden="hidden",
        role="search",
        aria_label="Filter the ledger",
    )


def _field(label: str, control: nodes.Node) -> nodes.Element:
    return element("label", element("span", label), control)


def _choices(name: str, options: list[tuple[str, str]]) -> nodes.Element:
    entries = [element("option", text, value=key) for key, text in [("", "all"), *options]]
    return element("select", *entries, name=name)


def _undecided(name: str, where: str) -> None:
    """Warn, and so fail the build: a page speaks of a claim that no cell decides."""
    logger.warning("no cell decides the claim %s", name, location=where, type="bookkit", subtype="claim")


class ClaimBoxDirective(GeneratedDirective):
    """``{claim-box} ID``: a second copy of a claim's box, on another page than its cell."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name, here = self.arguments[0], self.env.docname
        if name not in self.publication.decided:
            _undecided(name, self.get_location())
            return []
        _, check = self.publication.decided[name]
        link = link_to(f"claim-{name}", here, name, classes=["claim-id"])
        return [claim_box(asdict(check), link, here)]


class ClaimRole(SphinxRole):
    """``{claim}`ID```: a link to the cell that decides the claim, with its verdict."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        publication = mark_generated(self.env)
        name = self.text.strip()
        if name in publication.decided:
            verdict, target = publication.decided[name][1].verdict, f"claim-{name}"
        else:
            verdict, target = "planned", f"row-{name}"
            _undecided(name, self.get_location())
        link = link_to(target, self.env.docname, name, classes=["claim-id"])
        return [element("span", verdict_mark(verdict), " ", link, classes=["claim-link"])], []


def setup(app: Sphinx) -> None:
    app.add_directive("ledger", LedgerDirective)
    app.add_directive("claim-box", ClaimBoxDirective)
    app.add_role("claim", ClaimRole())
