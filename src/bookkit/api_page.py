"""The API page: every module of the package, found by looking, with its docstrings."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

import dlopt
from bookkit.elements import element, prose

PACKAGE = Path(dlopt.__file__).parent
MODULES = "bookkit-modules"
WINGS = {
    "": "Ground floor",
    "introduction": "The questions (section 1)",
    "tricks": "Tricks (section 4)",
    "algorithms": "Algorithms (section 5)",
    "landscape": "The landscape (section 6)",
    "kernels": "Kernels and mean fields (section 6.3)",
    "conclusions": "The conclusions (section 7)",
}
"""Sub-package -> heading, in the order of the page; a sub-package that is not named here comes last."""


@dataclass(frozen=True)
class Module:
    """A public module of the package."""

    name: str
    """With the package: ``dlopt.training``."""
    wing: str
    summary: str
    """The first line of its docstring."""


def modules(package: Path = PACKAGE) -> list[Module]:
    """The public modules below ``package`` that have a docstring and define something, by wing and name."""
    found = []
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package).with_suffix("").parts
        if any(part.startswith("_") for part in parts):
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        summary = (ast.get_docstring(tree) or "").partition("\n")[0]
        wing = parts[0] if len(parts) > 1 else ""
        found.append(Module(".".join([package.name, *parts]), wing, summary))
    order = list(WINGS)
    return sorted(found, key=lambda m: (order.index(m.wing) if m.wing in order else len(order), m.name))


class ApiDirective(SphinxDirective):
    """``{api}``: a table of the modules, then what each defines."""

    def run(self) -> list[nodes.Node]:
        found = modules()
        self.env.metadata[self.env.docname][MODULES] = repr(found)
        content: list[nodes.Node] = [self._table(found)]
        for wing in dict.fromkeys(module.wing for module in found):
            title = WINGS.get(wing, wing)
            section = nodes.section("", nodes.title("", title), ids=[f"wing-{wing or 'ground-floor'}"])
            section += [self._module(module) for module in found if module.wing == wing]
            content.append(section)
        return content

    def _table(self, found: list[Module]) -> nodes.Node:
        rows = [
            element(
                "tr",
                element(
                    "td", nodes.reference("", "", nodes.literal("", m.name), internal=True, refid=_anchor(m))
                ),
                element("td", *self._text(m.summary)),
            )
            for m in found
        ]
        head = element("tr", element("th", "Module", scope="col"), element("th", "What it is", scope="col"))
        return element(
            "table",
            element("thead", head),
            element("tbody", *rows),
            classes=["table", "modules"],
            aria_label="Modules",
        )

    def _text(self, summary: str) -> list[nodes.Node]:
        return prose(re.sub(r":[\w:]+:(?=`)", "", summary).replace("``", "`"))

    def _module(self, module: Module) -> nodes.Node:
        section = nodes.section("", nodes.title("", module.name), ids=[_anchor(module)])
        lines = ["```{eval-rst}", f".. automodule:: {module.name}", "   :members:", "```"]
        self.state.nested_parse(StringList(lines, source=self.env.docname), 0, section)
        return section


def _anchor(module: Module) -> str:
    return "api-" + module.name.replace(".", "-").replace("_", "-")


def _plain_marks(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Escape what mathematics in docstrings shares with reStructuredText: ``|x|`` and names that end in ``_``."""
    for number, line in enumerate(lines):
        quoted = re.split(r"(``.+?``|:[\w:]+:`[^`]+`|`[^`]+`_*)", line)
        quoted[::2] = [re.sub(r"(?<!\\)\||(?<=\w)_(?!\w)", r"\\\g<0>", part) for part in quoted[::2]]
        lines[number] = "".join(quoted)


def _new_modules(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """The page, when a module came, went, or changed its first line."""
    now = repr(modules())
    return [name for name, metadata in env.metadata.items() if metadata.get(MODULES, now) != now]


def setup(app: Sphinx) -> None:
    app.add_directive("api", ApiDirective)
    app.connect("autodoc-process-docstring", _plain_marks, priority=900)
    app.connect("env-get-outdated", _new_modules)
