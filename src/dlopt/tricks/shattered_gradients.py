"""Do the gradients at two inputs point the same way?  Section 4.4 of the survey.

Balduzzi, Frean, Leary, Lewis, Ma, McWilliams (2017): in a deep plain network they do not, the gradient as a function
of the input is *shattered*; skip connections and batch normalization keep the pieces together.  Their theory takes
each ReLU to be active for half of the inputs and independently for any two of them.

Three architectures, each with Kaiming weights, var W = 2/d:

- "plain": h ← W ReLU(h);
- "residual": h ← h + W ReLU(h);
- "normalized": h ← h + β W ReLU(BN(h)), where BN is batch normalization.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch
from scipy import special
from torch import Tensor

from dlopt import runtime

__all__ = [
    "ARCHITECTURES", "autocorrelation", "brownian", "gradient_correlation", "gradients", "kernel_correlation",
    "line_gradient", "predicted_correlation",
]  # fmt: skip

ARCHITECTURES = ("plain", "residual", "normalized")
"""The architectures that :func:`predicted_correlation` knows."""


def predicted_correlation(architecture: str, depth: int, beta: float = 1.0) -> float:
    """Correlation of the gradients at two inputs whose activations are independent.

    - plain: 2^{-L}, half of the active units agree in each layer;
    - residual: (3/4)^L, for a layer multiplies the covariance by 1 + ½ and the variance by 1 + 1;
    - normalized: Π_l (1 + ½ r_l)/(1 + r_l) with r_l = β²/(1 + β² l), l = 0, …, L-1, since the stream that BN divides
      by has variance 1 + β² l.  The product is Γ(L + a + ½) Γ(a) / (Γ(a + ½) Γ(L + a)) · a/(L + a) with a = 1/β²,
      and close to 1/√(1 + β² L).

    Raises:
        ValueError: another architecture.
    """
    if architecture == "plain":
        return 0.5**depth
    if architecture == "residual":
        return 0.75**depth
    if architecture == "normalized":
        a = 1 / beta**2
        log = special.gammaln(depth + a + 0.5) - special.gammaln(depth + a + 1)
        return math.exp(log + special.gammaln(a + 1) - special.gammaln(a + 0.5))
    raise ValueError(f"unknown architecture {architecture!r}: use one of {', '.join(ARCHITECTURES)}.")


def kernel_correlation(depth: int, cosine: float = 0.0) -> float:
    """Correlation of the gradients of a wide plain ReLU network, without the assumption of independence.

    Two inputs at angle θ share the active units of a layer with probability (1 - θ/π)/2, so each layer multiplies
    the correlation by 1 - θ/π, and the angle shrinks by cos θ ← (sin θ + (π - θ) cos θ)/π (Cho and Saul 2009).
    The angle falls like 3π/l, the correlation therefore like L^{-3} and not exponentially.

    Args:
        depth: L.
        cosine: of the angle between the two inputs.
    """
    correlation = 1.0
    for _ in range(depth):
        theta = math.acos(min(cosine, 1.0))
        correlation *= 1 - theta / math.pi
        cosine = (math.sin(theta) + (math.pi - theta) * math.cos(theta)) / math.pi
    return correlation


def gradients(
    architecture: str,
    depth: int,
    width: int,
    inputs: int,
    *,
    beta: float = 1.0,
    independent: bool = False,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Last layer and input gradients of a random network at random Gaussian inputs.

    The gradient is that of v·h^L with a Gaussian v.  BN's mean and deviation are those of the batch and count as
    constants in the backward pass, as in the theory.

    Args:
        architecture: one of :data:`ARCHITECTURES`.
        depth: L.
        width: d, of the inputs and of every layer.
        inputs: n, the size of the batch.
        beta: β, for "normalized".
        independent: replace the network's activation pattern by fair coins, independent for each unit, layer and
            input, and BN's deviation by its mean-field value: the model of the theory.
        seed: of inputs, weights, coins and v.

    Returns:
        h^L and the gradients, (n, d) each, float64.

    Raises:
        ValueError: another architecture.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"unknown architecture {architecture!r}: use one of {', '.join(ARCHITECTURES)}.")
    normal = partial(torch.randn, generator=runtime.generator(seed), dtype=torch.float64)
    normalized = architecture == "normalized"
    branch = beta if normalized else 1.0
    h, layers = normal(inputs, width), []
    for layer in range(depth):
        weight = math.sqrt(2 / width) * normal(width, width)
        center = h.mean(0) if normalized else torch.zeros(width, dtype=torch.float64)
        scale = 1 / h.std(0, correction=0) if normalized else torch.ones(width, dtype=torch.float64)
        active = (h > center).double()
        if independent:
            active = (normal(inputs, width) > 0).double()
            scale = torch.full_like(scale, (1 + beta**2 * layer) ** -0.5) if normalized else scale
        layers.append((weight, active * scale))
        through = branch * (active * scale * (h - center)) @ weight.T
        h = through if architecture == "plain" else h + through
    gradient = normal(width).expand(inputs, width)
    for weight, slope in reversed(layers):
        through = branch * slope * (gradient @ weight)
        gradient = through if architecture == "plain" else gradient + through
    return h, gradient


def gradient_correlation(vectors: Tensor) -> float:
    """Mean cosine of the angles between different rows, (n, d) → a number."""
    unit = vectors / torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    total = unit.sum(0).square().sum() - len(unit)
    return float(total / (len(unit) * (len(unit) - 1)))


def line_gradient(
    depth: int,
    width: int,
    positions: np.ndarray,
    *,
    normalization: bool = False,
    skip: bool = False,
    beta: float = 0.1,
    seed: int = 0,
) -> np.ndarray:
    """df/dx of a random ReLU network of one real input at ``positions``, scaled to unit mean square.

    The first layer maps x to w x + b, w and b standard Gaussian, so that its units switch at different places.  Then
    follow L - 1 layers h ← W ReLU(N(h)), or with a skip h ← h + β W ReLU(N(h)), with Kaiming weights, and the output
    v·ReLU(h).  N is batch normalization over the positions, its mean and deviation constant in the backward pass, or
    the identity.

    Args:
        depth: L, the number of hidden layers.
        width: d.
        positions: the inputs x, (n,).
        normalization: whether to normalize.
        skip: whether to add h.
        beta: β, for networks with skip connections.
        seed: of the weights.

    Returns:
        (n,).
    """
    normal = partial(torch.randn, generator=runtime.generator(seed), dtype=torch.float64)
    x = torch.from_numpy(np.asarray(positions, dtype=float)).unsqueeze(1).requires_grad_()
    h = x * normal(width) + normal(width)
    for _ in range(depth - 1):
        weight = math.sqrt(2 / width) * normal(width, width)
        center, scale = h.detach().mean(0), h.detach().std(0, correction=0)
        branch = torch.relu((h - center) / scale if normalization else h) @ weight.T
        h = h + beta * branch if skip else branch
    (slope,) = torch.autograd.grad((torch.relu(h) @ normal(width)).sum(), x)
    slope = slope.squeeze(1).numpy()
    return slope / np.sqrt(np.mean(slope**2))


def brownian(steps: int, seed: int = 0) -> np.ndarray:
    """Brownian motion on a grid, centered and of unit mean square: sums of independent increments."""
    path = np.cumsum(runtime.numpy_generator(seed).standard_normal(steps))
    return (path - path.mean()) / path.std()


def autocorrelation(signal: np.ndarray, lags: int) -> np.ndarray:
    """r_k = Σ_t (s_t - s̄)(s_{t+k} - s̄) / Σ_t (s_t - s̄)² for k = 0, …, lags."""
    centered = signal - signal.mean()
    return np.array([centered[: len(centered) - k] @ centered[k:] for k in range(lags + 1)]) / (
        centered @ centered
    )
