"""Local openness of the matrix product: can every product nearby be reached by moving the factors a little?

The map (W₂, W₁) ↦ W₂ W₁ of (m × k) and (k × n) factors is locally open at (W₂, W₁) if for every ε there is a δ such
that every Z of its range, rank Z ≤ min(m, n, k), with ‖Z − W₂ W₁‖ < δ is a product of factors within ε of W₂ and W₁.
Where it is, a local minimum of a loss of the factors is one of the loss of the product.

Source: Nouiehed and Razaviyayn, Learning deep models: critical points and local openness (2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dlopt import runtime
from dlopt.landscape.levenberg_marquardt import levenberg_marquardt
from dlopt.landscape.matrix_factorization import Factors

__all__ = ["distance_to_factors", "is_locally_open", "nearby_products"]


def _rank(matrix: Tensor) -> int:
    return int(torch.linalg.matrix_rank(matrix))


def is_locally_open(factors: Factors) -> bool:
    """Whether W₂ W₁ is locally open in its range at these factors, by counting dimensions.

    Let c = dim(null W₂ ∩ col W₁) = rank W₁ − rank(W₂ W₁).  For k < min(m, n): rank W₂ = rank W₁ and c = 0.  For
    k ≥ min(m, n): c ≤ k − m, or n − rank(W₂ W₁) ≤ k − rank W₂.

    Source: Nouiehed and Razaviyayn (2018), theorem 3; for k ≥ min(m, n) Behrends, quoted there as proposition 2.
    """
    w2, w1 = factors
    (m, k), n = w2.shape, w1.shape[-1]
    rank2, rank1, together = _rank(w2), _rank(w1), _rank(w2 @ w1)
    crossing = rank1 - together
    if k < min(m, n):
        return rank2 == rank1 and crossing == 0
    return crossing <= k - m or n - together <= k - rank2


def nearby_products(factors: Factors, direction: Tensor, distances: Tensor) -> Tensor:
    """Z(t) = the best approximation of W₂ W₁ + t N of rank k, (distances, m, n): products near W₂ W₁, of its range.

    Args:
        factors: W₂ (m, k) and W₁ (k, n).
        direction: N, (m, n), of norm 1.
        distances: t, (distances,).
    """
    k = factors.w2.shape[-1]
    u, s, vt = torch.linalg.svd(factors.product + distances[:, None, None] * direction, full_matrices=False)
    return (u[..., :k] * s[..., None, :k]) @ vt[..., :k, :]


@dataclass(frozen=True)
class _Gauge:
    """All factors of Z of rank k are (B₂ G, G⁻¹ B₁); the residual is their distance from (W₂, W₁), G being free."""

    left: Tensor
    right: Tensor
    factors: Factors

    def residual(self, theta: Tensor) -> Tensor:
        g = theta.unflatten(-1, (self.left.shape[-1],) * 2)
        w2, w1 = self.left @ g, torch.linalg.solve(g, self.right)
        return torch.cat([(w2 - self.factors.w2).flatten(1), (w1 - self.factors.w1).flatten(1)], dim=-1)

    def jacobian(self, theta: Tensor) -> Tensor:
        """∂(B₂ G) = B₂ ∂G and ∂(G⁻¹ B₁) = −G⁻¹ ∂G G⁻¹ B₁."""
        k = self.left.shape[-1]
        g = theta.unflatten(-1, (k, k))
        unit = torch.eye(k * k).to(theta).reshape(k * k, 1, k, k)
        inverse = torch.linalg.inv(g)
        columns = [self.left @ unit, -inverse @ unit @ (inverse @ self.right)]
        return torch.cat([column.flatten(2) for column in columns], dim=-1).movedim(0, -1)


def distance_to_factors(products: Tensor, factors: Factors, *, starts: int = 12, seed: int = 0) -> Tensor:
    """min ‖(W₂', W₁') − (W₂, W₁)‖_F over all factors with W₂' W₁' = Z, for each Z, (products,).

    A matrix of rank k has the factors (B₂ G, G⁻¹ B₁) with one pair (B₂, B₁) and any invertible G (k × k): the search
    is over k² numbers, from several starts.  A search gives an upper bound of the distance.

    Args:
        products: Z, (products, m, n), each of rank exactly k.
        factors: W₂ (m, k) and W₁ (k, n).
        starts: for each product.
        seed: of the starts.
    """
    k = factors.w2.shape[-1]
    u, s, vt = torch.linalg.svd(products, full_matrices=False)
    root = s[..., :k].sqrt()
    left, right = u[..., :k] * root[..., None, :], root[..., None] * vt[..., :k, :]
    draws = torch.randn(starts, 1, k, k, generator=runtime.generator(seed), dtype=torch.float64).to(products)
    fitted = torch.linalg.pinv(left) @ factors.w2
    begin = torch.cat(
        [draws[: starts // 2].expand(-1, len(left), -1, -1), fitted + 0.1 * draws[starts // 2 :]]
    )
    problem = _Gauge(left.repeat(starts, 1, 1), right.repeat(starts, 1, 1), factors)
    solved = levenberg_marquardt(problem, begin.flatten(0, 1).flatten(1), steps=150)
    return solved.value.unflatten(0, (starts, -1)).amin(dim=0).sqrt()
