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
    "constant",
    "descend",
    "gradient_of",
    "one_over_local_constant",
    "quadratic_upper_bound",
    "scheduled",
]

Function = Callable[[Tensor], Tensor]
"""(starts, d) -> (starts,): each row's value, from that row alone."""

Gradient = Callable[[Tensor], Tensor]
"""(starts, d) -> (starts, d): each row's gradient."""


class StepSize(Protocol):
    """A rule for the step size: what :func:`descend` asks at every iterate."""

    def __call__(self, t: int, function: Function, points: Tensor, gradients: Tensor) -> Tensor:
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
    """Whether the start would have left the ball of radius ``limit`` or met a gradient that is no number."""
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

    A start is frozen where it stands when its next iterate would leave the ball of radius ``limit`` or its gradient
    is no number (it diverged), or when ‖∇F(θ_t)‖ ≤ ``tolerance`` (it arrived); the others go on.

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

    Source: equation (6), section 3 of the survey.
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
    moving = points.new_ones(count, dtype=torch.bool)
    diverged = points.new_zeros(count, dtype=torch.bool)
    taken = points.new_zeros(count, dtype=torch.long)
    length = points.new_zeros(count)
    record: list[tuple[Tensor, ...]] = []
    times: list[int] = []
    with torch.no_grad():
        for t in range(steps + 1):
            slope = gradient(points)
            norm = slope.square().sum(dim=1).sqrt()
            diverged = diverged | (moving & ~norm.isfinite())
            moving = moving & (norm > tolerance) & ~diverged
            last = t == steps or not moving.any()
            eta = (
                points.new_zeros(count)
                if last
                else torch.where(moving, rule(t, function, points, slope), 0.0)
            )
            if t in wanted or last:
                times.append(t)
                record.append((points, function(points), norm, eta, length))
            if last:
                break
            moved = points - eta[:, None] * slope
            inside = moved.square().sum(dim=1).sqrt() <= limit  # False where it is not a number
            diverged = diverged | (moving & ~inside)
            moving = moving & inside
            points = moved if moving.all() else torch.where(moving[:, None], moved, points)
            length = torch.where(moving, length + eta * norm, length)
            taken += moving
    columns = (torch.stack(column) for column in zip(*record, strict=True))
    return Trajectories(torch.tensor(times), *columns, diverged=diverged, taken=taken)


def constant(eta: Tensor | float) -> StepSize:
    """The constant step size η_t = η; a tensor of shape (starts,) gives each start its own."""

    def rule(t: int, function: Function, points: Tensor, gradients: Tensor) -> Tensor:
        return torch.as_tensor(eta, dtype=points.dtype, device=points.device)

    return rule


def scheduled(schedule: Callable[[int], Tensor | float]) -> StepSize:
    """A step size η_t = ``schedule(t)`` fixed in advance; a tensor of shape (starts,) serves each start its own."""

    def rule(t: int, function: Function, points: Tensor, gradients: Tensor) -> Tensor:
        return torch.as_tensor(schedule(t), dtype=points.dtype, device=points.device)

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

    Source: Proposition 1.2.1 of Bertsekas, *Nonlinear Programming*, which section 3.2 of the survey names.
    """

    def rule(t: int, function: Function, points: Tensor, gradients: Tensor) -> Tensor:
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


def one_over_local_constant(curvature: Callable[[Tensor], Tensor], cap: float = float("inf")) -> StepSize:
    """The step size η_t = min(cap, 1/β(θ_t)), with β(θ) = max |eigenvalue of ∇²F(θ)| at the iterate alone.

    Without a cap nothing keeps it bounded where the Hessian vanishes, and nothing keeps Σ η_t from converging.

    Args:
        curvature: β, maps (starts, d) to (starts,).
        cap: largest step allowed.

    Source: Appendix A of the survey.
    """

    def rule(t: int, function: Function, points: Tensor, gradients: Tensor) -> Tensor:
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

    Source: Appendix A of the survey.
    """
    value, slope = function(centers), gradient_of(function)(centers)

    def bound(x: Tensor) -> Tensor:
        away = x - centers
        return value + (slope * away).sum(dim=-1) + 0.5 * beta * away.square().sum(dim=-1)

    return bound
