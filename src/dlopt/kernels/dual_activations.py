"""Dual activations: E[φ(u) φ(v)] and E[φ'(u) φ'(v)] for Gaussian u, v, entry by entry over a matrix of covariances.

ReLU has arc-cosine kernels (Cho and Saul 2009), erf an arc sine (Williams 1998), and every other activation a
quadrature.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dlopt.models import Activation, as_activation

__all__ = ["Dual", "dual"]


class Dual(Protocol):
    """The Gaussian expectations of one activation φ."""

    def products(self, covariance: Tensor, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        """E φ(u_i) φ(v_j) and E φ'(u_i) φ'(v_j), (…, n, m), for variances p (…, n) of u and q (…, m) of v."""

    def variance(self, q: Tensor) -> Tensor:
        """E φ(√q ξ)², entry by entry."""

    def slope(self, q: Tensor) -> Tensor:
        """E φ'(√q ξ)², entry by entry."""


def dual(activation: str | Activation) -> Dual:
    """The closed form for ReLU and erf, else a quadrature."""
    phi = as_activation(activation)
    closed = {"relu": _ReLU, "erf": _Erf}.get(phi.name)
    return closed() if closed else _Quadrature(phi)


class _ReLU:
    """With c = cov/√(p q) = cos θ: E φφ = √(p q) (sin θ + (π - θ) cos θ)/2π and E φ'φ' = (π - θ)/2π."""

    def products(self, covariance: Tensor, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        scales = (
            p.clamp(min=torch.finfo(p.dtype).tiny).rsqrt().unsqueeze(-1),
            q.clamp(min=torch.finfo(q.dtype).tiny).rsqrt().unsqueeze(-2),
        )
        c = (covariance * scales[0]).mul_(scales[1]).clamp_(-1, 1)
        slopes = torch.arccos(c).neg_().add_(math.pi).div_(2 * math.pi)
        sine = torch.addcmul(torch.ones((), dtype=c.dtype, device=c.device), c, c, value=-1).sqrt_()
        values = c.mul_(slopes).add_(sine, alpha=1 / (2 * math.pi))
        return values.mul_(p.sqrt().unsqueeze(-1)).mul_(q.sqrt().unsqueeze(-2)), slopes

    def variance(self, q: Tensor) -> Tensor:
        return q / 2

    def slope(self, q: Tensor) -> Tensor:
        return torch.full_like(q, 0.5)


class _Erf:
    """E φφ = 2/π arcsin(2 cov/√((1 + 2p)(1 + 2q))) and E φ'φ' = 4/π / √((1 + 2p)(1 + 2q) - 4 cov²)."""

    def products(self, covariance: Tensor, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        scales = (1 + 2 * p).unsqueeze(-1) * (1 + 2 * q).unsqueeze(-2)
        values = torch.arcsin((2 * covariance / scales.sqrt()).clamp(-1, 1)) * (2 / math.pi)
        return values, (4 / math.pi) / (scales - 4 * covariance**2).sqrt()

    def variance(self, q: Tensor) -> Tensor:
        return torch.arcsin(2 * q / (1 + 2 * q)) * (2 / math.pi)

    def slope(self, q: Tensor) -> Tensor:
        return (4 / math.pi) / (1 + 4 * q).sqrt()


class _Quadrature:
    """Tensor Gauss–Hermite quadrature: u = √p ξ, v = √q (c ξ + √(1 - c²) ζ) with independent ξ, ζ from N(0, 1).

    Exact for polynomials of degree below the number of nodes and excellent for smooth φ; slow where φ has a kink.
    """

    def __init__(self, activation: Activation, count: int = 80) -> None:
        self.activation = activation
        nodes, weights = np.polynomial.hermite_e.hermegauss(count)
        self.nodes, self.weights = torch.from_numpy(nodes), torch.from_numpy(weights / weights.sum())

    def products(self, covariance: Tensor, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        nodes, weights = self._rule(covariance)
        c = (covariance / (p.unsqueeze(-1) * q.unsqueeze(-2)).sqrt()).clamp(-1, 1)
        u = p.sqrt().unsqueeze(-1) * nodes  # (…, n, nodes of ξ)
        left, left_slope = self.activation(u), self.activation.derivative(u)
        values, slopes = torch.zeros_like(c), torch.zeros_like(c)
        for k, weight in enumerate(weights):
            mixed = c.unsqueeze(-1) * nodes[k] + (1 - c**2).sqrt().unsqueeze(-1) * nodes
            v = q.sqrt()[..., None, :, None] * mixed
            values += weight * left[..., k, None] * (self.activation(v) @ weights)
            slopes += weight * left_slope[..., k, None] * (self.activation.derivative(v) @ weights)
        return values, slopes

    def variance(self, q: Tensor) -> Tensor:
        return self._mean_square(q, self.activation)

    def slope(self, q: Tensor) -> Tensor:
        return self._mean_square(q, self.activation.derivative)

    def _mean_square(self, q: Tensor, f) -> Tensor:
        nodes, weights = self._rule(q)
        return f(q.sqrt().unsqueeze(-1) * nodes) ** 2 @ weights

    def _rule(self, like: Tensor) -> tuple[Tensor, Tensor]:
        return self.nodes.to(like), self.weights.to(like)
