"""Input-output Jacobians, their singular values, and what free probability says about them.

A network is dynamically isometric when all singular values s of its input-output Jacobian J are near one.
For random weights and infinite width the distribution of s² is known: J Jᵀ is, as far as its spectrum goes, a
product of freely independent factors, two for each layer, and the S-transform of such a product is the
product of the S-transforms.  Pennington, Schoenholz, Ganguli: Resurrecting the sigmoid in deep learning
through dynamical isometry (2017), and The emergence of spectral universality in deep networks (2018).

Throughout, the weights of a layer are orthogonal times σ_w, or Gaussian with variance σ_w²/d, and ν denotes
the distribution of φ'(h)², where h ~ N(0, q) are the pre-activations, with q the same in every layer.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dlopt.models import Activation, FullyConnected, as_activation

__all__ = [
    "ENSEMBLES", "SlopeDistribution", "fuss_catalan_density", "fuss_catalan_edge", "jacobians", "mean_square",
    "relative_variance", "singular_value_density", "singular_values", "slope_distribution",
]  # fmt: skip

ENSEMBLES = {"orthogonal": 0.0, "gaussian": -1.0}
"""s₁ of the weights: minus the relative variance of the squared singular values of one layer's matrix."""


@torch.no_grad()
def jacobians(network: FullyConnected, x: Tensor, *, last_activation: bool = True) -> Tensor:
    """J = D^L W^L D^{L-1} W^{L-1} ⋯ D^1 W^1 for every sample and every member, with D^l = diag φ'(h^l).

    The product is formed from the input upwards, one batched multiplication a layer.

    Args:
        network: W^1, …, W^L, without skip connections or normalization.
        x: inputs, as the network takes them.
        last_activation: whether the network ends with φ, as the survey's does here; without, D^L = I.

    Returns:
        (n, d_L, d_0) or (members, n, d_L, d_0).

    Raises:
        ValueError: the network skips layers or normalizes, so that its Jacobian is another.
    """
    if getattr(network, "skip", None) or len(getattr(network, "norms", ())):
        raise ValueError(
            "this product is the Jacobian of a network without skip connections and normalization."
        )
    product = None
    for layer, (weight, h) in enumerate(
        zip(network.weights, network.passes(x).preactivations, strict=True), start=1
    ):
        weight = weight if network.members is None else weight.unsqueeze(1)
        product = weight.expand(*h.shape[:-1], -1, -1) if product is None else weight @ product
        if layer < network.depth or last_activation:
            product = network.activation.derivative(h).unsqueeze(-1) * product
    return product


def singular_values(network: FullyConnected, x: Tensor, *, last_activation: bool = True) -> Tensor:
    """The singular values of every Jacobian, largest first: (n, min(d_0, d_L)), or (members, n, …)."""
    return torch.linalg.svdvals(jacobians(network, x, last_activation=last_activation))


class SlopeDistribution(NamedTuple):
    """ν, the distribution of φ'(h)² for h ~ N(0, q), on finitely many points."""

    values: np.ndarray
    """φ'(h)² at the points."""
    weights: np.ndarray
    """Their probabilities."""

    def moment(self, k: int) -> float:
        """μ_k = E φ'(h)^{2k}."""
        return float(self.weights @ self.values**k)


def slope_distribution(activation: str | Activation, q: float, points: int = 400) -> SlopeDistribution:
    """ν at equally probable points h_i = √q Φ^{-1}((i - ½)/points), which is exact for slopes with jumps, too.

    Args:
        activation: φ.
        q: the second moment of the pre-activations.
        points: of the quadrature.

    Raises:
        ValueError: q is not positive.
    """
    if q <= 0:
        raise ValueError(f"q must be positive, not {q}.")
    probability = (torch.arange(points, dtype=torch.float64) + 0.5) / points
    h = math.sqrt(q) * torch.special.ndtri(probability)
    slopes = as_activation(activation).derivative(h).square().numpy()
    values, counts = np.unique(slopes.round(12), return_counts=True)
    return SlopeDistribution(values, counts / points)


def mean_square(slopes: SlopeDistribution, depth: int, sigma_w: float) -> float:
    """The mean of s², χ^L with χ = σ_w² μ_1: one at criticality, whatever the ensemble."""
    return (sigma_w**2 * slopes.moment(1)) ** depth


def relative_variance(slopes: SlopeDistribution, depth: int, ensemble: str) -> float:
    """Var(s²) / (E s²)² = L (μ_2/μ_1² - 1 - s₁), for infinite width: the central result of the 2017 paper.

    Linear: 0 for orthogonal, L for Gaussian weights.  ReLU: L and 2L.

    Raises:
        ValueError: the ensemble is neither "orthogonal" nor "gaussian".
    """
    return depth * (slopes.moment(2) / slopes.moment(1) ** 2 - 1 - _s1(ensemble))


def fuss_catalan_edge(depth: int) -> float:
    """(L + 1)^{L+1} / L^L, the largest s² of a product of L Gaussian matrices with variance 1/d, d → ∞.

    It grows like e (L + 1), and s itself therefore like √(e L).
    """
    return (depth + 1) ** (depth + 1) / depth**depth


def fuss_catalan_density(depth: int, points: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """The density of s² for a product of L Gaussian matrices, d → ∞, in parametric form.

    For 0 < t < π/(L+1): x = sin((L+1)t)^{L+1} / (sin t · sin(Lt)^L) and
    ρ(x) = sin²t · sin(Lt)^{L-1} / (π sin((L+1)t)^L).  Its moments are the Fuss–Catalan numbers.

    Returns:
        x and ρ(x), each (points,), with x falling from the edge to zero.

    Source:
        Penson, Życzkowski: Product of Ginibre matrices: Fuss–Catalan and Raney distributions (2011); in this
        form Forrester, Liu: Raney distributions and random matrix theory (2015).
    """
    t = (np.arange(points) + 0.5) / points * math.pi / (depth + 1)
    top, low = np.sin((depth + 1) * t), np.sin(depth * t)
    x = top ** (depth + 1) / (np.sin(t) * low**depth)
    return x, np.sin(t) ** 2 * low ** (depth - 1) / (math.pi * top**depth)


def singular_value_density(
    s: np.ndarray, slopes: SlopeDistribution, depth: int, sigma_w: float, ensemble: str, blur: float = 1e-3
) -> np.ndarray:
    """The density of the singular values of J in the limit of infinite width, without its atom at zero.

    With M_ν(y) = Σ_k μ_k y^{-k} = E[v/(y - v)], v ~ ν, the moments of J Jᵀ are generated by

        M(z) = M_ν(y),  where  z = σ_w^{2L} y^L (M/(1 + M))^{L-1}          for orthogonal weights,
                               z = σ_w^{2L} y^L (M/(1 + M))^{L-1} (1 + M)^L  for Gaussian weights,

    which is the multiplication of S-transforms, S = (1 + M)/(M y), written out.  The density of x = s² is
    -Im (1 + M(z))/(π z) at z = x + i0, and that of s is 2s times it.  y is followed by Newton's method from a
    z far above the real axis, where y ≈ μ_1/M and M ≈ (σ_w² μ_1)^L/z, down to the height ``blur`` · x.

    Args:
        s: where to evaluate, (points,), positive.
        slopes: ν.
        depth, sigma_w, ensemble: L, σ_w and the weights, "orthogonal" or "gaussian".
        blur: the height at which the descent ends, relative to x: the relative width of what it smooths.

    Returns:
        The density at each s, (points,); it integrates to one minus the share of vanishing singular values.
    """
    gaussian = -_s1(ensemble)
    x = np.asarray(s, dtype=float) ** 2
    values, weights = slopes

    def log_z(y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """log z up to multiples of 2πi, its derivative, and M, at every y."""
        gap = y[:, None] - values
        m, slope = (weights * values / gap).sum(axis=1), -(weights * values / gap**2).sum(axis=1)
        value = depth * np.log(sigma_w**2 * y) + (depth - 1) * np.log(m / (1 + m))
        rate = depth / y + (depth - 1) * slope / (m * (1 + m))
        return value + gaussian * depth * np.log(1 + m), rate + gaussian * depth * slope / (1 + m), m

    heights = np.geomspace(
        1e3 * fuss_catalan_edge(depth) * max(1.0, values.max() * sigma_w**2) ** depth, blur, 160
    )
    y = None
    for height in heights:
        z = x * (1 + 1j * height)
        if y is None:
            y = z * slopes.moment(1) / mean_square(slopes, depth, sigma_w)
        for _ in range(4):
            value, rate, m = log_z(y)
            error = value - np.log(z)
            error = error.real + 1j * ((error.imag + math.pi) % (2 * math.pi) - math.pi)
            y = y - error / rate
    _, _, m = log_z(y)
    return np.maximum(-((1 + m) / z).imag / math.pi, 0) * 2 * np.asarray(s, dtype=float)


def _s1(ensemble: str) -> float:
    if ensemble not in ENSEMBLES:
        raise ValueError(f"the ensemble must be one of {', '.join(ENSEMBLES)}, not {ensemble!r}.")
    return ENSEMBLES[ensemble]
