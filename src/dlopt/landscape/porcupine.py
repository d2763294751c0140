"""Porcupine networks: ReLU neurons whose weight vectors may only grow along given lines.

Neuron j has w_j = s_j α_j u_j with a fixed unit vector u_j, a sign s_j and a length α_j ≥ 0.  The function
Σ_j α_j φ(s_j u_jᵀx) is linear in α: each choice of signs is a region in which the loss is a convex quadratic,

    F(α) = ½ αᵀKα − αᵀk + ½ E f(x)²,    K_ij = E φ(s_i u_iᵀx) φ(s_j u_jᵀx),    x from N(0, I),

and all of the landscape is known once a non-negative least-squares problem is solved in each region.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.optimize import nnls
from torch import Tensor

from dlopt.arc_cosine import relu_products

__all__ = ["Region", "global_minimum", "lines_in_the_plane", "region_minimum"]


class Region(NamedTuple):
    """The minimum of one region."""

    loss: float
    """F at the minimum over α ≥ 0."""
    is_local: bool
    """Whether it is a local minimum of the whole landscape: no neuron at 0 gains by growing the other way."""
    balanced: int
    """On how many lines there are neurons of both signs with α > 0."""


def lines_in_the_plane(count: int) -> Tensor:
    """u_1, …, u_r at equal angles over a half turn, (r, 2): one unit vector for each line."""
    angles = torch.arange(count, dtype=torch.float64) * math.pi / count + 0.3
    return torch.stack([angles.cos(), angles.sin()], dim=-1)


def _minimum(kernel: Tensor, cross: Tensor, constant: float) -> tuple[Tensor, float]:
    """argmin and minimum of ½ αᵀKα − αᵀk + constant over α ≥ 0."""
    eigenvalues, vectors = torch.linalg.eigh(kernel)
    kept = eigenvalues > 1e-12 * eigenvalues[-1]
    root = eigenvalues[kept].sqrt()[:, None] * vectors[:, kept].mT
    right = (vectors[:, kept].mT @ cross) / eigenvalues[kept].sqrt()
    alpha = torch.as_tensor(nnls(root.cpu().numpy(), right.cpu().numpy())[0]).to(kernel)
    return alpha, float(alpha @ kernel @ alpha / 2 - alpha @ cross + constant)


def region_minimum(lines: Tensor, kinds: Sequence[str], teacher: Tensor) -> Region:
    """The minimum over the region in which the neurons on line l have the signs kinds[l].

    Neurons of one sign on one line count together.  Where their lengths are not all 0, they can stay away from 0, and
    the other sign is out of reach.

    Args:
        lines: u_l, (r, d).
        kinds: for each line "+", "-" or "±": all its neurons point along u_l, all against, or some each way.
        teacher: v_i as rows of f(x) = Σ_i φ(v_iᵀx), (k, d).

    Source: Feizi, Javadi, Zhang and Tse, "Porcupine neural networks" (2017).
    """
    plus = torch.tensor([kind in "+±" for kind in kinds], device=lines.device)
    minus = torch.tensor([kind in "-±" for kind in kinds], device=lines.device)
    reached, both = torch.cat([plus, minus]), torch.cat([lines, -lines])
    kernel, cross = relu_products(both, both), relu_products(both, teacher).sum(dim=-1)
    constant = float(relu_products(teacher, teacher).sum() / 2)
    alpha = torch.zeros_like(cross)
    alpha[reached], loss = _minimum(kernel[reached][:, reached], cross[reached], constant)
    slope = kernel @ alpha - cross
    blocked = ~reached & (alpha.roll(len(lines)) > 1e-9)
    grown = alpha > 1e-9
    balanced = int((grown & grown.roll(len(lines))).sum()) // 2
    return Region(loss, bool((slope[~blocked] > -1e-8).all()), balanced)


def global_minimum(lines: Tensor, teacher: Tensor) -> float:
    """The smallest loss of any network on these lines: neurons of both signs on each."""
    rows = torch.cat([lines, -lines])
    cross = relu_products(rows, teacher).sum(dim=-1)
    return _minimum(relu_products(rows, rows), cross, float(relu_products(teacher, teacher).sum() / 2))[1]
