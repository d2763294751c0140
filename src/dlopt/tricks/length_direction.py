"""Length and direction apart: gradient descent in the normalized parametrization, on least squares.

The weights are g w/‖w‖_S with ‖w‖²_S = wᵀS w.  For least squares, ½ E (y - xᵀw̃)² with S = E[x xᵀ] and u = E[y x], the
best length of a direction w is g = wᵀu/‖w‖_S, which leaves, up to a constant, a generalized Rayleigh quotient,

    ρ(w) = -(wᵀu)² / (wᵀS w),

whose only minima are the multiples of S⁻¹u; the loss is ½ρ + ½ E y².

Source: Kohler et al., Exponential convergence rates for batch normalization, 2019.
"""

from __future__ import annotations

import numpy as np

__all__ = ["descend", "gradient", "guaranteed_factor", "rayleigh", "step_size"]


def rayleigh(w: np.ndarray, covariance: np.ndarray, u: np.ndarray) -> float:
    """ρ(w) = -(wᵀu)² / (wᵀS w), unchanged when w is scaled."""
    return float(-((w @ u) ** 2) / (w @ covariance @ w))


def gradient(w: np.ndarray, covariance: np.ndarray, u: np.ndarray) -> np.ndarray:
    """∇ρ(w) = -2 ((wᵀu) u + ρ(w) S w) / (wᵀS w), (d,); it is orthogonal to w."""
    return -2 * ((w @ u) * u + rayleigh(w, covariance, u) * (covariance @ w)) / (w @ covariance @ w)


def step_size(w: np.ndarray, covariance: np.ndarray, u: np.ndarray) -> float:
    """η = wᵀS w / (2 L |ρ(w)|) with L = λ_max(S).

    With it the direction moves as under plain gradient descent with step 1/L from the vector of best length along w.
    """
    return float(
        w @ covariance @ w / (2 * np.linalg.eigvalsh(covariance)[-1] * abs(rayleigh(w, covariance, u)))
    )


def guaranteed_factor(covariance: np.ndarray) -> float:
    """(1 - λ_min/λ_max)², by which a step multiplies ρ - min ρ at most."""
    eigenvalues = np.linalg.eigvalsh(covariance)
    return float((1 - eigenvalues[0] / eigenvalues[-1]) ** 2)


def descend(covariance: np.ndarray, u: np.ndarray, start: np.ndarray, iterations: int) -> np.ndarray:
    """w ← w - η ∇ρ(w) with the step above: ρ(w_t) - min ρ for t = 0, …, iterations, (iterations + 1,).

    Raises:
        ValueError: the start is orthogonal to u, a maximum of ρ.
    """
    if start @ u == 0:
        raise ValueError("the start is orthogonal to u, where the gradient vanishes: choose another.")
    minimizer = np.linalg.solve(covariance, u)
    w, excess = np.asarray(start, dtype=float), []
    for _ in range(iterations + 1):
        best = (w @ u) / (w @ covariance @ w) * w
        excess.append((best - minimizer) @ covariance @ (best - minimizer))
        w = w - step_size(w, covariance, u) * gradient(w, covariance, u)
        w = w / np.linalg.norm(w)
    return np.array(excess)
