r"""Numbers that last: the survey's for equations, and a count of their own on each page for everything else.

Sphinx puts a displayed formula that has line breaks or alignment marks into a ``split`` environment, and in there
no ``\tag`` is allowed.  A tagged formula is therefore passed on as it was written.

Sphinx counts figures, theorems and exercises through the whole book, so that a new figure in one chapter would
rename those of all later ones.  Here each page counts from 1.
"""

from __future__ import annotations

import copy

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def keep_tagged(app: Sphinx, document: nodes.document) -> None:
    """Pass formulas that have a tag on as they are."""
    for node in document.findall(nodes.math_block):
        formula = node.astext()
        if "\\tag{" in formula and not node.get("nowrap"):
            node["nowrap"] = True
            node[:] = [nodes.Text(f"\\[{formula.strip()}\\]")]


def recall(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Give Sphinx back its own numbers of the last build, or it would think that those of all pages had changed."""
    env.toc_fignumbers = getattr(env, "bookkit_numbers_of_sphinx", {})
    return []


def count_by_page(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Let the numbers of each page begin with 1; Sphinx has just assigned them.

    Where one changed since the last build, any page may refer to it, and all are written again.
    """
    env.bookkit_numbers_of_sphinx = copy.deepcopy(env.toc_fignumbers)
    for kinds in env.toc_fignumbers.values():
        for numbers in kinds.values():
            in_order = sorted(numbers, key=numbers.get)
            numbers.update({name: (number,) for number, name in enumerate(in_order, start=1)})
    before, env.bookkit_numbers = getattr(env, "bookkit_numbers", {}), copy.deepcopy(env.toc_fignumbers)
    return [] if env.bookkit_numbers == before else sorted(env.all_docs)


def setup(app: Sphinx) -> None:
    app.connect("doctree-read", keep_tagged)
    app.connect("env-get-updated", recall, priority=100)
    app.connect("env-get-updated", count_by_page, priority=900)
