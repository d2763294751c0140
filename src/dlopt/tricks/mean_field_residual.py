"""Residual networks of infinite width, section 4.4 of the survey.

Yang and Schoenholz, Mean field residual networks: on the edge of chaos (2017), for their reduced residual network
z^l = z^{l-1} + φ(W^l z^{l-1} + b^l), W with entries N(0, σ_w²/d) and b with N(0, σ_b²).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dlopt.models import ACTIVATIONS
from dlopt.tricks.signal_propagation import chi, gaussian_expectation

__all__ = ["MeanField", "propagate"]


class MeanField(NamedTuple):
    """Second moments per coordinate in the limit of infinite width."""

    length: np.ndarray
    """p_l = E (z^l_i)² for l = 0, …, L."""
    mean: np.ndarray
    """m_l = E z^l_i, which grows where φ is not odd."""
    log_gradient: np.ndarray
    """log E‖∂f/∂z⁰‖²/‖∂f/∂z^l‖² for l = 0, …, L: how much a gradient grows on its way back from layer l."""


def propagate(
    activation: str, depth: int, sigma_w: float, *, sigma_b: float = 0.0, start: float = 1.0
) -> MeanField:
    """The recursions of a wide residual network.

    With q = σ_w² p + σ_b² and ξ standard normal,

        p ← p + 2 m Eφ(√q ξ) + Eφ(√q ξ)²,   m ← m + Eφ(√q ξ),   χ = 1 + σ_w² Eφ'(√q ξ)².

    Args:
        activation: a name in :data:`dlopt.models.ACTIVATIONS`.
        depth: L.
        sigma_w, sigma_b: σ_w and σ_b.
        start: p_0; m_0 is 0.
    """
    phi = ACTIVATIONS[activation]
    length, mean, log_gradient = [start], [0.0], [0.0]
    for _ in range(depth):
        q = sigma_w**2 * length[-1] + sigma_b**2
        first, second = gaussian_expectation(phi, q), gaussian_expectation(lambda h: phi(h) ** 2, q)
        length.append(float(length[-1] + 2 * mean[-1] * first + second))
        mean.append(float(mean[-1] + first))
        multiplier = chi(q, activation, sigma_w)
        log_gradient.append(float(log_gradient[-1] + np.log1p(multiplier)))
    return MeanField(np.array(length), np.array(mean), np.array(log_gradient))
