"""Figure 1 of the survey, generated from the ledger: which design choice helps in which way.

The survey's Figure 1 maps design choices onto three benefits.  The text that we read has its caption only, so
the arrows are a reconstruction from sections 4 to 6: :data:`EDGES` names, for each, the claims of the ledger that
would back it, and the ledger's verdicts decide how it is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from dlopt import figures
from dlopt.claims import DECIDED, Claim

__all__ = [
    "BENEFITS",
    "CHOICES",
    "EDGES",
    "SUPPORTING",
    "Edge",
    "draw",
    "draw_strands",
    "drawn",
    "status",
    "tally",
]

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
    Edge(
        "SGD", "faster convergence",
        ("sgd-vs-gd-ratio", "identical-samples", "minibatch-ratio", "realizable-constant-step"),
    ),
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


_LEFT = {choice: 1 - row / (len(CHOICES) - 1) for row, choice in enumerate(CHOICES)}
_RIGHT = {benefit: 0.9 - 0.8 * row / (len(BENEFITS) - 1) for row, benefit in enumerate(BENEFITS)}
"""The heights at which the edges begin and end."""

_LINES = {"solid": ("-", 2.2), "dashed": ("--", 1.2), "dotted": (":", 1.6)}


def draw(axes: Axes, ledger: Sequence[Claim], edges: Sequence[Edge] = EDGES) -> None:
    """Draw the choices on the left, the benefits on the right, and each edge as :func:`status` says.

    The small fraction on an edge counts its claims that support it, of all that would.
    """
    colors = dict(zip(CHOICES, figures.COLORS, strict=False))
    for edge in edges:
        line, width = _LINES[status(edge, ledger)]
        start, end = _LEFT[edge.choice], _RIGHT[edge.benefit]
        axes.plot(
            [0, 1], [start, end], color=colors[edge.choice], linestyle=line, linewidth=width, gid=edge.name
        )
        supporting, _, total = tally(edge, ledger)
        share = 0.12 + 0.08 * BENEFITS.index(edge.benefit)
        axes.annotate(
            f"{supporting}/{total}", (share, start + share * (end - start)), color=colors[edge.choice], fontsize=8,
            ha="center", va="bottom",
        )  # fmt: skip
    _names(axes, colors)


def draw_strands(
    axes: Axes, ledger: Iterable[Claim], colors: Mapping[str, str], edges: Sequence[Edge] = EDGES
) -> None:
    """The same picture with each edge as a bundle, one strand a claim, in the color of its verdict.

    Args:
        axes: where to draw.
        ledger: gives the verdicts.
        colors: verdict -> color; strands of an edge lie in this order, from top to bottom.
        edges: what to draw.

    Raises:
        KeyError: the ledger has no row for a claim, or a verdict has no color.
    """
    verdicts = {claim.id: claim.verdict for claim in ledger}
    order = {verdict: place for place, verdict in enumerate(colors)}
    for edge in edges:
        start, end = _LEFT[edge.choice], _RIGHT[edge.benefit]
        strands = sorted((verdicts[claim] for claim in edge.claims), key=order.__getitem__)
        for place, verdict in enumerate(strands):
            lift = 0.018 * ((len(strands) - 1) / 2 - place)
            axes.plot([0, 1], [start + lift, end + lift], color=colors[verdict], linewidth=1.8, gid=edge.name)
    _names(axes, dict.fromkeys(CHOICES, figures.INK))


def _names(axes: Axes, colors: Mapping[str, str]) -> None:
    """The choices at the left ends, the benefits at the right ones."""
    for choice, height in _LEFT.items():
        axes.annotate(choice, (-0.02, height), color=colors[choice], ha="right", va="center", fontsize=10.5)
    for benefit, height in _RIGHT.items():
        axes.annotate(benefit, (1.02, height), ha="left", va="center", fontsize=10.5)
    axes.set(xlim=(-0.45, 1.5), ylim=(-0.08, 1.1))
    axes.set_axis_off()


def drawn(axes: Axes) -> dict[str, str]:
    """Edge name → "solid", "dashed" or "dotted", read off the lines that stand on ``axes``."""
    names = {line: name for name, (line, _) in _LINES.items()}
    return {line.get_gid(): names[line.get_linestyle()] for line in axes.get_lines() if line.get_gid()}
