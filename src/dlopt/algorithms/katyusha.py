"""Katyusha: variance reduction with momentum, and with a pull back to the snapshot that keeps momentum in check."""

from __future__ import annotations

import math

import numba
import numpy as np
import torch
from torch import Tensor

from dlopt.algorithms.compiled import array, arrays, one_a_step, slope
from dlopt.algorithms.finite_sums import LinearModel, Run
from dlopt.algorithms.variance_reduction import outer_iterations, snapshots_run

__all__ = ["katyusha"]


def katyusha(
    problem: LinearModel,
    start: Tensor,
    order: Tensor,
    *,
    smoothness: float,
    strong_convexity: float,
    pull: float = 0.5,
    inner_steps: int | None = None,
) -> Run:
    """An outer iteration takes ∇F(x̃) and m steps; τ_1 = min(√(m μ/(3 L)), ½), α = 1/(3 τ_1 L), τ_2 pulls to x̃:

        x = τ_1 z + τ_2 x̃ + (1 − τ_1 − τ_2) y,   g = ∇F(x̃) + ∇f_i(x) − ∇f_i(x̃),
        z ← z − α g,   y ← x + τ_1 (change of z),

    and ends in x̃ ← the mean of the y, the j-th with the weight (1 + α μ)^j.

    Args:
        problem: the finite sum.
        start: the first snapshot, shape (d,) or (members, d).
        order: the samples of all steps, shape (members, outer · m, 1).
        smoothness: L, the largest L_i.
        strong_convexity: μ.
        pull: τ_2.
        inner_steps: m; 2 n when absent.

    Returns:
        The snapshots, with members on the second axis; an outer iteration costs n + m sample gradients.

    Raises:
        ValueError: the order has another shape, or its steps are no multiple of m.

    Source: Allen-Zhu, "Katyusha: the first direct acceleration of stochastic gradient methods", 2017, algorithm 1
    with option II.
    """
    inner_steps = inner_steps or 2 * problem.samples
    tau = min(math.sqrt(inner_steps * strong_convexity / (3 * smoothness)), 0.5)
    alpha = 1 / (3 * tau * smoothness)
    snapshot = start.expand(len(order), problem.dimension)
    y, z, snapshots = array(snapshot).copy(), array(snapshot).copy(), [snapshot]
    for part in outer_iterations(order, inner_steps):
        slopes = problem.slopes(snapshot @ problem.inputs.mT)
        offset = problem.gradient(snapshot) - problem.ridge * snapshot
        mean = _katyusha(
            *arrays(problem), y, z, array(snapshot), array(slopes), array(offset),
            tau, pull, alpha, 1 + alpha * strong_convexity, one_a_step(part, problem.samples),
        )  # fmt: skip
        snapshot = torch.from_numpy(mean).to(start)
        snapshots.append(snapshot)
    return snapshots_run(problem, snapshots, inner_steps)


@numba.njit
def _katyusha(inputs, targets, loss, ridge, y, z, snapshot, slopes, offset, tau, pull, alpha, growth, order):
    members, steps = order.shape
    d = inputs.shape[1]
    result = np.zeros((members, d))
    x = np.empty(d)
    for member in range(members):
        weight, total = 1.0, 0.0
        for t in range(steps):
            i = order[member, t]
            prediction = 0.0
            for k in range(d):
                rest = 1.0 - tau - pull
                x[k] = tau * z[member, k] + pull * snapshot[member, k] + rest * y[member, k]
                prediction += inputs[i, k] * x[k]
            change = slope(prediction, targets[i], loss) - slopes[member, i]
            for k in range(d):
                step = -alpha * (change * inputs[i, k] + ridge * x[k] + offset[member, k])
                z[member, k] += step
                y[member, k] = x[k] + tau * step
                result[member, k] += weight * y[member, k]
            total += weight
            weight *= growth
        result[member] /= total
    return result
