"""Normalizing the data of linear regression: what it does to the Hessian and to the cost of gradient descent.

Inputs are rows: X is (n, d), where the survey's data matrix is d × n, so its rows are our columns.  The problem is
min_w 1/n ‖y - X w‖², whose Hessian is 2/n XᵀX.
"""

from __future__ import annotations

import numpy as np

__all__ = ["condition_number", "descent_steps", "hessian", "normalized"]


def normalized(inputs: np.ndarray, *, center: bool = True) -> np.ndarray:
    """Every feature with zero mean (unless ``center`` is False) and unit norm, (n, d).

    Raises:
        ValueError: a feature is constant (or zero), so that no scale makes it a unit vector.
    """
    shifted = inputs - inputs.mean(axis=0) if center else inputs
    norms = np.linalg.norm(shifted, axis=0)
    if not (norms > 1e-12 * np.linalg.norm(inputs, axis=0)).all():
        raise ValueError("a constant feature cannot be given zero mean and unit norm: leave it out.")
    return shifted / norms


def hessian(inputs: np.ndarray) -> np.ndarray:
    """2/n XᵀX, the Hessian of 1/n ‖y - X w‖², (d, d)."""
    return 2 / len(inputs) * inputs.T @ inputs


def condition_number(matrix: np.ndarray) -> float:
    """κ = λ_max / λ_min of a symmetric positive definite matrix."""
    eigenvalues = np.linalg.eigvalsh(matrix)
    return float(eigenvalues[-1] / eigenvalues[0])


def descent_steps(matrix: np.ndarray, start: np.ndarray, tolerance: float, step: float | None = None) -> int:
    """Steps of gradient descent until ½ eᵀH e, the loss above its minimum, is ``tolerance`` times what it was.

    The error obeys e_{t+1} = (I - ηH) e_t, so along an eigenvector it is (1 - ηλ)^t times what it was: the number of
    steps follows by bisection, without taking them.

    Args:
        matrix: H, (d, d), symmetric and positive definite.
        start: e_0, the distance of the start from the minimizer, (d,).
        tolerance: between 0 and 1.
        step: η; None for 1/λ_max.

    Raises:
        ValueError: the step is not below 2/λ_max, so that gradient descent need not converge.
    """
    eigenvalues, vectors = np.linalg.eigh(matrix)
    eta = 1 / eigenvalues[-1] if step is None else step
    if not 0 < eta < 2 / eigenvalues[-1]:
        raise ValueError(f"a step of {eta:g} does not converge: the limit is {2 / eigenvalues[-1]:g}.")
    parts = eigenvalues * (vectors.T @ start) ** 2
    factors = (1 - eta * eigenvalues) ** 2

    def arrived(steps: int) -> bool:
        return bool((parts * factors**steps).sum() <= tolerance * parts.sum())

    high = 1
    while not arrived(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if arrived(middle) else (middle, high)
    return high
