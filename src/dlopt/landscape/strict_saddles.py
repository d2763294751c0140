"""The critical points of matrix factorization, equation (24) of the survey, and the curvature at each of them.

    f(X, Y) = ‖M − X Yᵀ‖_F²,   M = Σ σ_i u_i v_iᵀ (n × n),   X, Y (n × r)

For distinct positive singular values every critical point keeps a set S of at most r pieces, X Yᵀ = Σ_{i∈S} σ_i u_i
v_iᵀ (Baldi and Hornik, Neural networks and principal component analysis, 1989).  This module writes the point down,
and with it the whole spectrum of its Hessian, so that "every critical point that is not a global minimum is a strict
saddle" becomes a statement about 2nr numbers.

Factors are those of :mod:`dlopt.landscape.matrix_factorization`: W₂ = X and W₁ = Yᵀ.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from dlopt.landscape import deep_linear
from dlopt.landscape.matrix_factorization import Factors, factorization_loss

__all__ = [
    "critical_point", "critical_sets", "escape_curvature", "hessian_at", "hessian_spectrum", "negative_directions",
]  # fmt: skip


def critical_sets(n: int, rank: int) -> list[tuple[int, ...]]:
    """All sets S of at most ``rank`` of the pieces 0, …, n − 1: one for each critical value."""
    return [kept for size in range(rank + 1) for kept in combinations(range(n), size)]


def critical_point(target: Tensor, kept: Sequence[int], rank: int, *, balance: float = 1.0) -> Factors:
    """The critical point X = c U_S Σ_S^{1/2}, Y = c⁻¹ V_S Σ_S^{1/2} that keeps the pieces S; free columns are zero.

    Args:
        target: M, (n, n).
        kept: S, indices of singular values in falling order, at most ``rank`` of them.
        rank: r, the number of columns.
        balance: c > 0; 1 makes the two factors equally large.

    Raises:
        ValueError: more pieces are kept than there are columns, or the balance is not positive.

    Source: the survey, (24); Baldi and Hornik (1989).
    """
    if len(kept) > rank:
        raise ValueError(f"{len(kept)} pieces do not fit into {rank} columns.")
    if balance <= 0:
        raise ValueError(f"the balance must be positive, not {balance}.")
    u, s, vt = torch.linalg.svd(target)
    chosen = list(kept)
    root = s[chosen].sqrt()
    free = rank - len(chosen)
    return Factors(
        torch.nn.functional.pad(balance * u[:, chosen] * root, (0, free)),
        torch.nn.functional.pad(root[:, None] * vt[chosen] / balance, (0, 0, 0, free)),
    )


def hessian_at(target: Tensor, factors: Factors) -> Tensor:
    """∇²f(X, Y) as a matrix, (2nr, 2nr), by automatic differentiation."""
    return deep_linear.hessian_at(factors, lambda pair: factorization_loss(target, Factors(*pair)))


def hessian_spectrum(singular_values: Tensor, kept: Sequence[int], rank: int) -> Tensor:
    """The 2nr eigenvalues of ∇²f at the balanced critical point that keeps S, in rising order.

    A column of the factors holds a piece of strength s_k: σ_i for a kept piece i, and 0 for a free column.  Then

    * each pair of a column k and a piece j ∉ S contributes 2(s_k − σ_j) and 2(s_k + σ_j);
    * each ordered pair of kept pieces i, i' contributes 2(σ_i + σ_i') and 0, a rotation;
    * turning a kept piece into a free column, in X or in Y, changes nothing to second order: zeros.

    Args:
        singular_values: σ, (n,), in falling order.
        kept: S.
        rank: r.

    Source: second variation 2‖U Yᵀ + X Vᵀ‖² − 4⟨M − X Yᵀ, U Vᵀ⟩ at the point of :func:`critical_point`.
    """
    inside = singular_values[list(kept)]
    columns = torch.nn.functional.pad(inside, (0, rank - len(kept)))
    outside = singular_values[[j for j in range(len(singular_values)) if j not in set(kept)]]
    swaps = torch.cat([columns[:, None] - outside, columns[:, None] + outside])
    turns = inside[:, None] + inside
    zeros = singular_values.new_zeros(len(kept) * (2 * rank - len(kept)))
    return torch.cat([2 * swaps.flatten(), 2 * turns.flatten(), zeros]).sort().values


def negative_directions(singular_values: Tensor, kept: Sequence[int], rank: int) -> int:
    """How many eigenvalues of ∇²f are negative: the pairs of a column and a larger piece that it does not hold.

    By Sylvester's law this number is the same at every critical point that keeps S, balanced or not.
    """
    return int((hessian_spectrum(singular_values, kept, rank) < 0).sum())


def escape_curvature(
    inside: float | Tensor, outside: float | Tensor, balance: float | Tensor = 1.0
) -> Tensor:
    """λ = σ_in(c² + c⁻²) − √(σ_in²(c² − c⁻²)² + 4σ_out²), the curvature along the way out of a saddle.

    For balanced factors, c = 1, it is −2(σ_out − σ_in).  It has the sign of σ_in − σ_out for every c and tends to 0
    as c grows: out of balance, a strict saddle is as flat as one likes.

    Args:
        inside: σ_in, strength of the column that gives way.
        outside: σ_out, the piece that replaces it.
        balance: c as in :func:`critical_point`.
    """
    inside, outside, balance = (
        torch.as_tensor(value, dtype=torch.float64) for value in (inside, outside, balance)
    )
    total, difference = balance**2 + balance**-2, balance**2 - balance**-2
    return inside * total - ((inside * difference) ** 2 + 4 * outside**2).sqrt()
