"""Gradient descent, equation (6), from many starts at once, and rules for its step size.

A point is a row: ``starts`` has shape (starts, d), and a function maps (starts, d) to (starts,), one value a row.
A step-size rule is any callable that :class:`StepSize` describes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

__all__ = [
    "StepSize",
    "Trajectories",
    "armijo",
    "armijo_by_interpolation",
    "constant",
    "descend",
    "gradient_of",
    "one_over_local_constant",
    "quadratic_upper_bound",
]

Function = Callable[[Tensor], Tensor]
"""(starts, d) -> (starts,): each row's value, from that row alone."""

Gradient = Callable[[Tensor], Tensor]
"""(starts, d) -> (starts, d): each row's gradient."""


class StepSize(Protocol):
    """A rule for the step size: what :func:`descend` asks at every iterate."""

    def __call__(self, function: Function, points: Tensor, gradients: Tensor) -> Tensor:
        """The step sizes η_t, shape (starts,) or (), at ``points`` with ``gradients``, both of shape (starts, d)."""
        ...


@dataclass(frozen=True)
class Trajectories:
    """What :func:`descend` recorded; time is the first axis, the start the second."""

    steps: Tensor
    """Recorded iterations t, shape (recorded,)."""
    points: Tensor
    """θ_t, shape (recorded, starts, d)."""
    values: Tensor
    """F(θ_t), shape (recorded, starts)."""
    gradient_norms: Tensor
    """‖∇F(θ_t)‖, shape (recorded, starts)."""
    step_sizes: Tensor
    """η_t that led away from θ_t, shape (recorded, starts); 0 once a start is frozen and at the last iterate."""
    lengths: Tensor
    """Σ_{s<t} ‖θ_{s+1} − θ_s‖, shape (recorded, starts)."""
    diverged: Tensor
    """Whether the start left the ball of radius ``limit`` or met a value that is no number, shape (starts,)."""
    taken: Tensor
    """How many steps the start took before it was frozen, shape (starts,)."""

    @property
    def never_rises(self) -> Tensor:
        """Whether F(θ_t) never rises between recorded iterates by more than rounding, and no start diverged.

        Shape (starts,).
        """
        slack = 1e-14 * self.values.abs().amax(dim=0)
        return (self.values.diff(dim=0) <= slack).all(dim=0) & ~self.diverged


def gradient_of(function: Function) -> Gradient:
    """∇F by automatic differentiation: the rows are independent, so the gradient of their sum holds them all."""

    def gradient(points: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = points.detach().requires_grad_()
            (result,) = torch.autograd.grad(function(leaf).sum(), leaf)
        return result

    return gradient


def descend(
    function: Function,
    starts: Tensor,
    step_size: StepSize | Tensor | float,
    steps: int,
    *,
    gradient: Gradient | None = None,
    every: int | Sequence[int] = 1,
    tolerance: float = 0.0,
    limit: float = 1e8,
) -> Trajectories:
    """Gradient descent θ_{t+1} = θ_t − η_t ∇F(θ_t), equation (6), from every row of ``starts``.

    A start is frozen where it stands when its next iterate would leave the ball of radius ``limit`` or is no number
    (it diverged), or when ‖∇F(θ_t)‖ ≤ ``tolerance`` (it arrived); the others go on.

    Args:
        function: F, maps (starts, d) to (starts,).
        starts: θ_0, shape (starts, d), or (d,) for one start; float64 unless there is a reason.
        step_size: a rule, or a constant η: a number, or a tensor of shape (starts,) with one for each start.
        steps: how many steps to take at most.
        gradient: ∇F, maps (starts, d) to (starts, d); by automatic differentiation when absent.
        every: record every so many iterates, or the iterates to record; the first and the last always are.
        tolerance: gradient norm at which a start has arrived.
        limit: radius of the ball outside which a start counts as diverged.

    Raises:
        ValueError: ``starts`` is no matrix of points, or ``steps`` is negative.

    Source: equation (6), page 7 of the survey.
    """
    points = torch.atleast_2d(starts.detach()).clone()
    if points.ndim != 2:
        raise ValueError(f"starts must have shape (starts, d), not {tuple(starts.shape)}.")
    if steps < 0:
        raise ValueError(f"steps is {steps}: gradient descent does not run backward.")
    rule = step_size if callable(step_size) else constant(step_size)
    gradient = gradient or gradient_of(function)
    wanted = {0, steps, *(range(0, steps, every) if isinstance(every, int) else every)}

    count = len(points)
    moving = torch.ones(count, dtype=torch.bool)
    diverged = torch.zeros(count, dtype=torch.bool)
    taken = torch.zeros(count, dtype=torch.long)
    length = points.new_zeros(count)
    record: list[tuple[Tensor, ...]] = []
    times: list[int] = []
    with torch.no_grad():
        for t in range(steps + 1):
            slope = gradient(points)
            norm = torch.linalg.vector_norm(slope, dim=1)
            moving = moving & (norm > tolerance)
            last = t == steps or not moving.any()
            eta = points.new_zeros(count) if last else torch.where(moving, rule(function, points, slope), 0.0)
            if t in wanted or last:
                times.append(t)
                record.append((points, function(points), norm, eta, length))
            if last:
                break
            step = torch.where(moving[:, None], eta[:, None] * slope, 0.0)
            moved = points - step
            inside = torch.linalg.vector_norm(moved, dim=1) <= limit  # False where it is not a number
            diverged = diverged | (moving & ~inside)
            moving = moving & inside
            points = torch.where(moving[:, None], moved, points)
            length = length + torch.where(moving, torch.linalg.vector_norm(step, dim=1), 0.0)
            taken += moving
    columns = (torch.stack(column) for column in zip(*record, strict=True))
    return Trajectories(torch.tensor(times), *columns, diverged=diverged, taken=taken)


def constant(eta: Tensor | float) -> StepSize:
    """The constant step size η_t = η; a tensor of shape (starts,) gives each start its own."""

    def rule(function: Function, points: Tensor, gradients: Tensor) -> Tensor:
        return torch.as_tensor(eta, dtype=points.dtype)

    return rule


def armijo(initial: float = 1.0, shrink: float = 0.5, decrease: float = 1e-4, trials: int = 80) -> StepSize:
    """Armijo's line search: the largest η = s ρ^m, m = 0, 1, …, with F(θ − η∇F) ≤ F(θ) − c η ‖∇F‖².

    It needs values of F alone: no constant that holds everywhere.  Where no trial is accepted, which happens only
    when ‖∇F‖² has sunk below rounding, the step is 0.

    Args:
        initial: s, the first trial.
        shrink: ρ in (0, 1), the factor after a refusal.
        decrease: c in (0, 1), the share of the decrease that the slope promises.
        trials: how many trials before giving up.

    Source: Proposition 1.2.1 of Bertsekas, *Nonlinear Programming*, which page 9 of the survey names.
    """

    def rule(function: Function, points: Tensor, gradients: Tensor) -> Tensor:
        value, squared_norm = function(points), gradients.square().sum(dim=1)
        eta = torch.full_like(value, initial)
        for _ in range(trials):
            new_value = function(points - eta[:, None] * gradients)
            accepted = new_value <= value - decrease * eta * squared_norm
            if accepted.all():
                return eta
            eta = torch.where(accepted, eta, shrink * eta)
        return torch.where(accepted, eta, 0.0)

    return rule


def armijo_by_interpolation(initial: float = 1.0, decrease: float = 1e-4, smallest: float = 0.0) -> StepSize:
    """Armijo's condition as in :func:`armijo`, but a refused trial is replaced by a polynomial's minimizer.

    The second trial minimizes the parabola through φ(0), φ'(0) and φ(η), where φ(η) = F(θ − η∇F); the later ones the
    cubic through φ(0), φ'(0) and the last two trials.  A trial above half of the last one, or below 4 % of it,
    is replaced by half of the last one.  This is SciPy's rule, ``scipy.optimize._linesearch.scalar_search_armijo``.

    Args:
        initial: the first trial.
        decrease: c in (0, 1).
        smallest: give up, with step 0, below this step.

    Source: Nocedal and Wright, *Numerical Optimization*, section 3.5.
    """

    def rule(function: Function, points: Tensor, gradients: Tensor) -> Tensor:
        value, slope = function(points), -gradients.square().sum(dim=1)

        def rest(eta: Tensor) -> Tensor:
            """φ(η) − φ(0) − φ'(0) η."""
            return function(points - eta[:, None] * gradients) - value - slope * eta

        before = torch.full_like(value, initial)
        rest_before = rest(before)
        accepted = rest_before <= (decrease - 1) * slope * before
        eta = torch.where(accepted, before, -slope * before**2 / (2 * rest_before))
        while True:
            rest_now = rest(eta)
            accepted = accepted | (rest_now <= (decrease - 1) * slope * eta) | ~(eta > smallest)
            if accepted.all():
                return torch.where(eta > smallest, eta, 0.0)
            now, then = rest_now / eta**2, rest_before / before**2
            a = (now - then) / (eta - before)
            b = now - a * eta
            trial = (-b + (b**2 - 3 * a * slope).abs().sqrt()) / (3 * a)
            safe = (eta - trial <= eta / 2) | (1 - trial / eta >= 0.96) | ~trial.isfinite()
            trial = torch.where(safe, eta / 2, trial)
            before, rest_before, eta = (
                torch.where(accepted, old, new)
                for old, new in ((before, eta), (rest_before, rest_now), (eta, trial))
            )

    return rule


def one_over_local_constant(curvature: Callable[[Tensor], Tensor], cap: float = float("inf")) -> StepSize:
    """The step size η_t = min(cap, 1/β(θ_t)), with β(θ) = max |eigenvalue of ∇²F(θ)| at the iterate alone.

    Without a cap nothing keeps it bounded where the Hessian vanishes, and nothing keeps Σ η_t from converging.

    Args:
        curvature: β, maps (starts, d) to (starts,).
        cap: largest step allowed.

    Source: Appendix A, page 39 of the survey.
    """

    def rule(function: Function, points: Tensor, gradients: Tensor) -> Tensor:
        return (1 / curvature(points)).clamp(max=cap)

    return rule


def quadratic_upper_bound(function: Function, centers: Tensor, beta: Tensor | float) -> Function:
    """u(x; θ) = F(θ) + ∇F(θ)ᵀ(x − θ) + (β/2)‖x − θ‖², whose minimizer over x is one step of size 1/β.

    Successive upper-bound minimization asks that u(x; θ) ≥ F(x) for every x.

    Args:
        function: F.
        centers: θ, shape (starts, d).
        beta: β, a number or shape (starts,).

    Returns:
        u(·; θ), which maps (points, starts, d) to (points, starts).

    Source: Appendix A, page 39 of the survey.
    """
    value, slope = function(centers), gradient_of(function)(centers)

    def bound(x: Tensor) -> Tensor:
        away = x - centers
        return value + (slope * away).sum(dim=-1) + 0.5 * beta * away.square().sum(dim=-1)

    return bound
