"""Semidefinite programs with a unit diagonal, and their low-rank factorization by Burer and Monteiro.

    min over X ⪰ 0 with X_ii = 1 of ⟨C, X⟩                  convex, n constraints; the relaxation of max-cut
    the same with X = V Vᵀ, V of size n × r                 not convex, each row of V on the unit sphere

If r(r + 1)/2 > n, the second has no bad local minimum for almost every C.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["dual_bound", "mixing_method", "unit_rows", "value"]


def unit_rows(v: Tensor) -> Tensor:
    """Each row of V, (…, n, r), divided by its length."""
    return v / v.norm(dim=-1, keepdim=True)


def value(cost: Tensor, v: Tensor) -> Tensor:
    """⟨C, V Vᵀ⟩, (…), for C (n, n) and V (…, n, r)."""
    return (v * (cost @ v)).sum(dim=(-2, -1))


def mixing_method(cost: Tensor, start: Tensor, *, sweeps: int) -> Tensor:
    """v_i ← −g_i/|g_i| with g_i = Σ_j C_ij v_j, one row after the other: the exact minimum over each row.

    Args:
        cost: C, symmetric with zero diagonal, (n, n).
        start: V, (…, n, r); its rows are normalized.
        sweeps: passes over all rows.

    Returns:
        V, (…, n, r).

    Raises:
        ValueError: the diagonal of C is not zero.

    Source: Wang, Chang and Kolter, "The mixing method: low-rank coordinate descent for semidefinite programming
    with diagonal constraints" (2017).
    """
    if cost.diagonal().any():
        raise ValueError("the diagonal of the cost must be zero: with unit rows it adds a constant.")
    v = unit_rows(start)
    for _ in range(sweeps):
        for i, row in enumerate(cost):
            v[..., i, :] = -unit_rows(row @ v)
    return v


def dual_bound(cost: Tensor, v: Tensor) -> Tensor:
    """A lower bound of the semidefinite program, (…): −Σ_i |g_i| + n min(0, λ_min(C + Diag |g_i|)), g = C V.

    ⟨C, X⟩ = ⟨C + Diag |g|, X⟩ − Σ_i |g_i| for every feasible X, whose trace is n.  Where the bound equals the
    value of V, the point is a global minimum, whatever its rank.
    """
    lengths = (cost @ v).norm(dim=-1)
    smallest = torch.linalg.eigvalsh(cost + torch.diag_embed(lengths))[..., 0]
    return len(cost) * smallest.clamp(max=0) - lengths.sum(dim=-1)
