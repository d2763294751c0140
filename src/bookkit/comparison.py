"""How nbval compares a cell's fresh outputs with its stored ones (a pytest plugin).

Text must be the same to the letter, but for decimals: two printed decimals agree when they differ by no more than
one unit in the last digit printed, or by one part in a thousand.  Integers are compared exactly.  Figures and glued
values are not compared: what a figure shows is decided by the claim beside it.
"""

from __future__ import annotations

import math
import re

import pytest
from nbval.plugin import IPyNbCell

RELATIVE_TOLERANCE = 1e-3
NOT_COMPARED = (
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "application/papermill.record/text/plain",
    "application/papermill.record/image/png",
)
_DECIMAL = re.compile(r"(?<![\w.])[-+−]?\d+(?:\.(\d+)(?:e([-+]?\d+))?|e([-+]?\d+))(?![\w.]*\w)")


def texts_agree(stored: str, fresh: str) -> bool:
    """Whether two texts are the same but for decimals that agree within the tolerance."""
    if _DECIMAL.sub("#", stored) != _DECIMAL.sub("#", fresh):
        return False
    pairs = zip(_DECIMAL.finditer(stored), _DECIMAL.finditer(fresh), strict=True)
    return all(_decimals_agree(one, other) for one, other in pairs)


def _decimals_agree(one: re.Match, other: re.Match) -> bool:
    a, b = (float(match.group().replace("−", "-")) for match in (one, other))
    unit = max(_unit(one), _unit(other))
    return math.isclose(a, b, rel_tol=RELATIVE_TOLERANCE, abs_tol=1.000001 * unit)


def _unit(match: re.Match) -> float:
    """One unit in the last digit that ``match`` prints."""
    digits, exponent, bare = match.groups()
    return 10.0 ** (int(exponent or bare or 0) - len(digits or ""))


class _Text(str):
    """A text that equals another one when :func:`texts_agree` says so."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and texts_agree(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other


class TolerantCell(IPyNbCell):
    """nbval's cell, comparing decimals within the tolerance."""

    def sanitize(self, s):
        text = super().sanitize(s)
        return _Text(text) if isinstance(text, str) else text


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, IPyNbCell):
            item.__class__ = TolerantCell
            item.parent.skip_compare = tuple({*item.parent.skip_compare, *NOT_COMPARED})
