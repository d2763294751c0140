"""Layer-wise training of a deep linear network: one layer at a time, with the best step for each.

    F(W_1, …, W_L) = ‖W_L ⋯ W_1 X - Y‖_F²

In one layer F is a quadratic, ‖A W_l B - Y‖_F² with A = W_L ⋯ W_{l+1} and B = W_{l-1} ⋯ W_1 X.  So the step that
lowers F most along the gradient is known: block coordinate gradient descent needs no tuning.

Weights are lists W_1, …, W_L of shapes (…, d_l, d_{l-1}); samples are columns of X and Y.

Shin: Effects of depth, width, and initialization: a convergence analysis of layer-wise training for deep linear
neural networks (2019).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dlopt.landscape import deep_linear

__all__ = ["around", "best_step", "kantorovich_factor", "orthogonal_start", "sweep"]


def around(weights: Sequence[Tensor], layer: int, inputs: Tensor) -> tuple[Tensor | None, Tensor]:
    """A = W_L ⋯ W_{l+1} (None for the last layer) and B = W_{l-1} ⋯ W_1 X, so that W_L ⋯ W_1 X = A W_l B.

    Args:
        weights: W_1, …, W_L.
        layer: l from 1 to L.
        inputs: X, (d_x, n).
    """
    above = deep_linear.product(weights[layer:]) if layer < len(weights) else None
    below = deep_linear.product([inputs, *weights[: layer - 1]])
    return above, below


def best_step(above: Tensor | None, below: Tensor, slope: Tensor) -> Tensor:
    """η = ‖G‖_F² / (2 ‖A G B‖_F²), (…, 1, 1): the minimizer of F along -G in one layer; zero where G is.

    Args:
        above: A, (…, d_y, d_l), or None for the identity.
        below: B, (…, d_{l-1}, n).
        slope: G = ∂F/∂W_l, (…, d_l, d_{l-1}).
    """
    image = slope @ below if above is None else above @ slope @ below
    steep = slope.square().sum(dim=(-2, -1), keepdim=True)
    return steep / (2 * image.square().sum(dim=(-2, -1), keepdim=True)).clamp_min(
        torch.finfo(slope.dtype).tiny
    )


def sweep(weights: Sequence[Tensor], inputs: Tensor, targets: Tensor) -> tuple[list[Tensor], Tensor]:
    """Update W_1, …, W_L once each, in this order, by the best gradient step.

    Args:
        weights: W_1, …, W_L, left as they are.
        inputs: X, (d_x, n).
        targets: Y, (…, d_y, n).

    Returns:
        The new weights, and F after each update, (…, L).
    """
    weights, losses = list(weights), []
    for layer in range(1, len(weights) + 1):
        above, below = around(weights, layer, inputs)
        residual = deep_linear.product(weights) @ inputs - targets
        slope = 2 * (residual if above is None else above.mT @ residual) @ below.mT
        weights[layer - 1] = weights[layer - 1] - best_step(above, below, slope) * slope
        losses.append(deep_linear.squared_loss(weights, inputs, targets))
    return weights, torch.stack(losses, dim=-1)


def kantorovich_factor(above: Tensor | None, below: Tensor) -> Tensor:
    """((κ - 1)/(κ + 1))², (…), with κ = κ(A)² κ(B)²: at most this share of F is left after the best step.

    It holds if F can reach zero by this layer alone, so for A and B of full rank and Y in their reach.

    Args:
        above: A, (…, d_y, d_l), or None for the identity.
        below: B, (…, d_{l-1}, n).
    """
    condition = torch.linalg.cond(below).square()
    if above is not None:
        condition = condition * torch.linalg.cond(above).square()
    return ((condition - 1) / (condition + 1)).square()


def orthogonal_start(
    width: int, depth: int, *, starts: int, generator: torch.Generator, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    """Independent random orthogonal matrices W_1, …, W_L, each (starts, width, width), on the CPU."""
    return [
        torch.linalg.qr(torch.randn(starts, width, width, generator=generator, dtype=dtype)).Q
        for _ in range(depth)
    ]
