"""Parities, and how little a gradient says about which of them is being learned.

χ_S(x) = Π_{i ∈ S} x_i for x ∈ {-1, 1}^d and the 2^d subsets S.  They are orthonormal under uniform inputs, so for any
function g the 2^d coefficients E χ_S(x) g(x) satisfy Σ_S (E χ_S g)² = E g² (Parseval).  The squared loss of a
network f for the target χ_S has the gradient 2 E (f - χ_S) ∂f, and its variance over S is at most 4 E ‖∂f‖² / 2^d.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev

from dlopt import runtime

__all__ = ["GradientSpread", "gradient_spread", "hypercube", "parity", "random_bits", "walsh_hadamard"]


class GradientSpread(NamedTuple):
    """The gradients of one network for all 2^d parities as targets."""

    variance: float
    """1/2^d Σ_S ‖g_S - ḡ‖² with g_S = 2 E (f - χ_S) ∂f."""
    bound: float
    """4 E ‖∂f‖² / 2^d."""
    mean_square: float
    """1/2^d Σ_S ‖g_S‖²."""


def hypercube(d: int) -> Tensor:
    """All points of {-1, 1}^d in double precision, (2^d, d): row j has x_i = -1 where bit i of j is 1."""
    bits = torch.arange(2**d).unsqueeze(1) >> torch.arange(d) & 1
    return (1 - 2 * bits).to(device=runtime.device(), dtype=torch.float64)


def random_bits(count: int, d: int, *, seed: int) -> Tensor:
    """Uniform points of {-1, 1}^d, (count, d)."""
    return (
        1 - 2 * torch.randint(2, (count, d), generator=runtime.generator(seed)).to(runtime.device()).double()
    )


def parity(inputs: Tensor, subset: Tensor) -> Tensor:
    """χ_S(x) = Π_{i ∈ S} x_i, (…), for inputs (…, d) and the indices in S."""
    return inputs[..., subset].prod(dim=-1)


def walsh_hadamard(values: Tensor) -> Tensor:
    """E χ_S(x) g(x) for all subsets S from g at all points of :func:`hypercube`, by d 2^d additions.

    Args:
        values: g, (2^d, …).

    Returns:
        (2^d, …): row j belongs to the subset of the bits of j.
    """
    n = len(values)
    half = 1
    while half < n:
        pairs = values.view(-1, 2, half, *values.shape[1:])
        values = torch.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], dim=1).reshape(
            values.shape
        )
        half *= 2
    return values / n


def gradient_spread(model: nn.Module, d: int) -> GradientSpread:
    """How the gradient of E (f(x) - χ_S(x))² depends on S, exactly: by all inputs and all 2^d targets.

    Args:
        model: one output, double precision.
        d: number of input bits; 2^d rows of the network's Jacobian are kept.

    Source: Shalev-Shwartz, Shamir and Shammah, "Failures of gradient-based deep learning" (2017).
    """
    points = hypercube(d)
    parameters = dict(model.named_parameters())
    rows = jacrev(lambda own: functional_call(model, own, (points,))[:, 0])(parameters)
    jacobian = torch.cat([row.reshape(2**d, -1) for row in rows.values()], dim=1).detach()
    with torch.no_grad():
        outputs = model(points)
    gradients = 2 * ((outputs * jacobian).mean(dim=0) - walsh_hadamard(jacobian))
    mean = gradients.mean(dim=0)
    return GradientSpread(
        variance=(gradients - mean).square().sum(dim=1).mean().item(),
        bound=4 * jacobian.square().sum(dim=1).mean().item() / 2**d,
        mean_square=gradients.square().sum(dim=1).mean().item(),
    )
