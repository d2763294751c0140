"""Regions of weight space in which no ReLU switches, and the minima that they hold.

f(x_i) = Σ_j a_j φ(w_jᵀx_i), without biases.  As long as the pattern s_ij = 1[w_jᵀx_i > 0] stays, f is linear in the
products v_j = a_j w_j: f(x_i) = Σ_j s_ij v_jᵀx_i = (A v)_i.  A minimum of the quadratic loss inside a region solves
Aᵀ(Av − y) = 0.  If A has rank n, that forces Av = y: a bad minimum needs a region whose A has a smaller rank.
"""

from __future__ import annotations

from math import comb

import torch
from scipy.optimize import linprog
from torch import Tensor

__all__ = ["holds_a_minimum", "pattern", "patterns_of_a_neuron", "region_matrix", "smallest_residual"]


def pattern(weights: Tensor, inputs: Tensor) -> Tensor:
    """s_ij = 1[w_jᵀx_i > 0], (…, n, m), for w_j as rows, (…, m, d), and inputs (n, d)."""
    return (inputs @ weights.mT > 0).to(inputs.dtype)


def region_matrix(signs: Tensor, inputs: Tensor) -> Tensor:
    """A with the rows (s_i1 x_i, …, s_im x_i), (…, n, m d)."""
    return (signs[..., None] * inputs[:, None, :]).flatten(-2)


def smallest_residual(matrix: Tensor, targets: Tensor) -> Tensor:
    """|y − A A⁺y|, (…,): what every minimum in the region leaves; 0 wherever A has rank n."""
    left, sizes, _ = torch.linalg.svd(matrix, full_matrices=False)
    kept = sizes > 1e-9 * sizes[..., :1]
    seen = ((left.mT @ targets[:, None])[..., 0] * kept).square().sum(dim=-1)
    return (targets.square().sum() - seen).clamp(min=0).sqrt()


def holds_a_minimum(signs: Tensor, outputs: Tensor, inputs: Tensor, targets: Tensor) -> bool:
    """Whether the region has a differentiable minimum of the quadratic loss: a linear program.

    It asks for v with Aᵀ(Av − y) = 0 whose w_j = v_j/a_j have the region's pattern, with a margin t > 0.

    Args:
        signs: s, (n, m).
        outputs: the signs of a, (m,).
        inputs: (n, d).
        targets: y, (n,).
    """
    n, d = inputs.shape
    m = len(outputs)
    matrix = region_matrix(signs, inputs)
    sides = (2 * signs - 1) * outputs
    limits = inputs.new_zeros(m * n, m * d + 1)
    for j in range(m):
        limits[j * n : (j + 1) * n, j * d : (j + 1) * d] = -sides[:, j, None] * inputs
    limits[:, -1] = 1
    left, sizes, _ = torch.linalg.svd(matrix, full_matrices=False)
    left = left[:, sizes > 1e-9 * sizes[0]].mT
    equations = torch.cat([left @ matrix, matrix.new_zeros(len(left), 1)], dim=1)
    solved = linprog(
        [0.0] * (m * d) + [-1.0],
        A_ub=limits.cpu().numpy(),
        b_ub=[0.0] * (m * n),
        A_eq=equations.cpu().numpy(),
        b_eq=(left @ targets).cpu().numpy(),
        bounds=[(None, None)] * (m * d) + [(None, 1.0)],
    )
    return bool(solved.status == 0 and solved.x[-1] > 1e-9)


def patterns_of_a_neuron(samples: int, dimension: int) -> int:
    """2 Σ_{k<d} C(n − 1, k): how many patterns one neuron without bias can have on n samples in general position.

    Source: Cover, "Geometrical and statistical properties of systems of linear inequalities" (1965).
    """
    return 2 * sum(comb(samples - 1, k) for k in range(dimension))
