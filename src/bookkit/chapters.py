"""The chapters: which there are, what code each holds, and what that code depends on."""

from __future__ import annotations

import ast
import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat
import yaml

from bookkit.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
"""The repository's root."""

SETTINGS = ("DLOPT_DEVICE", "DLOPT_SCALE", "DLOPT_SEED_OFFSET", "DLOPT_DATA")
"""Environment variables that change what a chapter computes."""


@dataclass(frozen=True)
class Chapter:
    """A notebook of the table of contents."""

    name: str
    """The stem of its file."""
    path: Path

    @cached_property
    def notebook(self) -> nbformat.NotebookNode:
        try:
            return nbformat.read(self.path, as_version=4)
        except Exception as error:  # nbformat meets a file that is no notebook with any of a dozen exceptions
            said = " ".join(str(error).split())[:100].rstrip(".")
            raise UserError(
                f"book/{self.path.name} cannot be read as a notebook ({said}): mend it, or take back the last "
                f"one committed by `git checkout book/{self.path.name}`."
            ) from None

    @property
    def metadata(self) -> dict:
        """What the notebook says of itself under ``dlopt``: ``code_hash``, ``alone``, ``reads``, …."""
        return self.notebook.metadata.get("dlopt", {})

    @property
    def title(self) -> str:
        for cell in self.notebook.cells:
            for line in cell.source.splitlines():
                if cell.cell_type == "markdown" and line.startswith("# "):
                    return line[2:].strip()
        return self.name

    @property
    def code(self) -> list[str]:
        """The sources of the code cells, in order."""
        return [cell.source for cell in self.notebook.cells if cell.cell_type == "code"]

    @property
    def code_hash(self) -> str:
        """A hash of the code cells: stored with a run, so that code edited since is recognized."""
        return hash_of_code(self.notebook)

    @property
    def is_stored(self) -> bool:
        """Whether the stored outputs are those of the code as it is."""
        return self.metadata.get("code_hash") == self.code_hash


def hash_of_code(notebook: nbformat.NotebookNode) -> str:
    """A hash of the sources of ``notebook``'s code cells."""
    digest = hashlib.sha256()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            digest.update(cell.source.encode() + b"\0")
    return digest.hexdigest()[:16]


def all_chapters() -> list[Chapter]:
    """The notebooks of ``_toc.yml``, in its order.

    Raises:
        UserError: the table of contents is missing or malformed, or names a file that is not there.
    """
    toc = ROOT / "_toc.yml"
    try:
        entries = yaml.safe_load(toc.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"_toc.yml cannot be read: {' '.join(str(error).split())}.") from None
    paths = []
    for name in _files(entries):
        if (path := ROOT / f"{name}.ipynb").exists():
            paths.append(path)
        elif not (ROOT / f"{name}.md").exists():
            raise UserError(f"_toc.yml names {name}, but there is neither {name}.ipynb nor {name}.md.")
    return [Chapter(path.stem, path) for path in paths]


def _files(entry: object) -> Iterator[str]:
    """Every ``file:`` below ``entry``, in order."""
    if isinstance(entry, dict):
        if isinstance(entry.get("file"), str):
            yield entry["file"]
        for value in entry.values():
            yield from _files(value)
    elif isinstance(entry, list):
        for value in entry:
            yield from _files(value)


def find(name: str) -> Chapter:
    """The chapter called ``name``.

    Raises:
        UserError: there is none.
    """
    chapters = all_chapters()
    for chapter in chapters:
        if chapter.name == name:
            return chapter
    known = ", ".join(chapter.name for chapter in chapters)
    raise UserError(f"There is no chapter {name!r}; the chapters are {known}.")


def modules_used(chapter: Chapter) -> list[Path]:
    """The files of ``dlopt`` that the chapter's code imports, directly or through others, sorted."""
    found: set[Path] = set()
    waiting = [file for source in chapter.code for file in _imports(source, None)]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += imported_files(file)
    return sorted(found)


def imported_files(file: Path) -> set[Path]:
    """The files of ``dlopt`` that its file ``file`` imports, with those of the packages that they stand in."""
    return set(_imports(file.read_text(), file))


def _imports(source: str, file: Path | None) -> Iterator[Path]:
    """Files of ``dlopt`` that ``source`` imports; ``file`` is where it stands (None: a notebook)."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return  # a cell that does not parse fails when it runs, with a traceback
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, file)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            yield from _files_of_module(name)


def _absolute(node: ast.ImportFrom, file: Path | None) -> str:
    """The absolute name of the module that ``node`` imports from."""
    if not node.level or file is None:
        return node.module or ""
    package = file.parent
    for _ in range(node.level - 1):
        package = package.parent
    prefix = ".".join(package.relative_to(ROOT / "src").parts)
    return f"{prefix}.{node.module}" if node.module else prefix


def _files_of_module(name: str) -> Iterator[Path]:
    """The files that importing the module ``name`` of ``dlopt`` runs: its packages and itself."""
    parts = name.split(".")
    if parts[0] != "dlopt":
        return
    for length in range(1, len(parts) + 1):
        place = (ROOT / "src").joinpath(*parts[:length])
        for file in (place / "__init__.py", place.with_suffix(".py")):
            if file.exists():
                yield file


def check_settings() -> None:
    """See that the settings in the environment are ones that chapters can run under, before any of them runs.

    Raises:
        UserError: one is not.
    """
    if not any(name in os.environ for name in SETTINGS):
        return
    from dlopt import runtime  # imports torch, which is needed only where there is something to see

    try:
        runtime.check_settings()
    except runtime.SettingError as error:
        raise UserError(str(error)) from None


def execution_key(chapter: Chapter) -> str:
    """A hash of everything that a run of the chapter depends on.

    Its code cells, the modules of ``dlopt`` that they import, the pinned requirements, other files that it says
    it reads, the interpreter and the settings in the environment.  Prose is not among them.
    """
    digest = hashlib.sha256(chapter.code_hash.encode())
    reads = [ROOT / "book" / name for name in chapter.metadata.get("reads", [])]
    for file in [ROOT / "requirements.txt", *modules_used(chapter), *reads]:
        try:
            content = file.read_bytes()
        except OSError:
            raise UserError(f"{chapter.name} reads {file.name}, which is not there.") from None
        digest.update(f"{file.relative_to(ROOT).as_posix()}\0".encode() + content + b"\0")
    settings = {name: os.environ.get(name, "") for name in SETTINGS}
    digest.update(repr((sys.version_info[:2], settings)).encode())
    return digest.hexdigest()[:20]
