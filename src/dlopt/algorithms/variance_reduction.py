"""SVRG and SAGA: SGD whose noise dies out, because each sample's gradient is corrected by one that is remembered.

In a linear model ∇f_i(θ) = s_i x_i + λθ with the scalar s_i = ∂ℓ/∂p at x_iᵀθ, so that remembering n gradients takes
n numbers.  Both methods keep them: SVRG those of its last full gradient, SAGA the latest of every sample.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

from dlopt.algorithms.compiled import array, arrays, one_a_step, slope
from dlopt.algorithms.finite_sums import LinearModel, Run

__all__ = ["outer_iterations", "saga", "snapshots_run", "svrg", "svrg_epoch"]


def svrg(
    problem: LinearModel, start: Tensor, step_size: float, order: Tensor, *, inner_steps: int | None = None
) -> Run:
    """SVRG: a full gradient at the snapshot θ̃, then m steps θ ← θ − α (∇f_i(θ) − ∇f_i(θ̃) + ∇F(θ̃)), then θ̃ ← θ.

    An outer iteration costs n + m sample gradients, n for ∇F(θ̃) and one a step, as the slopes at θ̃ are kept from
    the full gradient.  A model whose gradients are no multiples of x_i computes them again and pays n + 2m.

    Args:
        problem: the finite sum.
        start: the first snapshot, shape (d,) or (members, d).
        step_size: α; theory takes a fraction of 1/L_max, with L_max the largest L_i.
        order: the samples of all steps, shape (members, outer · m, 1); see :mod:`dlopt.algorithms.sampling`.
        inner_steps: m; n when absent.

    Returns:
        The snapshots, with members on the second axis.

    Raises:
        ValueError: ``order`` is not of that shape.

    Source: Johnson and Zhang, "Accelerating stochastic gradient descent using predictive variance reduction", 2013,
    procedure SVRG with option I.
    """
    inner_steps = inner_steps or problem.samples
    snapshots = [start.expand(len(order), problem.dimension)]
    for part in outer_iterations(order, inner_steps):
        snapshot = snapshots[-1]
        snapshots.append(svrg_epoch(problem, snapshot, problem.gradient(snapshot), step_size, part))
    return snapshots_run(problem, snapshots, inner_steps)


def outer_iterations(order: Tensor, inner_steps: int) -> tuple[Tensor, ...]:
    """The samples of each outer iteration of m = ``inner_steps`` steps, shape (members, m, 1).

    Raises:
        ValueError: the number of steps is no multiple of m.
    """
    if order.shape[1] % inner_steps:
        raise ValueError(
            f"{order.shape[1]} steps are no multiple of the {inner_steps} of an outer iteration."
        )
    return order.split(inner_steps, dim=1)


def snapshots_run(problem: LinearModel, snapshots: list[Tensor], inner_steps: int) -> Run:
    """The run of the snapshots, shape (members, d) each, between which lie n + m sample gradients."""
    thetas = torch.stack(snapshots)
    work = (problem.samples + inner_steps) * torch.arange(len(thetas), device=thetas.device)
    return Run(thetas, problem.value(thetas), work, problem.samples)


def svrg_epoch(
    problem: LinearModel, snapshot: Tensor, full_gradient: Tensor, step_size: Tensor | float, order: Tensor
) -> Tensor:
    """The m inner steps of :func:`svrg` from the snapshot.

    Args:
        problem: the finite sum.
        snapshot: θ̃, shape (members, d).
        full_gradient: ∇F(θ̃), shape (members, d).
        step_size: α, a number or shape (members,).
        order: the samples of each step, shape (members, m, 1).

    Returns:
        The last iterate of every member, shape (members, d).

    Raises:
        ValueError: ``order`` is not of that shape.
    """
    samples = one_a_step(order, problem.samples)
    alphas = array(torch.as_tensor(step_size, dtype=torch.float64).expand(len(samples)))
    slopes = problem.slopes(snapshot @ problem.inputs.mT)
    offset = full_gradient - problem.ridge * snapshot
    theta = array(snapshot).copy()
    _svrg(*arrays(problem), theta, array(slopes), array(offset), alphas, samples)
    return torch.from_numpy(theta).to(snapshot)


def saga(
    problem: LinearModel, start: Tensor, step_size: float, order: Tensor, *, every: int | None = None
) -> Run:
    """SAGA: θ ← θ − α (∇f_i(θ) − g_i + (1/n) Σ_j g_j), then g_i ← ∇f_i(θ), with g_j = ∇f_j(θ_0) at first.

    The table of the first g_j costs n sample gradients, every step one more.

    Args:
        problem: the finite sum.
        start: θ_0, shape (d,) or (members, d).
        step_size: α; theory takes 1/(3 L_max), with L_max the largest L_i.
        order: the sample of each step, shape (members, steps, 1); see :mod:`dlopt.algorithms.sampling`.
        every: record every so many steps; n when absent.

    Returns:
        The run, with members on the second axis.

    Raises:
        ValueError: ``order`` is not of that shape.

    Source: Defazio, Bach and Lacoste-Julien, "SAGA: a fast incremental gradient method with support for
    non-strongly convex composite objectives", arXiv 1407.0202, equation (1).
    """
    every = every or problem.samples
    samples = one_a_step(order, problem.samples)
    start = start.expand(len(samples), problem.dimension)
    table = array(problem.slopes(start @ problem.inputs.mT)).copy()
    iterates = _saga(*arrays(problem), array(start).copy(), table, step_size, samples, every)
    thetas = torch.from_numpy(iterates).to(start)
    work = problem.samples + every * torch.arange(len(thetas), device=thetas.device)
    work[0] = 0
    return Run(thetas, problem.value(thetas), work, problem.samples)


@numba.njit
def _svrg(inputs, targets, loss, ridge, theta, slopes, offset, alphas, order):
    members, steps = order.shape
    d = inputs.shape[1]
    for member in range(members):
        for t in range(steps):
            i = order[member, t]
            prediction = 0.0
            for k in range(d):
                prediction += inputs[i, k] * theta[member, k]
            change = slope(prediction, targets[i], loss) - slopes[member, i]
            for k in range(d):
                gradient = change * inputs[i, k] + ridge * theta[member, k] + offset[member, k]
                theta[member, k] -= alphas[member] * gradient


@numba.njit
def _saga(inputs, targets, loss, ridge, theta, table, alpha, order, every):
    members, steps = order.shape
    n, d = inputs.shape
    recorded = np.empty((steps // every + 1, members, d))
    recorded[0] = theta
    for member in range(members):
        mean = table[member] @ inputs / n
        for t in range(steps):
            i = order[member, t]
            prediction = 0.0
            for k in range(d):
                prediction += inputs[i, k] * theta[member, k]
            latest = slope(prediction, targets[i], loss)
            change = latest - table[member, i]
            for k in range(d):
                correction = change * inputs[i, k]
                theta[member, k] -= alpha * (correction + mean[k] + ridge * theta[member, k])
                mean[k] += correction / n
            table[member, i] = latest
            if (t + 1) % every == 0:
                recorded[(t + 1) // every, member] = theta[member]
    return recorded
