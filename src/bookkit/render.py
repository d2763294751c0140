"""Renders the output of ``verify`` as a box: what was claimed, how it came out, and what was measured.

The output's text is one line; what the box shows beside it travels in the output's metadata under ``dlopt``.
"""

from __future__ import annotations

from typing import Any, ClassVar

from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer

from bookkit.elements import element, link_to, prose, value, verdict_mark


class ClaimRenderer:
    """Plugin of MyST-NB: takes outputs that carry a claim, and leaves all others alone."""

    mime_priority_overrides: ClassVar[list] = []

    @staticmethod
    def handle_mime(renderer: NbElementRenderer, data: MimeData, inline: bool) -> list[nodes.Element] | None:
        record = data.output_metadata.get("dlopt")
        if inline or data.mime_type != "text/plain" or not record:
            return None
        document = renderer.renderer.document
        environment = renderer.renderer.sphinx_env
        anchor = f"claim-{record['id']}"
        permalink = nodes.reference("", record["id"], internal=True, refid=anchor, classes=["claim-id"])
        permalink["reftitle"] = "Permanent link to this claim"
        box = claim_box(record, permalink, environment.docname if environment else "")
        box["ids"], box["names"] = [anchor], [anchor]
        document.note_explicit_target(box, box)
        return [box]


def claim_box(record: dict[str, Any], link: nodes.Node, docname: str) -> nodes.Element:
    """The box of one claim for the page ``docname``; ``link`` shows the claim's id and leads to its cell."""
    name, verdict = record["id"], record["verdict"]
    to_row = link_to(f"row-{name}", docname, "in the ledger", classes=["claim-row"])
    box = element(
        "div",
        element("p", verdict_mark(verdict), link, to_row, classes=["claim-head"]),
        element("p", *prose(record["relation"]), classes=["claim-relation"]),
        classes=["claim", f"claim--{verdict}"],
        role="group",
        aria_label=f"Claim {name}",
    )
    if record.get("as_stated") is False:
        box += _fact("As the survey states it", [nodes.Text("fails")], "claim-as-stated")
    for wrong in record.get("control") or {}:
        box += _fact("Control", [*prose(wrong), nodes.Text(": fails, as it must")], "claim-control")
    if measured := record.get("measured"):
        box += measured_list(measured)
    return box


def _fact(label: str, content: list[nodes.Node], kind: str) -> nodes.Element:
    return element(
        "p", element("span", label, classes=["claim-label"]), " ", *content, classes=["claim-fact", kind]
    )


def measured_list(measured: dict[str, float | int | str]) -> nodes.Element:
    """Names and values of what was measured."""
    pairs = [
        element("div", element("dt", *prose(name)), element("dd", *value(number)))
        for name, number in measured.items()
    ]
    return element("dl", *pairs, classes=["measured"])
