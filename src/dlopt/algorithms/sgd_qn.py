"""SGD with a diagonal estimated from secants (SGD-QN), as published and with the curvature taken along each axis."""

from __future__ import annotations

from typing import Literal

import numba
import numpy as np
import torch
from torch import Tensor

from dlopt.algorithms.compiled import array, arrays, one_a_step, slope
from dlopt.algorithms.finite_sums import LinearModel, Run
from dlopt.algorithms.stochastic_gradient import recorded_run

__all__ = ["sgd_qn"]


def sgd_qn(
    problem: LinearModel,
    start: Tensor,
    order: Tensor,
    *,
    t_0: float,
    skip: int = 16,
    curvature: Literal["secant", "axis", "none"] = "secant",
    every: int | None = None,
) -> tuple[Run, Tensor]:
    """w ← w − B ℓ'(x_iᵀw, y_i) x_i / (t + t_0) at every step, w ← w − skip λ B w / (t + t_0) at every skip-th.

    After every skip-th sample the same sample is looked at again, and with s the step and y the difference of its two
    gradients the diagonal B, which starts at 1/λ, moves toward the ratio: B_kk ← (1 − ρ) B_kk + ρ s_k/y_k with
    ρ = 2 skip/(t + t_0 + skip), clipped to [1/(100 λ), 100/λ].

    One sample has a Hessian of rank one, ℓ'' x xᵀ + λ I.  So y = ℓ'' (xᵀs) x + λ s and, with s_k = −η B_kk ℓ' x_k,

        y_k/s_k = λ + ℓ'' (Σ_j B_jj x_j²) / B_kk      for every k with x_k ≠ 0:

    the entries of x have canceled.  A diagonal that starts as a multiple of I stays one, unless inputs are sparse.

    Args:
        problem: the finite sum, with λ > 0.
        start: w_0, (d,).
        order: the samples, (members, steps, 1).
        t_0: the first step size is 1/(λ t_0).
        skip: steps between two looks at the curvature, and between two steps on the ridge.
        curvature: "secant" as above, published in 2009; "axis" averages the curvature along each axis instead,
            1/B_kk ← (1 − ρ)/B_kk + ρ (λ + ℓ'' x_k²); "none" keeps B = I/λ, which is SGD.
        every: record every so many steps; an epoch when absent.

    Returns:
        The run, and the last diagonal B, (members, d).  The second look costs a gradient and is counted.

    Raises:
        ValueError: λ = 0, an order of another shape, or no such curvature.

    Source: Bordes, Bottou and Gallinari, SGD-QN: Careful quasi-Newton stochastic gradient descent (2009), whose
    erratum (2010) says that the published update misses its aim.
    """
    if problem.ridge <= 0:
        raise ValueError("SGD-QN divides by the ridge λ, which must be positive.")
    if curvature not in ("secant", "axis", "none"):
        raise ValueError(f"there is no curvature {curvature!r}: choose secant, axis or none.")
    every = every or problem.samples
    theta = array(start.expand(len(order), problem.dimension)).copy()
    kind = ("none", "secant", "axis").index(curvature)
    samples = one_a_step(order, problem.samples)
    iterates, scales = _sgd_qn(*arrays(problem), theta, t_0, samples, skip, kind, every)
    looks = 0 if curvature == "none" else 1 / skip
    run = recorded_run(problem, iterates, every)
    work = (run.gradient_evaluations * (1 + looks)).round().to(run.gradient_evaluations)
    return Run(run.iterates, run.values, work, run.samples), torch.from_numpy(scales)


@numba.njit
def _sgd_qn(inputs, targets, loss, ridge, theta, t_0, order, skip, kind, every):
    members, steps = order.shape
    d = inputs.shape[1]
    recorded = np.empty((steps // every + 1, members, d))
    recorded[0] = theta
    scales = np.full((members, d), 1 / ridge)
    moved = np.empty(d)
    for member in range(members):
        scale = scales[member]
        for step in range(steps):
            x, target = inputs[order[member, step]], targets[order[member, step]]
            t = step + t_0
            prediction = np.dot(x, theta[member])
            first = slope(prediction, target, loss)
            for k in range(d):
                moved[k] = -scale[k] * first * x[k] / t
                theta[member, k] += moved[k]
            if (step + 1) % skip == 0:
                if kind > 0:
                    _look_again(x, target, loss, ridge, prediction, first, moved, scale, t, skip, kind)
                for k in range(d):
                    theta[member, k] -= skip * ridge * scale[k] * theta[member, k] / t
            if (step + 1) % every == 0:
                recorded[(step + 1) // every, member] = theta[member]
    return recorded, scales


@numba.njit
def _look_again(x, target, loss, ridge, prediction, first, moved, scale, t, skip, kind):
    """The update of B from the slope of the same sample after the step."""
    along = np.dot(x, moved)
    change = slope(prediction + along, target, loss) - first
    second = change / along if along != 0 else 0.0
    rho = 2 * skip / (t + skip) if t > skip else skip / (t + skip)
    for k in range(len(scale)):
        if kind == 1 and change != 0:
            ratio = moved[k] / (change * x[k] + ridge * moved[k]) if moved[k] != 0 else 1 / ridge
            scale[k] = (1 - rho) * scale[k] + rho * ratio
        elif kind == 2:
            scale[k] = 1 / ((1 - rho) / scale[k] + rho * (ridge + second * x[k] ** 2))
        scale[k] = min(max(scale[k], 0.01 / ridge), 100 / ridge)
