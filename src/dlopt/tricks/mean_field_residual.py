"""Residual networks of infinite width, section 4.4 of the survey.

Yang and Schoenholz, Mean field residual networks: on the edge of chaos (2017), for their reduced residual network
z^l = z^{l-1} + φ(W^l z^{l-1} + b^l), W with entries N(0, σ_w²/d) and b with N(0, σ_b²).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from dlopt.models import ACTIVATIONS

__all__ = ["MeanField", "gradient_growth", "propagate"]


class MeanField(NamedTuple):
    """Second moments per coordinate in the limit of infinite width."""

    length: np.ndarray
    """p_l = E (z^l_i)² for l = 0, …, L."""
    mean: np.ndarray
    """m_l = E z^l_i, which grows where φ is not odd."""
    log_gradient: np.ndarray
    """log E‖∂f/∂z⁰‖²/‖∂f/∂z^l‖² for l = 0, …, L: how much a gradient grows on its way back from layer l."""


def propagate(
    activation: str, depth: int, sigma_w: float, *, sigma_b: float = 0.0, start: float = 1.0, nodes: int = 127
) -> MeanField:
    """The recursions of a wide residual network.

    With q = σ_w² p + σ_b² and ξ standard normal,

        m ← m + Eφ(√q ξ),   p ← p + 2 m Eφ(√q ξ) + Eφ(√q ξ)²,   χ = 1 + σ_w² Eφ'(√q ξ)².

    Args:
        activation: a name in :data:`dlopt.models.ACTIVATIONS`.
        depth: L.
        sigma_w, sigma_b: σ_w and σ_b.
        start: p_0; m_0 is 0.
        nodes: of the Gauss–Hermite quadrature.
    """
    phi = ACTIVATIONS[activation]
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    weights = weights / math.sqrt(2 * math.pi)
    length, mean, log_gradient = [start], [0.0], [0.0]
    for _ in range(depth):
        h = torch.from_numpy(math.sqrt(sigma_w**2 * length[-1] + sigma_b**2) * points)
        value, slope = phi(h).numpy(), phi.derivative(h).numpy()
        first, second = weights @ value, weights @ value**2
        length.append(length[-1] + 2 * mean[-1] * first + second)
        mean.append(mean[-1] + first)
        log_gradient.append(log_gradient[-1] + math.log1p(sigma_w**2 * (weights @ slope**2)))
    return MeanField(np.array(length), np.array(mean), np.array(log_gradient))


def gradient_growth(activation: str, depth: int, sigma_w: float) -> float:
    """log E‖∂f/∂z⁰‖²/‖∂f/∂z^L‖² at depth L, for a start of unit length and no bias."""
    return float(propagate(activation, depth, sigma_w).log_gradient[-1])
