"""What random weights do to the size of a signal, forward and backward: section 4.2 of the survey, (15) to (17).

Sizes are mean squares per coordinate.  In a layer of independent weights with mean zero and variance v,

    forward    E (h^l_i)²     = v · fan_in · E (z^{l-1}_j)²,
    backward   E (∂/∂z^{l-1}_j)² = v · fan_out · E (∂/∂h^l_i)²,

and an activation keeps the share ``RETAINED`` of either: all of it when it is linear, half when it is ReLU.
The backward formula takes the usual step of treating the error as independent of the forward pass.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy import special, stats
from torch import Tensor

from dlopt import runtime
from dlopt.models import FullyConnected

__all__ = [
    "RETAINED",
    "VARIANCES",
    "Gains",
    "block_curvature",
    "length_ratios",
    "log_ratio_moments",
    "mean_square_after",
    "measured_gains",
    "predicted_gains",
]  # fmt: skip

Array = np.ndarray

RETAINED = {"linear": 1.0, "relu": 0.5}
"""The share of a symmetric signal's second moment that an activation keeps, forward and backward."""

VARIANCES: dict[str, Callable[[int, int], float]] = {
    "fan-in": lambda fan_in, fan_out: 1 / fan_in,
    "fan-out": lambda fan_in, fan_out: 1 / fan_out,
    "Xavier": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "geometric": lambda fan_in, fan_out: 1 / math.sqrt(fan_in * fan_out),
}
"""Variance of a weight by its fans, for linear layers; for ReLU the first, second and fourth double."""


class Gains(NamedTuple):
    """Mean squares of a signal relative to where it starts."""

    forward: Array
    """Of h^1, …, h^L over that of x, (…, L)."""
    backward: Array
    """Of the errors at h^1, …, h^L over that at h^L, (…, L)."""


def predicted_gains(
    widths: Sequence[int], variance: Callable[[int, int], float], activation: str = "linear"
) -> Gains:
    """The expected gains of a fully connected network, from the two formulas at the top.

    Args:
        widths: d_0, …, d_L.
        variance: of a weight, from fan_in and fan_out.
        activation: "linear" or "relu".
    """
    kept = RETAINED[activation]
    pairs = list(itertools.pairwise(widths))
    forward = np.cumprod([variance(a, b) * a for a, b in pairs]) * kept ** np.arange(len(pairs))
    back = [kept * variance(a, b) * b for a, b in pairs[1:]]
    backward = np.cumprod([1.0, *reversed(back)])[::-1]
    return Gains(forward, backward)


def measured_gains(network: FullyConnected, x: Tensor, *, seed: int = 0) -> Gains:
    """The gains of a network: x runs forward, Gaussian errors run backward from the outputs.

    Args:
        network: with or without members.
        x: inputs, (n, d_0).
        seed: of the errors.

    Returns:
        Arrays (L,), or (members, L), averaged over the samples and the units of a layer.
    """
    h = network.passes(x).preactivations
    errors = torch.randn(h[-1].shape, generator=runtime.generator(seed), dtype=torch.float64).to(h[-1])
    gradients = torch.autograd.grad(h[-1], h, errors)
    forward = torch.stack([each.square().mean((-2, -1)) for each in h], dim=-1) / x.square().mean()
    backward = torch.stack([each.square().mean((-2, -1)) for each in gradients], dim=-1)
    return Gains(forward.detach().cpu().numpy(), (backward / backward[..., -1:]).cpu().numpy())


def length_ratios(std: float, d: int, depth: int, draws: int, *, seed: int = 0) -> Array:
    """‖W^l ⋯ W^1 x‖/‖x‖ for x = (1, …, 1) and independent d × d matrices of N(0, std²), l = 1, …, L.

    The toy experiment of section 4.2 of the survey.

    Returns:
        (draws, L).
    """
    generator = runtime.generator(seed)
    x = torch.ones(draws, d, 1, dtype=torch.float64)
    ratios = []
    for _ in range(depth):
        x = (std * torch.randn(draws, d, d, generator=generator, dtype=torch.float64)) @ x
        ratios.append(x.square().sum((1, 2)).sqrt() / math.sqrt(d))
    return torch.stack(ratios, dim=1).numpy()


def log_ratio_moments(std: float, d: int, depth: Array | int) -> tuple[Array, Array]:
    """Mean and standard deviation of log(‖W^L ⋯ W^1 x‖/‖x‖) over the draws, exactly.

    ‖Wv‖²/(std²‖v‖²) is chi-square with d degrees of freedom whatever v is, so the factors of the layers are
    independent, and the logarithm of a chi-square variable has mean ψ(d/2) + log 2 and variance ψ'(d/2).
    """
    mean = np.asarray(depth) * (math.log(std) + (special.digamma(d / 2) + math.log(2)) / 2)
    return mean, np.sqrt(np.asarray(depth) * special.polygamma(1, d / 2)) / 2


def mean_square_after(function: Callable[[Array], Array], std: float) -> float:
    """E φ(ξ)² for ξ from N(0, std²), by the midpoint rule on 10 standard deviations to each side.

    Zero, where activations have their kinks, lies between two points.
    """
    t = (np.arange(800) + 0.5) / 40 - 10
    return float(np.sum(function(std * t) ** 2 * stats.norm.pdf(t)) * (t[1] - t[0]))


def block_curvature(network: FullyConnected, inputs: Tensor) -> Array:
    """√(mean squared singular value) of the Hessian's diagonal block for each W^l, for the quadratic loss.

    The loss 1/n Σ_i ‖f(x_i) - y_i‖² of a network that is piecewise linear in each W^l alone has the block

        H_l = 2/n Σ_i (J_iᵀ J_i) ⊗ (z_i z_iᵀ),    z_i = z^{l-1}(x_i),    J_i = ∂f(x_i)/∂h^l,

    whatever the targets are, and ‖H_l‖²_F = 4/n² Σ_{i,k} (z_i · z_k)² ‖J_i J_kᵀ‖²_F.  Divided by the d_l d_{l-1}
    singular values this is the mean that Defazio and Bottou (2019) balance between the layers.

    Args:
        network: linear or ReLU, without members.
        inputs: (n, d_0).

    Returns:
        (L,).

    Raises:
        ValueError: another activation, whose blocks are not these.
    """
    if network.activation.name not in ("linear", "relu", "leaky_relu"):
        raise ValueError(f"the blocks of a {network.activation.name} network also depend on the targets.")
    passes = network.passes(inputs)
    output = passes.preactivations[-1]
    count, outputs = output.shape
    values = []
    for h, z in zip(passes.preactivations, passes.postactivations, strict=True):
        rows = [torch.autograd.grad(output[:, k].sum(), h, retain_graph=True)[0] for k in range(outputs)]
        jacobians = torch.stack(rows, dim=1)
        across = torch.einsum("iad,kbd->ikab", jacobians, jacobians).square().sum((2, 3))
        square = 4 / count**2 * ((z @ z.mT).square() * across).sum()
        values.append((square / (h.shape[1] * z.shape[1])).sqrt().item())
    return np.array(values)
