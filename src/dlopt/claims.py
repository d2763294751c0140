"""Claims: a statement of the survey, decided by a cell.

:func:`verify` is the one call by which a chapter decides a claim.  It needs nothing but this module: whether
the claim has a row in the ledger is checked by the book's tests, not while a reader runs a cell.
:func:`read_ledger` reads the rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

__all__ = ["DECIDED", "VERDICTS", "Claim", "ClaimError", "LedgerError", "collected", "read_ledger", "verify"]

DECIDED = ("reproduced", "partly", "not-reproduced", "fails-as-stated", "illustrated")
"""The verdicts that a cell decides."""

VERDICTS = (*DECIDED, "quoted", "planned")
"""The verdicts of the ledger; ``quoted`` (we cannot check it) and ``planned`` (not yet there) no cell decides."""


class ClaimError(AssertionError):
    """The outcome or a control of a claim is not as it must be."""


class LedgerError(ValueError):
    """The ledger's file is not as it must be; the message names the row."""


def verify(
    claim: str,
    relation: str,
    *,
    holds: bool,
    control: Mapping[str, bool] | None = None,
    as_stated: bool | None = None,
    measured: Mapping[str, float | int | str] | None = None,
    verdict: str = "reproduced",
) -> None:
    """Decide one claim: show its line, or raise.

    Args:
        claim: the id of the claim's row in the ledger, as a literal.
        relation: what was checked, in words (an inequality, an exponent, an ordering), without measured digits.
        holds: whether the relation holds.  For ``fails-as-stated``: whether the corrected statement holds.
        control: name -> the same relation evaluated where it must fail (the wrong formula, the opposite
            regime, shuffled data).  Every value must be False: a check that cannot fail decides nothing.
        as_stated: for ``fails-as-stated``, whether the survey's own statement holds; it must be False.
        measured: name -> value, shown beside the line on the page and in the ledger.
        verdict: one of :data:`DECIDED`.

    Raises:
        ClaimError: ``holds`` is False, a control is True, or ``as_stated`` is not as the verdict says.
        ValueError: the arguments do not form a claim.
        TypeError: an outcome is not a truth value.
    """
    if verdict not in DECIDED:
        raise ValueError(
            f"[{claim}] a cell cannot decide the verdict {verdict!r}: use one of {', '.join(DECIDED)}."
        )
    if not relation.strip():
        raise ValueError(f"[{claim}] the relation is empty: say in words what was checked.")
    if (verdict == "fails-as-stated") != (as_stated is not None):
        raise ValueError(f"[{claim}] as_stated goes with the verdict fails-as-stated, and with no other.")
    holds = _truth(claim, "holds", holds)
    control = {name: _truth(claim, name, value) for name, value in (control or {}).items()}
    if not holds:
        raise ClaimError(f"[{claim}] does not hold: {relation}{_shown(measured)}")
    for name, value in control.items():
        if value:
            raise ClaimError(
                f"[{claim}] the control holds too, so the check decides nothing: {name}{_shown(measured)}"
            )
    if as_stated is not None and _truth(claim, "as_stated", as_stated):
        raise ClaimError(
            f"[{claim}] holds as the survey states it, so it does not fail as stated{_shown(measured)}"
        )
    record = {
        "id": claim,
        "verdict": verdict,
        "relation": relation,
        "control": control,
        "as_stated": as_stated if as_stated is None else False,
        "measured": {name: _plain(value) for name, value in (measured or {}).items()},
    }
    for records in _collections:
        records.append(dict(record))
    _display(f"[{claim}] {verdict} · {relation}", record)


def _truth(claim: str, name: str, value: Any) -> bool:
    """``value`` as a bool; only what is a truth value already (of Python, NumPy or torch) is accepted."""
    if isinstance(value, bool):
        return value
    if getattr(value, "shape", None) == () and "bool" in str(value.dtype):
        return bool(value)
    raise TypeError(f"[{claim}] {name} must be True or False, not {type(value).__name__}.")


def _plain(value: Any) -> float | int | str:
    """``value`` as a plain number or text that JSON can hold; not-a-number and infinities become text."""
    if isinstance(value, str):
        return value
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return value
    value = float(value)
    return value if math.isfinite(value) else str(value)


def _shown(measured: Mapping[str, Any] | None) -> str:
    if not measured:
        return ""
    return " (" + ", ".join(f"{name}: {_plain(value)}" for name, value in measured.items()) + ")"


_collections: list[list[dict[str, Any]]] = []


@contextmanager
def collected() -> Iterator[list[dict[str, Any]]]:
    """Keep the record of every claim decided inside the ``with`` block, in order."""
    records: list[dict[str, Any]] = []
    _collections.append(records)
    try:
        yield records
    finally:
        _collections.remove(records)


def _display(line: str, record: dict[str, Any]) -> None:
    """One display output whose text is ``line`` and whose metadata carries ``record``; plain print elsewhere."""
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ModuleNotFoundError:
        print(line)
        return
    if get_ipython() is None:
        print(line)
    else:
        display({"text/plain": line}, raw=True, metadata={"dlopt": record})


@dataclass(frozen=True)
class Claim:
    """One row of the ledger."""

    id: str
    """The claim's permanent name."""
    section: str
    """Where the survey first says it."""
    also: tuple[str, ...]
    """Other sections that repeat it."""
    equations: tuple[int, ...]
    """Numbers of the survey's equations that it is about."""
    tier: int
    """1: the core of the book.  2: one sentence of the survey.  3: cannot be checked on a small machine."""
    statement: str
    """What the survey states, in our words."""
    source: str
    """Key in the bibliography, or ``survey``."""
    chapter: str
    """The chapter that decides it."""
    verdict: str
    """One of :data:`VERDICTS`."""
    note: str
    """Why, wherever the verdict is anything but reproduced."""


_TYPES: dict[str, type | tuple[type, ...]] = {
    "also": list, "equations": list, "tier": int, **dict.fromkeys(
        ("id", "section", "statement", "source", "chapter", "verdict", "note"), str
    ),
}  # fmt: skip


def read_ledger(path: str | Path) -> list[Claim]:
    """The rows of the ledger, in the survey's order.

    Args:
        path: the file ``claims.yml``: a list of rows with exactly the fields of :class:`Claim`.

    Raises:
        LedgerError: the file is missing, is not YAML, or a row is not as it must be.
    """
    import yaml

    path = Path(path)
    try:
        rows = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except FileNotFoundError:
        raise LedgerError(f"{path.name} is not in {path.resolve().parent}.") from None
    except yaml.YAMLError as error:
        raise LedgerError(f"{path.name} is not YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(rows, list):
        raise LedgerError(f"{path.name} must be a list of rows.")
    claims = [_claim(path.name, number, row) for number, row in enumerate(rows, start=1)]
    seen: set[str] = set()
    for claim in claims:
        if claim.id in seen:
            raise LedgerError(f"{path.name}: the id {claim.id!r} stands twice.")
        seen.add(claim.id)
    return claims


def _claim(file: str, number: int, row: Any) -> Claim:
    names = [field.name for field in fields(Claim)]
    if not isinstance(row, dict):
        raise LedgerError(f"{file}, row {number}: not a mapping with the fields {', '.join(names)}.")
    where = f"{file}, row {number} ({row.get('id', 'no id')})"
    if missing := [name for name in names if name not in row]:
        raise LedgerError(f"{where}: {', '.join(missing)} missing.")
    if unknown := [str(name) for name in row if name not in names]:
        raise LedgerError(f"{where}: unknown field {', '.join(unknown)}.")
    for name, kind in _TYPES.items():
        if not isinstance(row[name], kind) or isinstance(row[name], bool):
            raise LedgerError(
                f"{where}: {name} must be of type {kind.__name__}, not {type(row[name]).__name__}."
            )
    if row["verdict"] not in VERDICTS:
        raise LedgerError(f"{where}: the verdict {row['verdict']!r} is none of {', '.join(VERDICTS)}.")
    if row["tier"] not in (1, 2, 3):
        raise LedgerError(f"{where}: the tier is {row['tier']}, not 1, 2 or 3.")
    if row["verdict"] not in ("reproduced", "planned") and not row["note"].strip():
        raise LedgerError(f"{where}: the verdict {row['verdict']} needs a note that says why.")
    return Claim(**{**row, "also": tuple(row["also"]), "equations": tuple(row["equations"])})
