"""Least squares with a batch-normalized neuron: gradient descent that converges for every step of the weights.

For inputs x of mean zero and covariance H, and g = E[y x], the output a wᵀx / σ with σ² = wᵀH w has the loss

    J(a, w) = ½ E (y - a wᵀx/σ)² = ½ E y² - a wᵀg/σ + ½ a².

J does not change when w is scaled.  Its gradient descent (BNGD) has one step for a and another for w.

Source: Cai, Li & Shen, A quantitative analysis of the effect of batch normalization on gradient descent, 2019.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Run", "descend", "effective_step", "excess_loss", "plain_descend"]


class Run(NamedTuple):
    """A run for each step size."""

    excess: np.ndarray
    """J minus its minimum, at recorded iterations, (recorded, steps)."""
    iterations: np.ndarray
    """Which iterations were recorded, (recorded,)."""
    effective: np.ndarray
    """The effective step of :func:`effective_step`, (recorded, steps)."""


def excess_loss(a: np.ndarray, w: np.ndarray, covariance: np.ndarray, g: np.ndarray) -> np.ndarray:
    """J(a, w) - min J, where min J = ½ E y² - ½ gᵀH⁻¹g.

    It is ½ ‖u - (a/σ) w‖²_H with u = H⁻¹g.

    Args:
        a: (steps,).
        w: (steps, d).
        covariance: H, (d, d), positive definite.
        g: (d,).
    """
    sigma = np.sqrt(np.einsum("sd,de,se->s", w, covariance, w))
    error = np.linalg.solve(covariance, g) - (a / sigma)[:, None] * w
    return 0.5 * np.einsum("sd,de,se->s", error, covariance, error)


def effective_step(
    a: np.ndarray, w: np.ndarray, covariance: np.ndarray, g: np.ndarray, eta: np.ndarray
) -> np.ndarray:
    """η a wᵀg / σ³, the step that gradient descent makes on the vector (wᵀg/σ²) w of best length, (steps,)."""
    return eta * a * (w @ g) / np.einsum("sd,de,se->s", w, covariance, w) ** 1.5


def descend(
    covariance: np.ndarray,
    g: np.ndarray,
    start: np.ndarray,
    eta: np.ndarray,
    iterations: int,
    *,
    eta_scale: float = 1.0,
    every: int = 1,
) -> Run:
    """BNGD: a ← a + η_a (wᵀg/σ - a),  w ← w + η (a/σ) (g - (wᵀg/σ²) H w), both from the old (a, w).

    Args:
        covariance: H, (d, d), positive definite.
        g: (d,).
        start: w_0, (d,), not orthogonal to g; a_0 = w_0ᵀg/σ_0, its best value.
        eta: η, one for each run, (steps,).
        iterations: how many.
        eta_scale: η_a, in (0, 1].
        every: record every so many iterations.

    Raises:
        ValueError: η_a is not in (0, 1], or the start is orthogonal to g.
    """
    if not 0 < eta_scale <= 1:
        raise ValueError(f"the step of the scale must be in (0, 1], not {eta_scale}.")
    if start @ g == 0:
        raise ValueError("the start is orthogonal to g: the gradient vanishes there, choose another.")
    eta = np.asarray(eta, dtype=float)
    w = np.repeat(np.asarray(start, dtype=float)[None], len(eta), axis=0)
    a = w @ g / np.sqrt(np.einsum("sd,de,se->s", w, covariance, w))
    recorded, excess, effective = [], [], []
    for iteration in range(iterations + 1):
        covariance_w = w @ covariance
        squared = np.einsum("sd,sd->s", w, covariance_w)
        sigma, along = np.sqrt(squared), w @ g
        if iteration % every == 0:
            recorded.append(iteration)
            excess.append(excess_loss(a, w, covariance, g))
            effective.append(effective_step(a, w, covariance, g, eta))
        direction = g - (along / squared)[:, None] * covariance_w
        a, w = a + eta_scale * (along / sigma - a), w + (eta * a / sigma)[:, None] * direction
    return Run(np.array(excess), np.array(recorded), np.array(effective))


def plain_descend(
    covariance: np.ndarray, g: np.ndarray, start: np.ndarray, eta: np.ndarray, iterations: int
) -> np.ndarray:
    """½ ‖w_t - u‖²_H under w ← w - η (H w - g), for t = 0, …, iterations: (iterations + 1, steps)."""
    eigenvalues, vectors = np.linalg.eigh(covariance)
    error = vectors.T @ (start - np.linalg.solve(covariance, g))
    factors = np.abs(1 - np.asarray(eta)[:, None] * eigenvalues)
    powers = factors[None] ** np.arange(iterations + 1)[:, None, None]
    return 0.5 * ((powers * error) ** 2 * eigenvalues).sum(-1)
