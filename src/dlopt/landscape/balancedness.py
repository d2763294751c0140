"""Balanced layers of a deep linear network: what gradient flow conserves, and the rate that follows from it.

    F(W_1, …, W_L) = ‖W_L ⋯ W_1 - Φ‖_F²,        D_l = W_{l+1}ᵀ W_{l+1} - W_l W_lᵀ

Gradient flow keeps every D_l.  The layers are balanced if all D_l = 0; then they have the same singular values, and
the product alone says how fast the loss falls.

Weights are lists W_1, …, W_L of shapes (…, d_l, d_{l-1}) as in :mod:`dlopt.landscape.deep_linear`.

Arora, Cohen, Golowich, Hu: A convergence analysis of gradient descent for deep linear neural networks (2018).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dlopt.landscape import deep_linear

__all__ = ["change_basis", "deficiency_margin", "follow", "imbalance", "linear_rate"]


def imbalance(weights: Sequence[Tensor]) -> list[Tensor]:
    """D_l = W_{l+1}ᵀ W_{l+1} - W_l W_lᵀ for l = 1, …, L - 1, each (…, d_l, d_l).

    A step of gradient descent adds η² times the same expression in the gradients: D(W - ηG) = D(W) + η² D(G).
    """
    return [above.mT @ above - below @ below.mT for below, above in itertools.pairwise(weights)]


def change_basis(weights: Sequence[Tensor], layer: int, basis: Tensor) -> list[Tensor]:
    """W_l ← S W_l and W_{l+1} ← W_{l+1} S⁻¹: another basis for the hidden layer l, and the same product.

    Args:
        weights: W_1, …, W_L, left as they are.
        layer: l from 1 to L - 1.
        basis: S, (…, d_l, d_l), invertible.

    Raises:
        ValueError: there is no hidden layer l.
    """
    if not 1 <= layer < len(weights):
        raise ValueError(f"a network of {len(weights)} layers has no hidden layer {layer}.")
    changed = list(weights)
    changed[layer - 1] = basis @ changed[layer - 1]
    changed[layer] = torch.linalg.solve(basis, changed[layer], left=False)
    return changed


def deficiency_margin(product: Tensor, target: Tensor) -> Tensor:
    """c = σ_min(Φ) - ‖P - Φ‖_F, (…): if positive, no matrix as close to Φ as P has a singular value below c.

    Args:
        product: P, (…, d_y, d_x).
        target: Φ, (…, d_y, d_x).

    Source: Arora et al. (2018), definition 2.
    """
    return torch.linalg.svdvals(target)[..., -1] - torch.linalg.matrix_norm(product - target)


def linear_rate(smallest: Tensor | float, depth: int) -> Tensor | float:
    """4 L σ^{2-2/L}: balanced layers lose dF/dt ≤ -rate · F while every singular value of P is at least σ.

    Args:
        smallest: σ, a bound from below: the deficiency margin of the start for all times, σ_min(Φ) near the end.
        depth: L.
    """
    return 4 * depth * smallest ** (2 - 2 / depth)


def follow(
    weights: Sequence[Tensor],
    target: Tensor,
    *,
    step_size: float,
    steps: int,
    every: int = 1,
    record: Callable[[Sequence[Tensor]], Tensor],
) -> Tensor:
    """``record`` of the weights along gradient descent on F, at steps 0, every, 2·every, …: (records, …).

    Args:
        weights: the start, left as it is.
        target: Φ, (…, d_y, d_x).
        step_size: η.
        steps: number of updates, a multiple of ``every``.
        every: updates between two records.
        record: what to keep, a function of W_1, …, W_L.
    """
    seen = [record(weights)]
    for _ in range(steps // every):
        weights = deep_linear.descend(weights, lambda p: 2 * (p - target), step_size=step_size, steps=every)
        seen.append(record(weights))
    return torch.stack(seen)
