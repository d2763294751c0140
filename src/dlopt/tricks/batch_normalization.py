"""Batch normalization as one differentiable map: its formula, its backward pass by hand, its printed form.

Columns are features and rows the samples over which a feature is normalized: h is (N, d), γ and β are (d,).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["BatchNormalized", "as_printed", "backward", "forward", "with_deviation_plus_epsilon"]


class BatchNormalized(NamedTuple):
    """What the forward pass keeps for the backward pass."""

    output: Tensor
    """γ ĥ + β, (N, d)."""
    normalized: Tensor
    """ĥ = (h - μ) / √(σ² + ε), (N, d)."""
    deviation: Tensor
    """√(σ² + ε), (d,)."""


def forward(h: Tensor, gamma: Tensor, beta: Tensor, epsilon: float = 0.0) -> BatchNormalized:
    """γ (h - μ) / √(σ² + ε) + β with μ = 1/N Σ_i h_i and σ² = 1/N Σ_i (h_i - μ)².

    Source: Ioffe & Szegedy 2015, Algorithm 1; Appendix B of the survey, which prints σ + ε.

    Raises:
        ValueError: h is not (N, d), or γ and β are not (d,).
    """
    if h.ndim != 2 or gamma.shape != h.shape[1:] or beta.shape != h.shape[1:]:
        raise ValueError(
            f"h must be (N, d) with γ and β of (d,), not {tuple(h.shape)}, {tuple(gamma.shape)} and "
            f"{tuple(beta.shape)}."
        )
    centered = h - h.mean(0)
    deviation = torch.sqrt(centered.square().mean(0) + epsilon)
    normalized = centered / deviation
    return BatchNormalized(gamma * normalized + beta, normalized, deviation)


def backward(gradient: Tensor, saved: BatchNormalized, gamma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """From G = ∂F/∂output to ∂F/∂h, ∂F/∂γ and ∂F/∂β.

    ∂F/∂h = γ / √(σ² + ε) · (G - mean(G) - ĥ mean(G ĥ)), with means over the samples: what is left of G after its
    constant part and its part along ĥ are taken out.  ∂F/∂γ = Σ_i G_i ĥ_i and ∂F/∂β = Σ_i G_i.

    Args:
        gradient: G, (N, d).
        saved: what :func:`forward` returned.
        gamma: γ, (d,).

    Returns:
        (N, d), (d,) and (d,).
    """
    along = (gradient * saved.normalized).mean(0)
    by_input = gamma / saved.deviation * (gradient - gradient.mean(0) - saved.normalized * along)
    return by_input, (gradient * saved.normalized).sum(0), gradient.sum(0)


def with_deviation_plus_epsilon(a: Tensor, gamma: float, beta: float, epsilon: float) -> Tensor:
    """γ (a_i - μ) / (σ + ε) + β: the survey's formula with its sum restored, for a of (N,)."""
    centered = a - a.mean()
    return gamma * centered / (torch.linalg.vector_norm(centered) / math.sqrt(len(a)) + epsilon) + beta


def as_printed(a: Tensor, gamma: float, beta: float, epsilon: float) -> Tensor:
    """The survey's formula letter by letter: σ = √(1/N (a_i - μ)²), without a sum, another one for each i."""
    centered = a - a.mean()
    return gamma * centered / (centered.abs() / math.sqrt(len(a)) + epsilon) + beta
