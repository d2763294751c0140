"""Barzilai–Borwein step sizes for stochastic methods: one secant pair an epoch sets the step of the next epoch."""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

from dlopt.algorithms.barzilai_borwein import long_step
from dlopt.algorithms.compiled import array, arrays, one_a_step, slope
from dlopt.algorithms.finite_sums import LinearModel, Run
from dlopt.algorithms.stochastic_gradient import recorded_run
from dlopt.algorithms.variance_reduction import outer_iterations, snapshots_run, svrg_epoch

__all__ = ["sgd_bb", "svrg_bb"]


def svrg_bb(
    problem: LinearModel,
    start: Tensor,
    first_step: float,
    order: Tensor,
    *,
    inner_steps: int | None = None,
) -> tuple[Run, Tensor]:
    """SVRG with η_k = (1/m) ‖s‖² / sᵀy from the last two snapshots and their full gradients.

    After m steps of size η_k the snapshot has moved by about m η_k ∇F: a whole epoch is one step of the
    Barzilai–Borwein method, which explains the 1/m.  A member that no longer moves keeps its step size.

    Args:
        problem: the finite sum.
        start: the first snapshot, (d,).
        first_step: η_0, of the first epoch only.
        order: the samples of all steps, (members, outer · m, 1).
        inner_steps: m; 2n when absent, as in the paper's experiments.

    Returns:
        The run, whose recorded iterates are the snapshots, and the step sizes, (outer, members).

    Raises:
        ValueError: the steps are no multiple of m.

    Source: Tan, Ma, Dai and Qian, Barzilai–Borwein step size for stochastic gradient descent (2016), algorithm 2.
    """
    inner_steps, members = inner_steps or 2 * problem.samples, len(order)
    snapshot = start.expand(members, problem.dimension)
    gradient = problem.gradient(snapshot)
    eta = torch.full((members,), first_step, dtype=torch.float64)
    snapshots, etas = [snapshot], []
    for part in outer_iterations(order, inner_steps):
        etas.append(eta)
        moved = svrg_epoch(problem, snapshot, gradient, eta, part)
        moved_gradient = problem.gradient(moved)
        s, y = moved - snapshot, moved_gradient - gradient
        eta = torch.where((s * y).sum(dim=-1) > 0, long_step(s, y) / inner_steps, eta)
        snapshot, gradient = moved, moved_gradient
        snapshots.append(snapshot)
    return snapshots_run(problem, snapshots, inner_steps), torch.stack(etas)


def sgd_bb(problem: LinearModel, start: Tensor, first_step: float, order: Tensor) -> tuple[Run, Tensor]:
    """SGD with η_k = (1/m) ‖s‖² / |sᵀy|, y from running means of sample gradients, smoothed to C_k/(k+1).

    The mean of an epoch is ĝ ← β ∇f_i + (1 − β) ĝ with β = 10/m.  Its noise would make the steps jump, so the paper
    takes the geometric mean C_k of the first k values of η_j (j + 1) and steps by η_k = C_k/(k + 1).

    Args:
        problem: the finite sum.
        start: θ_0, (d,).
        first_step: η_0 = η_1, of the first two epochs, in which there is no secant pair yet.
        order: the samples of all steps, (members, epochs · n, 1); an epoch of m = n steps has one size.

    Returns:
        The run, recorded every epoch, and the step sizes, (epochs, members).

    Raises:
        ValueError: the order has another shape, or its steps are no whole epochs.

    Source: Tan, Ma, Dai and Qian (2016), algorithm 3 and equation (3.5), with φ(k) = k + 1.
    """
    samples, m = one_a_step(order, problem.samples), problem.samples
    members, steps = samples.shape
    if steps % m:
        raise ValueError(f"{steps} steps are no whole epochs of {m}.")
    theta = array(start.expand(members, problem.dimension)).copy()
    eta, logs = np.full(members, first_step), np.zeros(members)
    snapshots, means, etas = [theta.copy()], [], []
    for k in range(steps // m):
        if k > 1:
            s, y = snapshots[-1] - snapshots[-2], means[-1] - means[-2]
            raw = (s**2).sum(axis=1) / np.abs((s * y).sum(axis=1)) / m
            logs += (np.log(raw * (k + 1)) - logs) / (k - 1)
            eta = np.exp(logs) / (k + 1)
        etas.append(torch.from_numpy(eta.copy()))
        means.append(_averaged_epoch(*arrays(problem), theta, eta, samples[:, k * m : (k + 1) * m], 10 / m))
        snapshots.append(theta.copy())
    return recorded_run(problem, np.stack(snapshots), m), torch.stack(etas)


@numba.njit
def _averaged_epoch(inputs, targets, loss, ridge, theta, eta, order, beta):
    """One epoch of SGD, in place, and the running mean of its sample gradients."""
    members, steps = order.shape
    mean = np.zeros_like(theta)
    for member in range(members):
        for t in range(steps):
            x = inputs[order[member, t]]
            weight = slope(np.dot(x, theta[member]), targets[order[member, t]], loss)
            for k in range(len(x)):
                gradient = weight * x[k] + ridge * theta[member, k]
                theta[member, k] -= eta[member] * gradient
                mean[member, k] += beta * (gradient - mean[member, k])
    return mean
