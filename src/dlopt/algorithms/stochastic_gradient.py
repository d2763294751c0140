"""Stochastic gradient descent on a finite sum (20), in a compiled loop: θ_{t+1} = θ_t − α_t ∇F_{i_t}(θ_t)."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
import torch
from torch import Tensor

from dlopt.algorithms.compiled import array, arrays, batch_gradient, indices
from dlopt.algorithms.finite_sums import LinearModel, Run

__all__ = ["recorded_run", "sgd", "step_sizes"]

Schedule = Callable[[int], float] | Tensor | float


def sgd(
    problem: LinearModel, start: Tensor, step_size: Schedule, order: Tensor, *, every: int | None = None
) -> Run:
    """SGD: θ_{t+1} = θ_t − α_t (1/b) Σ_{i in batch t} ∇f_i(θ_t), for all members of ``order`` from one start.

    Args:
        problem: the finite sum.
        start: θ_0, shape (d,) or (members, d).
        step_size: α, a number; α_t as a function of t = 0, 1, …; or a tensor of shape (steps,) or (members, steps).
        order: the samples of each step, shape (members, steps, b); see :mod:`dlopt.algorithms.sampling`.
        every: record every so many steps; an epoch when absent.

    Returns:
        The run, with members on the second axis.

    Raises:
        ValueError: the shapes do not match, or the order names a sample that is not there.

    Source: section 5.1 of the survey, below (20).
    """
    members, steps, batch = order.shape
    every = every or max(1, problem.samples // batch)
    alphas = step_sizes(step_size, members, steps)
    theta = array(start.expand(members, problem.dimension)).copy()
    iterates = _sgd(*arrays(problem), theta, alphas, indices(order, problem.samples), every)
    return recorded_run(problem, iterates, batch * every)


def step_sizes(step_size: Schedule, members: int, steps: int) -> np.ndarray:
    """α_t of every member, shape (members, steps), from what :func:`sgd` takes.

    Raises:
        ValueError: a tensor of another shape.
    """
    if callable(step_size):
        step_size = torch.tensor([float(step_size(t)) for t in range(steps)], dtype=torch.float64)
    values = torch.as_tensor(step_size, dtype=torch.float64)
    if values.ndim and values.shape not in ((steps,), (members, steps)):
        raise ValueError(
            f"step sizes must have shape ({steps},) or ({members}, {steps}), not {tuple(values.shape)}."
        )
    return array(values.expand(members, steps))


def recorded_run(problem: LinearModel, iterates: np.ndarray, evaluations: int) -> Run:
    """The run whose iterates, shape (recorded, members, d), were recorded every ``evaluations`` sample gradients."""
    thetas = torch.from_numpy(iterates).to(problem.inputs)
    work = evaluations * torch.arange(len(thetas), device=thetas.device)
    return Run(thetas, problem.value(thetas), work, problem.samples)


@numba.njit
def _sgd(inputs, targets, loss, ridge, theta, alphas, order, every):
    members, steps, _ = order.shape
    d = inputs.shape[1]
    recorded = np.empty((steps // every + 1, members, d))
    recorded[0] = theta
    gradient = np.empty(d)
    for member in range(members):
        for t in range(steps):
            batch_gradient(inputs, targets, loss, ridge, theta[member], order[member, t], gradient)
            for k in range(d):
                theta[member, k] -= alphas[member, t] * gradient[k]
            if (t + 1) % every == 0:
                recorded[(t + 1) // every, member] = theta[member]
    return recorded
