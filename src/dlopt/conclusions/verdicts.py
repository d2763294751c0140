"""The ledger in pictures: how many statements held, needed a condition, or failed, and where they stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from matplotlib.axes import Axes

from dlopt import figures
from dlopt.claims import DECIDED, VERDICTS, Claim

__all__ = [
    "COLORS",
    "SECTIONS",
    "by_section",
    "draw_bars",
    "draw_key",
    "label",
    "section_of",
    "share_reproduced",
]

COLORS: dict[str, str] = {
    "reproduced": figures.GREEN,
    "partly": figures.ORANGE,
    "fails-as-stated": figures.PURPLE,
    "not-reproduced": figures.RED,
    "illustrated": figures.BLUE,
    "quoted": figures.INK,
    "planned": figures.FAINT,
}
"""Verdict -> color, in the order in which bars are stacked; the claims' boxes on the pages have the same hues."""

SECTIONS: dict[str, str] = {
    "1": "introduction",
    "2": "the problem",
    "3": "gradient descent",
    "4.1": "explosion, vanishing",
    "4.2": "initialization",
    "4.3": "normalization",
    "4.4": "residual networks",
    "4.5": "ultra-deep networks",
    "5.1": "SGD, schedules",
    "5.2": "theory of SGD",
    "5.3": "momentum",
    "5.4": "adaptive methods",
    "5.5": "many machines",
    "5.6": "second order",
    "6.1": "tractable problems",
    "6.2": "landscape, explored",
    "6.3": "deep networks, in theory",
    "6.4": "shallow networks",
    "A": "convergence",
    "B": "batch normalization",
    "C": "costs",
    "journal": "journal version",
}
"""Number of a section of the survey, or of a subsection of its sections 4 to 6 -> what it is about."""


def section_of(claim: Claim) -> str:
    """The key of :data:`SECTIONS` under which the claim stands: "6.2" for "6.2.3", "3" for "3.1".

    Raises:
        ValueError: the claim stands in no section that is listed.
    """
    parts = claim.section.split(".")
    for key in (".".join(parts[:2]), parts[0]):
        if key in SECTIONS:
            return key
    raise ValueError(f"{claim.id} stands in section {claim.section}, which the survey does not have.")


def label(section: str) -> str:
    """A key of :data:`SECTIONS` as an axis shows it: what the section is about, and its number."""
    number = f"§{section}" if section[0].isdigit() else section[0].upper()
    return f"{SECTIONS[section]}  {number}"


def by_section(ledger: Iterable[Claim]) -> dict[str, Counter[str]]:
    """Section -> how many of its claims have each verdict, in the survey's order; sections with claims alone."""
    counts: dict[str, Counter[str]] = {key: Counter() for key in SECTIONS}
    for claim in ledger:
        counts[section_of(claim)][claim.verdict] += 1
    return {key: count for key, count in counts.items() if count}


def share_reproduced(counts: Mapping[str, int]) -> float:
    """Claims reproduced as stated, as a share of those that an experiment decided.

    Raises:
        ValueError: none was decided.
    """
    decided = sum(counts.get(verdict, 0) for verdict in DECIDED)
    if not decided:
        raise ValueError("no claim is decided, so there is no share.")
    return counts.get("reproduced", 0) / decided


def draw_bars(axes: Axes, rows: Mapping[str, Mapping[str, int]]) -> None:
    """One stacked bar a row, from top to bottom, as long as the row has claims; the number reproduced stands in it.

    Args:
        axes: where to draw.
        rows: label -> verdict -> number of claims.
    """
    for height, (label, counts) in enumerate(rows.items()):
        left = 0
        for verdict, color in COLORS.items():
            if number := counts.get(verdict, 0):
                axes.barh(height, number, left=left, color=color, height=0.74, gid=f"{label}: {verdict}")
                left += number
        axes.annotate(
            f"{counts.get('reproduced', 0)}/{left}", (left, height), xytext=(4, 0), textcoords="offset points",
            va="center", fontsize=8.5,
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def draw_key(axes: Axes, verdicts: Sequence[str] = VERDICTS, *, x: float, y: float, step: float) -> None:
    """The names of ``verdicts`` in their colors, one below the other, in data coordinates."""
    for row, verdict in enumerate(verdicts):
        axes.annotate(verdict, (x, y + row * step), color=COLORS[verdict], fontsize=9.5, va="center")
