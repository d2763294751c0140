"""SGD that sets its own rates from running moments of the gradient and the curvature (vSGD)."""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

from dlopt.algorithms.compiled import array, arrays, one_a_step, second_derivative, slope
from dlopt.algorithms.finite_sums import LinearModel, Run
from dlopt.algorithms.stochastic_gradient import recorded_run

__all__ = ["vsgd"]


def vsgd(
    problem: LinearModel,
    start: Tensor,
    order: Tensor,
    *,
    first_samples: int = 10,
    overestimate: float = 2.0,
    every: int | None = None,
) -> tuple[Run, Tensor]:
    """θ ← θ − η ⊙ g with η = ḡ² / (h̄ v̄) for each coordinate, and ḡ, v̄, h̄ the running means of g, g² and ∂²f_i/∂θ².

    For samples ½ h (θ − c_i)² with Var(c_i) = σ² the greedy step size, which lowers E[(θ − E c)²] most, is
    (E g)² / (h E g²): 1/h far from the minimum, toward 0 near it.  The means forget with a memory of τ steps that
    adapts itself: τ ← (1 − ḡ²/v̄) τ + 1 grows while the gradients are noise and shrinks where they agree.

    Args:
        problem: the finite sum.
        start: θ_0, (d,).
        order: the samples, (members, steps, 1); the first ``first_samples`` of them start the means, without a step.
        first_samples: how many gradients at θ_0 start the means.
        overestimate: the factor C by which v̄ starts too large, so that the first steps are small.
        every: record every so many steps; an epoch when absent.

    Returns:
        The run, and the rates η of every recorded step, (recorded, members, d); those of step 0 are zero.

    Raises:
        ValueError: an order of another shape, or fewer steps than ``first_samples``.

    Source: Schaul, Zhang and LeCun, No more pesky learning rates (2012), algorithm 1.
    """
    samples = one_a_step(order, problem.samples)
    members, steps = samples.shape
    if steps < first_samples:
        raise ValueError(f"{steps} steps are fewer than the {first_samples} samples that start the means.")
    every = every or problem.samples
    theta = array(start.expand(members, problem.dimension)).copy()
    iterates, rates = _vsgd(*arrays(problem), theta, samples, first_samples, overestimate, every)
    return recorded_run(problem, iterates, every), torch.from_numpy(rates)


@numba.njit
def _vsgd(inputs, targets, loss, ridge, theta, order, first_samples, overestimate, every):
    members, steps = order.shape
    d = inputs.shape[1]
    recorded = np.empty((steps // every + 1, members, d))
    recorded[0] = theta
    rates = np.zeros((steps // every + 1, members, d))
    for member in range(members):
        g_mean, v_mean, h_mean = np.zeros(d), np.zeros(d), np.zeros(d)
        memory = np.full(d, 2.0)
        for t in range(steps):
            x, target = inputs[order[member, t]], targets[order[member, t]]
            prediction = np.dot(x, theta[member])
            first, second = slope(prediction, target, loss), second_derivative(prediction, target, loss)
            for k in range(d):
                g, h = first * x[k] + ridge * theta[member, k], second * x[k] ** 2 + ridge
                if t < first_samples:
                    g_mean[k] += g / first_samples
                    v_mean[k] += overestimate * g**2 / first_samples
                    h_mean[k] += h / first_samples
                    continue
                share = 1 / memory[k]
                g_mean[k] += share * (g - g_mean[k])
                v_mean[k] += share * (g**2 - v_mean[k])
                h_mean[k] += share * (h - h_mean[k])
                agreement = g_mean[k] ** 2 / v_mean[k] if v_mean[k] > 0 else 0.0
                rate = agreement / h_mean[k] if h_mean[k] > 0 else 0.0
                memory[k] = (1 - agreement) * memory[k] + 1
                theta[member, k] -= rate * g
                if (t + 1) % every == 0:
                    rates[(t + 1) // every, member, k] = rate
            if (t + 1) % every == 0:
                recorded[(t + 1) // every, member] = theta[member]
    return recorded, rates
