"""What "gradient descent converges" can mean, decided from a finite run, and how fast a gradient may vanish.

No finite run proves convergence.  The rule here is plain: the run is cut into decades of iterations, and a quantity
is said to vanish when each decade leaves at most the share ``shrink`` of the one before.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise

import torch
from torch import Tensor

from dlopt.algorithms.gradient_descent import Trajectories

__all__ = ["Notions", "geometric_steps", "lojasiewicz_exponent", "notions_of_convergence"]

NEGLIGIBLE = 1e-9
"""What is below this counts as having vanished."""


@dataclass(frozen=True)
class Notions:
    """Which notions of convergence the runs meet: each a tensor of truth values of shape (starts,)."""

    limit_points_stationary: Tensor
    """Every limit point is stationary; vacuously so when there is none."""
    single_limit: Tensor
    """The iterates converge to one point."""
    values_converge: Tensor
    """F(θ_t) converges to a finite value."""
    gradients_vanish: Tensor
    """∇F(θ_t) → 0."""
    limit_point_exists: Tensor
    """The iterates stay bounded, so that there is a limit point at all."""

    def unanimous(self) -> dict[str, bool]:
        """Each notion's verdict when all starts agree.

        Raises:
            ValueError: the starts disagree.
        """
        verdicts = {}
        for field in fields(self):
            met = getattr(self, field.name)
            if met.any() != met.all():
                raise ValueError(f"the starts disagree on {field.name}: {met.tolist()}.")
            verdicts[field.name] = bool(met.all())
        return verdicts


def geometric_steps(last: int, per_decade: int = 40) -> list[int]:
    """Iterations to record, evenly spaced on a logarithmic axis, each with the next one: what flips sign shows.

    Args:
        last: the last iteration.
        per_decade: how many in each factor of ten.
    """
    count = int(per_decade * torch.tensor(float(last)).log10()) + 1
    times = {int(10 ** (k / per_decade)) for k in range(count)}
    return sorted(t for t in times | {t + 1 for t in times} if t < last)


def notions_of_convergence(run: Trajectories, decades: int = 1, shrink: float = 0.7) -> Notions:
    """Decide the notions of convergence of section 3.2 from recorded iterates.

    Over each of the last ``decades`` decades of t, and the one before them, are taken the largest ‖∇F(θ_t)‖, the
    range of F(θ_t), the diameter of the box that holds the iterates, and the growth of max ‖θ_t‖.  Each of them
    vanishes when every decade's is at most ``shrink`` times that of the one before.  The iterates escape when the
    growth does not vanish, or when a start diverged.

    Args:
        run: at least ``decades`` + 2 decades of iterations, recorded at every step or densely.
        decades: how many ratios must agree.
        shrink: largest ratio that counts as vanishing.

    Source: section 3.2 of the survey, below equation (12).
    """
    last = float(run.steps[-1])
    edges = [last / 10**k for k in range(decades + 1, -1, -1)]
    windows = [(run.steps > low) & (run.steps <= high) for low, high in pairwise(edges)]
    norms = torch.linalg.vector_norm(run.points, dim=-1)
    slopes = torch.stack([run.gradient_norms[window].amax(dim=0) for window in windows])
    ranges = torch.stack([_range(run.values[window]) for window in windows])
    sizes = torch.stack([torch.linalg.vector_norm(_range(run.points[window]), dim=-1) for window in windows])
    tops = torch.stack(
        [norms[run.steps <= edges[0]].amax(dim=0), *(norms[window].amax(dim=0) for window in windows)]
    )
    bounded = _vanishes(tops.diff(dim=0).clamp(min=0), shrink) & ~run.diverged
    slopes_vanish = _vanishes(slopes, shrink) & ~run.diverged
    return Notions(
        limit_points_stationary=slopes_vanish | ~bounded,
        single_limit=_vanishes(sizes, shrink) & bounded,
        values_converge=_vanishes(ranges, shrink) & ~run.diverged,
        gradients_vanish=slopes_vanish,
        limit_point_exists=bounded,
    )


def _range(series: Tensor) -> Tensor:
    """max − min over time, the first axis."""
    return series.amax(dim=0) - series.amin(dim=0)


def _vanishes(by_decade: Tensor, shrink: float) -> Tensor:
    """Whether each entry of a column, shape (decades, starts), is at most ``shrink`` times the one above, or ≈ 0."""
    small = by_decade[1:] <= NEGLIGIBLE
    return ((by_decade[1:] <= shrink * by_decade[:-1]) | small).all(dim=0)


def lojasiewicz_exponent(run: Trajectories, limit_value: Tensor | float, low: float, high: float) -> Tensor:
    """The exponent α in ‖∇F(θ_t)‖ ∝ (F(θ_t) − F̂)^α along each run: the slope in doubly logarithmic axes.

    Łojasiewicz' inequality asks for α < 1 near the limit; then a descent run has finite length.

    Args:
        run: recorded iterates.
        limit_value: F̂, a number or shape (starts,).
        low, high: the iterates with low ≤ F − F̂ ≤ high enter the fit.

    Returns:
        Shape (starts,).
    """
    excess = run.values - limit_value
    result = []
    for gap, slope in zip(excess.T, run.gradient_norms.T, strict=True):
        chosen = (gap >= low) & (gap <= high)
        x, y = gap[chosen].log(), slope[chosen].log()
        x = x - x.mean()
        result.append((x * y).sum() / x.square().sum())
    return torch.stack(result)
