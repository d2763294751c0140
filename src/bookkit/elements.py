"""Building blocks of generated pages: HTML elements as document nodes, verdict marks, numbers, text with formulas."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

VERDICTS = {
    "reproduced": ("reproduced", "a cell checks it, and it holds"),
    "partly": ("partly reproduced", "it holds in part, or under a condition that the survey does not state"),
    "not-reproduced": ("not reproduced", "our check of it did not show it"),
    "fails-as-stated": (
        "fails as stated",
        "as printed it is wrong; a cell shows that, and shows the correction",
    ),
    "illustrated": ("illustrated", "no computation can decide it; the nearest experiment is shown"),
    "quoted": ("quoted", "a number that we cannot check, given with its provenance"),
    "planned": ("planned", "no cell of this book decides it yet"),
}
"""Verdict -> the words for it on a page, and what it means."""


class HtmlBlock(nodes.General, nodes.Element):
    """One HTML element that holds other elements; other output formats show only what is in it."""


class HtmlText(nodes.General, nodes.TextElement):
    """One HTML element that holds text and links; other output formats show only what is in it."""


_TEXT = (
    "p",
    "span",
    "strong",
    "td",
    "th",
    "dt",
    "dd",
    "li",
    "label",
    "option",
    "button",
    "h2",
    "h3",
    "output",
)


def element(
    tag: str,
    *children: nodes.Node | str,
    classes: Iterable[str] = (),
    ids: Iterable[str] = (),
    **attributes: str,
) -> nodes.Element:
    """An HTML element with ``children``; ``aria_label="…"`` becomes ``aria-label="…"``."""
    kind = HtmlText if tag in _TEXT else HtmlBlock
    node = kind("", classes=list(classes), ids=list(ids))
    node["tag"] = tag
    node["html"] = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    node.extend(nodes.Text(child) if isinstance(child, str) else child for child in children)
    return node


_VOID = ("input",)


def _visit_html(translator, node: nodes.Element) -> None:
    translator.body.append(translator.starttag(node, node["tag"], "", **node["html"]))


def _depart_html(translator, node: nodes.Element) -> None:
    if node["tag"] not in _VOID:
        translator.body.append(f"</{node['tag']}>")


def _nothing(translator, node: nodes.Element) -> None:
    pass


def setup(app: Sphinx) -> None:
    html, plain = (_visit_html, _depart_html), (_nothing, _nothing)
    for kind in (HtmlBlock, HtmlText):
        app.add_node(kind, html=html, latex=plain, text=plain, man=plain, texinfo=plain)


def verdict_mark(verdict: str) -> nodes.Element:
    """The verdict by word and (in the style sheet) by icon, never by color alone."""
    word, meaning = VERDICTS[verdict]
    return element("span", word, classes=["verdict", f"verdict--{verdict}"], title=meaning)


def link_to(target: str, docname: str, text: str, classes: Iterable[str] = ()) -> nodes.Node:
    """A link to an explicit target anywhere in the book; a missing one is a warning, thus an error of the build."""
    link = addnodes.pending_xref(
        "",
        nodes.inline("", text),
        refdomain="std",
        reftype="ref",
        refexplicit=True,
        reftarget=target,
        refdoc=docname,
        refwarn=True,
    )
    return element("span", link, classes=classes)


def link_to_page(page: str, docname: str, text: str) -> nodes.Node:
    """A link to a page by its document name from the root, e.g. ``book/ledger``."""
    return addnodes.pending_xref(
        "",
        nodes.inline("", text),
        refdomain="std",
        reftype="doc",
        refexplicit=True,
        reftarget=f"/{page}",
        refdoc=docname,
        refwarn=True,
    )


_MARKED = re.compile(r"\$(?P<math>[^$]+)\$|`(?P<code>[^`]+)`")


def prose(text: str) -> list[nodes.Node]:
    """``text`` with its ``$formulas$`` and `code` as nodes; everything else stays as it is written."""
    found: list[nodes.Node] = []
    end = 0
    for match in _MARKED.finditer(text):
        if match.start() > end:
            found.append(nodes.Text(text[end : match.start()]))
        if match["math"]:
            found.append(nodes.math("", match["math"]))
        else:
            found.append(nodes.literal("", match["code"]))
        end = match.end()
    if end < len(text):
        found.append(nodes.Text(text[end:]))
    return found


_WORDS = {"inf": "∞", "-inf": "−∞", "nan": "not a number"}
_THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"


def value(measured: float | int | str) -> list[nodes.Node]:
    """A measured value for a reader: whole numbers whole, others to four digits, text as it is."""
    if isinstance(measured, str):
        return [nodes.Text(_WORDS.get(measured, measured))]
    if isinstance(measured, bool) or measured is None:
        return [nodes.Text(str(measured))]
    if isinstance(measured, int):
        return [nodes.Text(_grouped(measured))]
    if not math.isfinite(measured):
        return [nodes.Text(_WORDS[str(measured)])]
    if measured == 0:
        return [nodes.Text("0")]
    if 1e-3 <= abs(measured) < 1e3:
        return [nodes.Text(_signed(f"{measured:.4g}"))]
    if 1e3 <= abs(measured) < 1e6:
        return [nodes.Text(_grouped(round(measured)))]
    mantissa, exponent = f"{measured:.2e}".split("e")
    power = nodes.superscript("", _signed(str(int(exponent))))
    return [nodes.Text(f"{_signed(mantissa)} × 10"), power]


def _grouped(number: int) -> str:
    return _signed(f"{number:,}".replace(",", _THIN_SPACE) if abs(number) >= 10_000 else str(number))


def _signed(digits: str) -> str:
    return digits.replace("-", "−")
