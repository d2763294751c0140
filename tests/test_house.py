"""The package is one house: imports point one way, and every public name serves a chapter."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from bookkit.chapters import ROOT, all_chapters, imported_files

PACKAGE = ROOT / "src" / "dlopt"
FILES = sorted(PACKAGE.rglob("*.py"))
Definition = tuple[str, str]
"""A module's dotted name, and a name that it defines."""


def test_the_package_reads_the_environment_in_one_place_only():
    readers = [
        file.relative_to(PACKAGE).as_posix()
        for file in FILES
        if re.search(r"os\.(environ|getenv)", file.read_text())
    ]
    assert sorted(readers) == ["paper.py", "runtime.py"]


def test_imports_point_one_way_from_the_wings_to_the_ground_floor():
    def wing(file: Path) -> str:
        first, *rest = file.relative_to(PACKAGE).parts
        return first if rest else ""

    assert [
        f"{file.relative_to(PACKAGE)} imports {imported.relative_to(PACKAGE)}"
        for file in FILES
        for imported in imported_files(file)
        if wing(imported) not in ("", wing(file))
    ] == []


def test_no_module_imports_itself_through_others():
    # A package's own file runs before each of its modules: it is an import of theirs.
    imports = {file: imported_files(file) - {file} for file in FILES}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(file.relative_to(PACKAGE).as_posix() for file in error.args[1]))


def test_every_public_function_and_class_serves_a_chapter():
    """A name that only tests or benchmarks mention is dead: remove it, or say in a chapter what it shows.

    A chapter reaches what its code names, then what the definitions of these name, and so on.  So do the programs
    that a reader starts: what a module does when it is run.
    """
    modules = {module.name: module for module in map(Module.of, FILES)}
    chapters = [Module("", ast.parse("\n".join(chapter.code))) for chapter in all_chapters()]
    waiting = [name for code in [*chapters, *modules.values()] for name in code.mentioned(code.commands)]
    reached: set[Definition] = set()
    while waiting:
        module, name = definition = waiting.pop()
        if definition not in reached and module in modules:
            reached.add(definition)
            waiting += modules[module].mentioned(modules[module].definitions.get(name, []))
    public = {(module.name, name) for module in modules.values() for name in module.public}
    assert len(reached & public) > 500
    assert sorted(public - reached) == []


def test_the_page_of_modules_shows_every_public_name():
    """It shows what a module lists in ``__all__`` and documents."""
    modules = [Module.of(file) for file in FILES if not file.stem.startswith("_")]
    assert [
        f"{module.name}.{name}"
        for module in modules
        for name in sorted({*module.public, *module.listed})
        if name not in module.listed or not module.documents(name)
    ] == []


class Module:
    """What a file defines, imports and does."""

    def __init__(self, name: str, tree: ast.Module) -> None:
        self.name, self.tree = name, tree

    @classmethod
    def of(cls, file: Path) -> Module:
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        return cls(name, ast.parse(file.read_text()))

    @cached_property
    def definitions(self) -> dict[str, list[ast.stmt]]:
        """Name -> the statements that define it at the top of the module; none for a chapter."""
        found: dict[str, list[ast.stmt]] = {}
        for statement in self.tree.body if self.name else []:
            for name in _defined(statement):
                found.setdefault(name, []).append(statement)
        return found

    @property
    def public(self) -> list[str]:
        """The functions and classes without an underscore."""
        kinds = (ast.FunctionDef, ast.ClassDef)
        return [node.name for node in self.tree.body if isinstance(node, kinds) and node.name[0] != "_"]

    @property
    def listed(self) -> list[str]:
        """``__all__``."""
        (statement,) = self.definitions["__all__"]
        return ast.literal_eval(statement.value)

    def documents(self, name: str) -> bool:
        """Whether ``name`` has a docstring; that of a constant stands below it."""
        (statement,) = self.definitions[name]
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            return ast.get_docstring(statement) is not None
        below = self.tree.body[self.tree.body.index(statement) + 1]
        return isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)

    @property
    def commands(self) -> list[ast.stmt]:
        """The statements at the top that define nothing: all of a chapter, and what a program does when it is run."""
        return [node for node in self.tree.body if not self.name or not list(_defined(node))]

    @cached_property
    def imports(self) -> dict[str, str]:
        """Name -> what it stands for, dotted: a module, or what one defines."""
        found = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom):
                found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        return found

    def mentioned(self, nodes: Iterable[ast.stmt]) -> Iterator[Definition]:
        """The definitions that the statements name, here or in another module."""
        for node in (inner for outer in nodes for inner in ast.walk(outer)):
            if isinstance(node, ast.Name) and node.id in self.imports:
                module, _, name = self.imports[node.id].rpartition(".")
                yield module, name
            elif isinstance(node, ast.Name):
                yield self.name, node.id
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                yield self.imports.get(node.value.id, ""), node.attr


def _defined(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement at the top of a module defines."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        yield from (node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))
