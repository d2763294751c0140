"""Figure 1 of the survey, generated from the ledger: which design choice helps in which way.

The survey's Figure 1 maps design choices onto three benefits.  The text that we read has its caption only, so
the arrows are a reconstruction from sections 4 to 6: :data:`EDGES` names, for each, the claims of the ledger that
would back it, and the ledger's verdicts decide how it is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from dlopt import figures
from dlopt.claims import DECIDED, Claim

__all__ = ["BENEFITS", "CHOICES", "EDGES", "SUPPORTING", "Edge", "draw", "drawn", "status", "tally"]

CHOICES = ("initialization", "normalization", "skip connections", "large width", "SGD")
"""The left side of the survey's figure, from top to bottom."""
BENEFITS = ("convergence possible", "faster convergence", "better landscape")
"""The right side."""

SUPPORTING = frozenset({"reproduced", "partly", "illustrated"})
"""Verdicts that count as evidence.  ``fails-as-stated`` does not: its corrected statement may say less."""


@dataclass(frozen=True)
class Edge:
    """A line of the figure and the ids of the claims that would back it."""

    choice: str
    benefit: str
    claims: tuple[str, ...]

    @property
    def name(self) -> str:
        """The line in words."""
        return f"{self.choice} → {self.benefit}"


EDGES = (
    Edge(
        "initialization", "convergence possible",
        ("three-ingredient-ablation", "lecun-toy-ratio", "eq17-kaiming", "hr-fm1-mean-length"),
    ),
    Edge(
        "initialization", "faster convergence",
        ("slow-via-condition-number", "saxe-depth-independent-time", "pennington-orthogonal-tanh"),
    ),
    Edge(
        "normalization", "convergence possible",
        ("three-ingredient-ablation", "bn-ics-santurkar", "bn-auto-rate"),
    ),
    Edge(
        "normalization", "faster convergence",
        ("bn-larger-lr", "bn-ols-cai", "bn-length-direction-kohler", "bn-removes-outlier-eigs"),
    ),
    Edge(
        "skip connections", "convergence possible",
        ("three-ingredient-ablation", "resnet-fm2", "yang-schoenholz", "fixup"),
    ),
    Edge("skip connections", "faster convergence", ("depth-degradation", "residual-isometry-universal")),
    Edge("skip connections", "better landscape", ("skips-break-symmetry", "loss-surface-visualisation")),
    Edge("large width", "convergence possible", ("hr-width-budget", "narrow-network")),
    Edge("large width", "faster convergence", ("overparam-gd-global", "du-gram-linear-rate")),
    Edge(
        "large width", "better landscape",
        ("overparam-easier", "no-bad-basin-path", "bad-min-not-bad-basin", "nguyen-connected"),
    ),
    Edge("SGD", "faster convergence", ("sgd-vs-gd-ratio", "ratio-range", "realizable-constant-step")),
)  # fmt: skip
"""The lines of the figure, solid or not."""


def tally(edge: Edge, ledger: Iterable[Claim]) -> tuple[int, int, int]:
    """How many of the edge's claims support it, how many were decided otherwise, and how many there are.

    Raises:
        KeyError: the ledger has no row for one of them.
    """
    verdicts = {claim.id: claim.verdict for claim in ledger}
    found = [verdicts[claim] for claim in edge.claims]
    supporting = sum(verdict in SUPPORTING for verdict in found)
    decided = sum(verdict in DECIDED for verdict in found)
    return supporting, decided - supporting, len(found)


def status(edge: Edge, ledger: Iterable[Claim]) -> str:
    """How an edge is drawn: "solid" if a claim supports it; "dotted" if claims were decided and none does;
    "dashed" while none is decided."""
    supporting, against, _ = tally(edge, ledger)
    return "solid" if supporting else "dotted" if against else "dashed"


_LINES = {"solid": ("-", 2.2), "dashed": ("--", 1.2), "dotted": (":", 1.6)}


def draw(axes: Axes, ledger: Sequence[Claim], edges: Sequence[Edge] = EDGES) -> None:
    """Draw the choices on the left, the benefits on the right, and each edge as :func:`status` says.

    The small fraction on an edge counts its claims that support it, of all that would.
    """
    left = {choice: 1 - row / (len(CHOICES) - 1) for row, choice in enumerate(CHOICES)}
    right = {benefit: 0.9 - 0.8 * row / (len(BENEFITS) - 1) for row, benefit in enumerate(BENEFITS)}
    colors = dict(zip(CHOICES, figures.COLORS, strict=False))
    for edge in edges:
        line, width = _LINES[status(edge, ledger)]
        start, end = left[edge.choice], right[edge.benefit]
        axes.plot(
            [0, 1], [start, end], color=colors[edge.choice], linestyle=line, linewidth=width, gid=edge.name
        )
        supporting, _, total = tally(edge, ledger)
        share = 0.12 + 0.08 * BENEFITS.index(edge.benefit)
        axes.annotate(
            f"{supporting}/{total}", (share, start + share * (end - start)), color=colors[edge.choice], fontsize=8,
            ha="center", va="bottom",
        )  # fmt: skip
    for choice, height in left.items():
        axes.annotate(choice, (-0.02, height), color=colors[choice], ha="right", va="center", fontsize=10.5)
    for benefit, height in right.items():
        axes.annotate(benefit, (1.02, height), ha="left", va="center", fontsize=10.5)
    axes.set(xlim=(-0.45, 1.5), ylim=(-0.08, 1.1))
    axes.set_axis_off()


def drawn(axes: Axes) -> dict[str, str]:
    """Edge name → "solid", "dashed" or "dotted", read off the lines that stand on ``axes``."""
    names = {line: name for name, (line, _) in _LINES.items()}
    return {line.get_gid(): names[line.get_linestyle()] for line in axes.get_lines() if line.get_gid()}
