"""The student edition: the chapters without the solutions of their exercises."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from pathlib import Path

import nbformat

from bookkit.chapters import Chapter, hash_of_code
from bookkit.errors import UserError

STUDENT = "student"
"""What a notebook without solutions says of itself under ``edition``."""

_WHOLE = re.compile(r"^(?P<fence>`{3,}|:{3,})\{solution\}.*?^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL)
_GATE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{solution-(?P<side>start|end)\}.*?^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL
)


def student(chapters: Iterable[Chapter], folder: Path) -> list[Path]:
    """Write the chapters without their solutions into ``folder``, and return the files.

    Raises:
        UserError: there is something in the folder, or a solution begins or ends twice; nothing is written then.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty: name a new folder for the student edition.")
    editions = {folder / chapter.path.name: without_solutions(chapter) for chapter in chapters}
    folder.mkdir(parents=True, exist_ok=True)
    for file, notebook in editions.items():
        file.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    return list(editions)


def without_solutions(chapter: Chapter) -> nbformat.NotebookNode:
    """The chapter's notebook without what stands from each ``solution-start`` to its ``solution-end``.

    Outputs of the cells that stay are kept, and stay a stored run if they were one.  The notebook says of itself
    that it is of the student edition.

    Raises:
        UserError: a solution begins inside of another one, or ends without a beginning, or does not end.
    """
    notebook = copy.deepcopy(chapter.notebook)
    kept, inside = [], False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source, inside = _outside(chapter, cell.source, inside)
            if cell.source:
                kept.append(cell)
        elif not inside:
            kept.append(cell)
    if inside:
        raise UserError(f"{chapter.path.name}: the last solution-start has no solution-end.")
    stored = notebook.metadata.setdefault("dlopt", {})
    notebook.cells = kept
    stored["edition"] = STUDENT
    if chapter.is_stored:
        stored["code_hash"] = hash_of_code(notebook)
    return notebook


def _outside(chapter: Chapter, text: str, inside: bool) -> tuple[str, bool]:
    """What of a cell's ``text`` stands outside of solutions, and whether one goes on after its end."""
    parts, position = [], 0
    text = _WHOLE.sub("", text)
    for gate in _GATE.finditer(text):
        if (gate["side"] == "start") == inside:
            what = "begins before the one before it has ended" if inside else "ends but has not begun"
            raise UserError(f"{chapter.path.name}: a solution {what}, at {gate[0].splitlines()[0]!r}.")
        if not inside:
            parts.append(text[position : gate.start()])
        position, inside = gate.end(), not inside
    if not inside:
        parts.append(text[position:])
    return re.sub(r"\n{3,}", "\n\n", "".join(parts)).strip(), inside
