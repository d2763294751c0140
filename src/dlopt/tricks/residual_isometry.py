"""The singular values of a wide and deep residual network, section 4.4 of the survey.

Tarnowski, Warchoł, Jastrzębski, Tabor, Nowak (2018): the spectrum of the input-output Jacobian J depends on the
activation, the initialization and the width only through one number c.  For a network
z^l = z^{l-1} + φ(h^l), h^l = W^l z^{l-1}, it is c = Σ_l s_l² μ_l, where W^l has entries of variance s_l²/d and μ_l is
the mean of φ'(h^l)² over layer l.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import optimize
from torch import Tensor

from dlopt import runtime
from dlopt.initialization import Initialization
from dlopt.models import ACTIVATIONS, Activation

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
    u[-1] = 0.0
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
    form: str = "residual",
    seed: int = 0,
) -> Tensor:
    """J = ∂z^L/∂z⁰ at a standard Gaussian z⁰, (width, width), in double precision.

    - "residual": z^l = z^{l-1} + φ(s_l W^l z^{l-1}), the network of the theory;
    - "stale": z^l = z^{l-1} + s_l W^l φ(z^{l-1}), whose slopes φ' hardly change from layer to layer;
    - "plain": z^l = φ(s_l W^l z^{l-1}).

    s_l is such that s_l² μ_l = c/L in the two residual forms and 1 in the plain one.

    Args:
        activation: a name in :data:`dlopt.models.ACTIVATIONS`.
        initialization: draws W^l with entries of variance 1/d.
        c: the sum of the branches' variances; the plain network ignores it.
        depth, width: L and d.
        form: one of the three.
        seed: of z⁰ and the weights.

    Raises:
        ValueError: another form.
    """
    if form not in ("residual", "stale", "plain"):
        raise ValueError(f"form must be 'residual', 'stale' or 'plain', not {form!r}.")
    generator = runtime.generator(seed)
    phi = ACTIVATIONS[activation]
    z = torch.randn(width, generator=generator, dtype=torch.float64)
    total = torch.eye(width, dtype=torch.float64)
    target = 1.0 if form == "plain" else c / depth
    for _ in range(depth):
        weight = initialization((width, width), generator).double()
        if form == "stale":
            scale = math.sqrt(target / phi.derivative(z).square().mean())
            through = scale * weight @ (phi.derivative(z).unsqueeze(1) * total)
            branch = scale * weight @ phi(z)
        else:
            h = weight @ z
            scale = _branch_scale(phi, h, target)
            through = scale * phi.derivative(scale * h).unsqueeze(1) * (weight @ total)
            branch = phi(scale * h)
        total = through if form == "plain" else total + through
        z = branch if form == "plain" else z + branch
    return total


def _branch_scale(phi: Activation, h: Tensor, target: float) -> float:
    """s with s² mean φ'(s h)² = target, by iteration from s² = target."""
    scale, previous = math.sqrt(target), 0.0
    while abs(scale - previous) > 1e-12 * scale:
        scale, previous = math.sqrt(target / phi.derivative(scale * h).square().mean()), scale
    return scale
