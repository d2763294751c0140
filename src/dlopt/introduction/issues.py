"""Four ways in which gradient descent fails, each on a function of two variables: section 1.1 of the survey.

The survey divides the issues of optimization into local ones (convergence, which exploding and vanishing gradients
endanger, and convergence speed) and global ones (bad local minima, plateaus and the like).  :data:`ISSUES` holds
one function for each leaf of that tree, and :func:`terminal_state` names the leaf from the end of a run alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor
from torch.func import grad, hessian

from dlopt import figures

__all__ = [
    "ISSUES", "Issue", "Run", "chain", "descend", "draw_run", "terminal_state", "tilted_wells", "valley", "well",
]  # fmt: skip

Function = Callable[[Tensor], Tensor]
"""Maps θ = (u, v), shape (2,), or a grid of shape (2, …), to F(θ)."""


def chain(theta: Tensor) -> Tensor:
    """F = ½(u³v³ - 1)²: equation (13) with six factors that share two weights."""
    u, v = theta
    return (u**3 * v**3 - 1) ** 2 / 2


def valley(theta: Tensor) -> Tensor:
    """F = ½(u² + 400 v²): a bowl with condition number 400."""
    u, v = theta
    return (u**2 + 400 * v**2) / 2


def tilted_wells(theta: Tensor) -> Tensor:
    """F = (u² - 1)² + 0.3 u + ½v²: two wells, of which the left one is deeper."""
    u, v = theta
    return (u**2 - 1) ** 2 + 0.3 * u + v**2 / 2


def well(theta: Tensor) -> Tensor:
    """F = 1 - exp(-(u² + v²)/2): a narrow well in a plain that is almost flat."""
    u, v = theta
    return -torch.expm1(-(u**2 + v**2) / 2)


@dataclass(frozen=True)
class Run:
    """A function and how gradient descent is run on it.

    Attributes:
        function: F.
        minimum: F*, its smallest value.
        start: θ_0.
        step_size: η of (6).
        clip: the largest norm of a gradient that is used, or infinity.
        steps: T.
    """

    function: Function
    minimum: float
    start: tuple[float, float]
    step_size: float
    clip: float = float("inf")
    steps: int = 200


@dataclass(frozen=True)
class Issue:
    """A leaf of the tree of issues.

    Attributes:
        leaf: what :func:`terminal_state` must say of ``run``.
        kind: "local" or "global".
        run: where it shows.
        cause: what makes it happen, in a few words.
        mended: the run with that cause removed, and nothing else changed.
        best: where F attains its minimum.
        window: the part of the plane to show: left, right, bottom, top.
    """

    leaf: str
    kind: str
    run: Run
    cause: str
    mended: Run
    best: tuple[float, float]
    window: tuple[float, float, float, float]


def descend(run: Run, *, limit: float = 1e6) -> np.ndarray:
    """θ_0, …, θ_T of θ_{t+1} = θ_t - η ∇F(θ_t), (6), with the gradient shortened to norm ``clip`` if longer.

    Args:
        run: what to run.
        limit: a run that leaves this radius ends there.

    Returns:
        (T + 1, 2), or fewer rows for a run that ended early.
    """
    gradient = grad(run.function)
    path = [torch.tensor(run.start, dtype=torch.float64)]
    while len(path) <= run.steps and path[-1].norm() <= limit:
        slope = gradient(path[-1])
        path.append(path[-1] - run.step_size * slope * min(1.0, run.clip / float(slope.norm() + 1e-300)))
    return torch.stack(path).numpy()


def terminal_state(
    run: Run, path: np.ndarray, *, tolerance: float = 0.1, flat: float = 1e-2, limit: float = 1e6
) -> str:
    """Where a run ended, judged by the value, the gradient and the Hessian at the last iterate alone.

    - "diverged": not finite, or farther away than ``limit``;
    - "ok": F - F* is at most ``tolerance``;
    - "slow": it is larger, and the gradient is not small: the run is still on its way;
    - "bad local minimum": the gradient is smaller than ``flat``, all curvatures are larger;
    - "plateau": the gradient is smaller than ``flat`` and so is some curvature.

    Args:
        run: what was run.
        path: what :func:`descend` returned.
        tolerance: in units of F.
        flat: below which a gradient's norm and a curvature count as none.
        limit: that of :func:`descend`.
    """
    last = torch.from_numpy(path[-1])
    if not torch.isfinite(last).all() or last.norm() > limit:
        return "diverged"
    if run.function(last) - run.minimum <= tolerance:
        return "ok"
    if grad(run.function)(last).norm() > flat:
        return "slow"
    least_curvature = torch.linalg.eigvalsh(hessian(run.function)(last))[0]
    return "bad local minimum" if least_curvature > flat else "plateau"


def _logarithm_of_well(theta: Tensor) -> Tensor:
    """-log(1 - F) for the well: ½(u² + v²), with the same level sets."""
    return (theta**2).sum(dim=0) / 2


def _round_bowl(theta: Tensor) -> Tensor:
    """The valley in coordinates in which all curvatures are equal."""
    return 200 * (theta**2).sum(dim=0)


def _bottom_of_wells() -> tuple[float, float]:
    """The left root of F' = 4u³ - 4u + 0.3, at v = 0."""
    return float(np.roots([4, 0, -4, 0.3]).real.min()), 0.0


def _issues() -> tuple[Issue, ...]:
    bottom = _bottom_of_wells()
    explosion = Run(chain, 0.0, (1.6, 1.4), 0.05)
    slowness = Run(valley, 0.0, (-3.0, 0.6), 1.9 / 400)
    wells = Run(
        tilted_wells, float(tilted_wells(torch.tensor(bottom, dtype=torch.float64))), (1.7, 1.5), 0.05
    )
    plateau = Run(well, 0.0, (3.2, 2.4), 0.05)
    return (
        Issue(
            "diverged", "local", explosion, "gradients explode", replace(explosion, clip=1.0),
            best=(1.0, 1.0), window=(-0.2, 2.2, -0.2, 2.2),
        ),
        Issue(
            "slow", "local", slowness, "curvatures differ", replace(slowness, function=_round_bowl),
            best=(0.0, 0.0), window=(-3.4, 0.7, -0.9, 0.9),
        ),
        Issue(
            "bad local minimum", "global", wells, "start in a wrong basin", replace(wells, start=(-0.3, 1.5)),
            best=bottom, window=(-1.9, 1.9, -1.2, 1.8),
        ),
        Issue(
            "plateau", "global", plateau, "the loss saturates", replace(plateau, function=_logarithm_of_well),
            best=(0.0, 0.0), window=(-2.0, 4.0, -2.0, 3.2),
        ),
    )  # fmt: skip


ISSUES: tuple[Issue, ...] = _issues()
"""One for each leaf, in the survey's order."""


def draw_run(axes: Axes, issue: Issue, path: np.ndarray) -> None:
    """Contours of F - F* on a logarithmic scale, and the path: circle at its start, cross at its end, star at θ*.

    Args:
        axes: where to draw.
        issue: gives the function and the window.
        path: what :func:`descend` returned for ``issue.run``.
    """
    left, right, bottom, top = issue.window
    u, v = np.meshgrid(np.linspace(left, right, 200), np.linspace(bottom, top, 200))
    values = issue.run.function(torch.from_numpy(np.stack([u, v]))).numpy() - issue.run.minimum
    axes.contour(u, v, np.log10(values + 1e-3), levels=12, cmap="viridis", linewidths=0.8, alpha=0.8)
    axes.plot(*path.T, color=figures.RED, marker=".", markersize=3, linewidth=1.4)
    axes.plot(*path[0], "o", color=figures.RED, markersize=9, markerfacecolor="none")
    axes.plot(*path[-1], "x", color=figures.RED, markersize=8, markeredgewidth=2)
    axes.plot(*issue.best, "*", color=figures.ORANGE, markersize=12)
    axes.set(
        title=f"{issue.kind}: {issue.leaf}",
        xlim=(left, right),
        ylim=(bottom, top),
        xlabel="$u$",
        ylabel="$v$",
    )
    axes.grid(visible=False)
