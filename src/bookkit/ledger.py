"""The ledger against the notebooks: which claims the chapters decide, and whether that is what the rows say."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat

from bookkit.chapters import ROOT, Chapter
from bookkit.errors import UserError
from dlopt.claims import DECIDED, Claim, LedgerError, read_ledger

PATH = ROOT / "book" / "claims.yml"


@dataclass(frozen=True)
class Check:
    """The outcome of one ``verify`` in an executed notebook."""

    id: str
    verdict: str
    relation: str
    control: dict[str, bool]
    as_stated: bool | None
    measured: dict[str, float | int | str]
    cell: int
    """Index of the cell in the notebook."""


def rows() -> list[Claim]:
    """The rows of ``book/claims.yml``.

    Raises:
        UserError: the file is missing or malformed.
    """
    try:
        return read_ledger(PATH)
    except LedgerError as error:
        raise UserError(str(error)) from None


def checks(notebook: Path) -> dict[str, Check]:
    """The checks whose outcome an executed notebook holds, by claim id.

    Raises:
        UserError: a claim is decided twice.
    """
    return _checks(notebook, notebook.stat().st_mtime_ns)


@cache
def _checks(notebook: Path, _: int) -> dict[str, Check]:
    found: dict[str, Check] = {}
    for index, cell in enumerate(nbformat.read(notebook, as_version=4).cells):
        for output in cell.get("outputs", []):
            if record := output.get("metadata", {}).get("dlopt"):
                if record["id"] in found:
                    raise UserError(f"{notebook.name} decides {record['id']} twice.")
                found[record["id"]] = Check(**record, cell=index)
    return found


def promised(chapter: Chapter) -> list[str]:
    """The ids that the chapter's code names in calls of ``verify``; a name that is no literal is refused.

    Raises:
        UserError: a call of ``verify`` does not begin with a literal id.
    """
    ids = []
    for source in chapter.code:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and _is_verify(node.func):
                first = node.args[0] if node.args else None
                if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
                    raise UserError(f"{chapter.name}: verify must be given its claim's id as a literal.")
                ids.append(first.value)
    return ids


def _is_verify(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name == "verify"


def disagreements(chapter: Chapter, claims: list[Claim]) -> list[str]:
    """Where the chapter's stored notebook and its rows differ, a sentence each."""
    by_id = {claim.id: claim for claim in claims}
    mine = {claim.id: claim for claim in claims if claim.chapter == chapter.name}
    found = checks(chapter.path)
    problems = []
    for name in sorted(set(promised(chapter)) - set(found)):
        problems.append(
            f"{chapter.name}: {name} is checked in the code, but the stored run has no outcome for it."
        )
    for name, check in found.items():
        if name not in by_id:
            problems.append(f"{chapter.name}: {name} is checked, but claims.yml has no row for it.")
        elif name not in mine:
            problems.append(
                f"{chapter.name}: {name} is checked here, but its row says {by_id[name].chapter}."
            )
        elif check.verdict != mine[name].verdict:
            problems.append(
                f"{chapter.name}: {name} came out {check.verdict}, but its row says {mine[name].verdict}."
            )
        elif mine[name].tier == 1 and not check.control and check.as_stated is None:
            problems.append(f"{chapter.name}: {name} is of tier 1 and has no control.")
    for name, claim in mine.items():
        if claim.verdict in DECIDED and name not in found:
            problems.append(
                f"{chapter.name}: the row of {name} says {claim.verdict}, but no cell decides it."
            )
    return problems
