"""Deep linear classifiers on separable data: every layer tends to rank one, and neighbors align.

    R(W_1, …, W_L) = (1/n) Σ_i exp(-y_i W_L ⋯ W_1 x_i)

If a linear classifier separates the data, R has the infimum zero and no minimizer: the weights grow without bound,
on a logarithmic clock.  Steps η_t = η / (R ‖W‖^{2L-2}) make that clock run at an even pace.

Weights are lists W_1, …, W_L of shapes (…, d_l, d_{l-1}) with d_L = 1.

Ji, Telgarsky: Gradient descent aligns the layers of deep linear networks (2018).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dlopt.landscape import deep_linear

__all__ = ["descend_scaled", "leading_share", "log_risk", "log_risk_slope", "neighbor_alignment"]


def log_risk(weights: Sequence[Tensor], signed: Tensor) -> Tensor:
    """ln R, (…); it does not underflow where R does.

    Args:
        weights: W_1, …, W_L.
        signed: the samples y_i x_i as columns, (d_x, n).
    """
    margins = (deep_linear.product(weights) @ signed).squeeze(-2)
    return torch.logsumexp(-margins, dim=-1) - math.log(signed.shape[-1])


def log_risk_slope(signed: Tensor) -> Callable[[Tensor], Tensor]:
    """∂(ln R)/∂P = -Σ_i p_i y_i x_iᵀ as a function of P, with p the softmax of the negative margins.

    Args:
        signed: the samples y_i x_i as columns, (d_x, n).
    """
    return lambda p: -torch.softmax(-(p @ signed), dim=-1) @ signed.mT


def descend_scaled(
    weights: Sequence[Tensor], signed: Tensor, *, step_size: float, steps: int
) -> list[Tensor]:
    """Gradient descent on R with η_t = η / (R ‖W‖^{2L-2}), ‖W‖² the mean of all ‖W_l‖_F²; the last weights.

    A step of size η / R on R is a step of size η on ln R, since ∇ ln R = ∇R / R.

    Args:
        weights: the start, left as it is.
        signed: the samples y_i x_i as columns, (d_x, n).
        step_size: η.
        steps: number of updates.
    """
    slope = log_risk_slope(signed)
    for _ in range(steps):
        size = torch.stack([weight.square().sum(dim=(-2, -1), keepdim=True) for weight in weights]).mean(
            dim=0
        )
        eta = step_size / size ** (len(weights) - 1)
        weights = deep_linear.descend(weights, slope, step_size=eta, steps=1)
    return list(weights)


def leading_share(weights: Sequence[Tensor]) -> Tensor:
    """σ_1(W_l)² / ‖W_l‖_F² for all layers, (…, L): one exactly if the layer has rank one."""
    squares = [torch.linalg.svdvals(weight).square() for weight in weights]
    return torch.stack([square[..., 0] / square.sum(dim=-1) for square in squares], dim=-1)


def neighbor_alignment(weights: Sequence[Tensor]) -> Tensor:
    """|v_{l+1}ᵀ u_l|, (…, L - 1): u_l the leading left singular vector of W_l, v_{l+1} the right one of W_{l+1}."""
    factors = [torch.linalg.svd(weight, full_matrices=False) for weight in weights]
    return torch.stack(
        [
            (above.Vh[..., 0, :] * below.U[..., 0]).sum(dim=-1).abs()
            for below, above in itertools.pairwise(factors)
        ],
        dim=-1,
    )
