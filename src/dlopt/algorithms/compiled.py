"""What compiled loops over samples share: derivatives of a loss, the gradient of a mini-batch, arrays for tensors.

Compiled loops run on the CPU, in double precision.  They are compiled at their first use in a process, which takes
a second or two, and not kept on disk: Numba would not notice that :func:`slope` has changed.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from torch import Tensor

from dlopt.algorithms.finite_sums import LOSSES, LinearModel

__all__ = ["array", "arrays", "batch_gradient", "indices", "one_a_step", "second_derivative", "slope"]

SQUARED, LOGISTIC = LOSSES.index("squared"), LOSSES.index("logistic")


@numba.njit
def slope(prediction: float, target: float, loss: int) -> float:
    """∂ℓ/∂p of :class:`~dlopt.algorithms.finite_sums.LinearModel`, the loss named by its place in ``LOSSES``."""
    if loss == SQUARED:
        return prediction - target
    margin = target * prediction
    if loss == LOGISTIC:
        return -target / (1.0 + math.exp(margin))
    return -target * max(0.0, 1.0 - margin)


@numba.njit
def second_derivative(prediction: float, target: float, loss: int) -> float:
    """∂²ℓ/∂p², the loss named as in :func:`slope`."""
    if loss == SQUARED:
        return 1.0
    margin = target * prediction
    if loss == LOGISTIC:
        share = 1 / (1 + np.exp(margin))
        return share * (1 - share)
    return 1.0 if margin < 1 else 0.0


@numba.njit
def batch_gradient(inputs, targets, loss, ridge, theta, samples, gradient):
    """(1/b) Σ_{i in samples} ∂ℓ_i x_i + λθ into ``gradient``, shape (d,), at θ of shape (d,)."""
    d = len(theta)
    for k in range(d):
        gradient[k] = ridge * theta[k]
    for i in samples:
        prediction = 0.0
        for k in range(d):
            prediction += inputs[i, k] * theta[k]
        weight = slope(prediction, targets[i], loss) / len(samples)
        for k in range(d):
            gradient[k] += weight * inputs[i, k]


def arrays(problem: LinearModel) -> tuple[np.ndarray, np.ndarray, int, float]:
    """x_i in rows, y_i, the place of the loss in ``LOSSES``, and λ: the first arguments of a compiled loop."""
    return (
        array(problem.inputs),
        array(problem.targets),
        LOSSES.index(problem.loss),
        float(problem.ridge),
    )


def array(tensor: Tensor) -> np.ndarray:
    """The tensor as a contiguous array of doubles."""
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), dtype=np.float64)


def indices(order: Tensor, count: int) -> np.ndarray:
    """``order`` as an array, after a look that a compiled loop never takes: it names nothing but 0, …, ``count`` − 1.

    Raises:
        ValueError: an index is outside.
    """
    if order.numel() and not 0 <= order.min() <= order.max() < count:
        raise ValueError(f"the order has indices outside 0, …, {count - 1}.")
    return order.cpu().numpy()


def one_a_step(order: Tensor, count: int) -> np.ndarray:
    """The sample of each step, shape (members, steps), from an order of shape (members, steps, 1).

    Raises:
        ValueError: another shape, such as more than one sample a step, or an index outside 0, …, ``count`` − 1.
    """
    if order.ndim != 3 or order.shape[2] != 1:
        raise ValueError(
            "the method takes one sample a step: order must have shape (members, steps, 1), "
            f"not {tuple(order.shape)}."
        )
    return indices(order[..., 0], count)
