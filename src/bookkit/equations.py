r"""Equations with the survey's numbers.

Sphinx puts a displayed formula that has line breaks or alignment marks into a ``split`` environment, and in there
no ``\tag`` is allowed.  A tagged formula is therefore passed on as it was written.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx


def keep_tagged(app: Sphinx, document: nodes.document) -> None:
    """Pass formulas that have a tag on as they are."""
    for node in document.findall(nodes.math_block):
        formula = node.astext()
        if "\\tag{" in formula and not node.get("nowrap"):
            node["nowrap"] = True
            node[:] = [nodes.Text(f"\\[{formula.strip()}\\]")]


def setup(app: Sphinx) -> None:
    app.connect("doctree-read", keep_tagged)
