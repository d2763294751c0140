"""The singular values of a wide and deep residual network, section 4.4 of the survey.

Tarnowski, Warchoł, Jastrzębski, Tabor, Nowak (2018): the spectrum of the input-output Jacobian J depends on the
activation, the initialization and the width only through one number c.  For a network
z^l = z^{l-1} + W^l φ(z^{l-1}) it is c = Σ_l s_l² μ_l, where W^l has entries of variance s_l²/d and μ_l is the mean of
φ'² over layer l.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import optimize
from torch import Tensor

from dlopt import runtime
from dlopt.initialization import Initialization
from dlopt.models import ACTIVATIONS

__all__ = ["jacobian", "largest_singular_value", "log_density", "quantiles"]


def largest_singular_value(c: float) -> float:
    """The upper edge of the limiting spectrum: √((s + 1)/(s - 1) · e^{c s}) with s = √(1 + 2/c).

    The lower edge is its reciprocal, so the square of this number is the condition number of J.
    """
    s = math.sqrt(1 + 2 / c)
    return math.sqrt((s + 1) / (s - 1) * math.exp(c * s))


def log_density(c: float, points: int = 4001) -> tuple[np.ndarray, np.ndarray]:
    """The limiting density of log σ for the singular values σ of J.

    The resolvent G of JJᵀ solves G = (zG - 1) exp(c (1 - 2zG)).  With zG = ½ + u + iy, the eigenvalue z is real
    where u² = ¼ - y² + y cot(2cy); there log z = log|½ + u + iy| - log|u - ½ + iy| + 2cu, and the density of
    log z is y/π.

    Args:
        c: the sum of the branches' variances, positive.
        points: on the curve.

    Returns:
        log σ in increasing order and its density, (2 points - 1,) each.

    Raises:
        ValueError: c is not positive.
    """
    if c <= 0:
        raise ValueError(f"c must be positive, not {c}.")

    def square(y: np.ndarray) -> np.ndarray:
        return 0.25 - y**2 + y / np.tan(2 * c * y)

    top = optimize.brentq(square, 1e-12, math.pi / (2 * c) * (1 - 1e-12))
    y = top * np.sin(np.linspace(0, math.pi / 2, points))
    y[0] = 1e-12
    u = np.sqrt(np.maximum(square(y), 0))
    log_eigenvalue = 0.5 * np.log(((u + 0.5) ** 2 + y**2) / ((u - 0.5) ** 2 + y**2)) + 2 * c * u
    half, height = log_eigenvalue[::-1] / 2, 2 * y[::-1] / math.pi
    return np.concatenate([-half[:0:-1], half]), np.concatenate([height[:0:-1], height])


def quantiles(c: float, levels: np.ndarray) -> np.ndarray:
    """Quantiles of log σ in the limit."""
    x, density = log_density(c)
    cumulative = np.concatenate([[0.0], np.cumsum(np.diff(x) * (density[1:] + density[:-1]) / 2)])
    return np.interp(levels, cumulative / cumulative[-1], x)


def jacobian(
    activation: str,
    initialization: Initialization,
    *,
    c: float,
    depth: int,
    width: int,
    skip: bool = True,
    seed: int = 0,
) -> Tensor:
    """J = ∂z^L/∂z⁰ for z^l = z^{l-1} + s_l W^l φ(z^{l-1}) at a standard Gaussian z⁰, (width, width), float64.

    s_l² = c/(L μ_l), where μ_l is the mean of φ'² over the entries of z^{l-1}: every branch then adds c/L.

    Args:
        activation: a name in :data:`dlopt.models.ACTIVATIONS`.
        initialization: draws W^l with entries of variance 1/d.
        c: the sum of the branches' variances.
        depth, width: L and d.
        skip: without it z^l = s_l W^l φ(z^{l-1}) with s_l² = 1/μ_l, which keeps the mean of σ² at one.
        seed: of z⁰ and the weights.
    """
    generator = runtime.generator(seed)
    phi = ACTIVATIONS[activation]
    z = torch.randn(width, generator=generator, dtype=torch.float64)
    total = torch.eye(width, dtype=torch.float64)
    for _ in range(depth):
        slope = phi.derivative(z)
        scale = torch.sqrt((c / depth if skip else 1.0) / slope.square().mean())
        weight = scale * initialization((width, width), generator).double()
        through = weight @ (slope.unsqueeze(1) * total)
        total = total + through if skip else through
        z = (z if skip else 0) + weight @ phi(z)
    return total
