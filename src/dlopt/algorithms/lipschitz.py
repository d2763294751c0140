"""How large the Hessian can be: certified constants on a ball, an interval or a level set, and mere estimates.

A constant β with ‖∇²F(θ)‖ ≤ β for every θ of a convex set is a Lipschitz constant of the gradient on that set.  What
is named ``…_constant`` is proved to bound the Hessian everywhere on its set; what is named ``estimated_…`` is the
largest value among samples, a lower bound, and proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.polynomial import Polynomial
from torch import Tensor

__all__ = [
    "cosine_sum_constant",
    "estimated_constant",
    "hessian_norm",
    "level_radius",
    "matrix_factorization_constant",
    "polynomial_constant",
    "scalar_chain_constant",
    "scalar_chain_slope",
    "tanh_network_constant",
]


def level_radius(value: Tensor, strength: float) -> Tensor:
    """√(c/λ): the ball that holds {F + λ‖·‖² ≤ c} whenever F ≥ 0, since λ‖θ‖² ≤ F(θ) + λ‖θ‖² ≤ c.

    Args:
        value: c = F(θ_0) + λ‖θ_0‖², shape (…,).
        strength: λ > 0.
    """
    if strength <= 0:
        raise ValueError(f"strength is {strength}: without a ridge, F ≥ 0 bounds no level set.")
    return (value / strength).sqrt()


def cosine_sum_constant(amplitudes: Tensor, frequencies: Tensor) -> Tensor:
    """A bound of ‖∇²F‖ on the whole space for F = Σ_k a_k (1 + cos(ω_kᵀθ + φ_k)): λ_max(Σ_k a_k ω_k ω_kᵀ).

    Args:
        amplitudes: a_k ≥ 0, shape (terms,).
        frequencies: ω_k in rows, shape (terms, d).
    """
    return torch.linalg.eigvalsh((amplitudes[:, None] * frequencies).T @ frequencies)[-1]


def scalar_chain_slope(radius: Tensor | float, depth: int) -> Tensor:
    """max ‖∇F‖ over the ball ‖w‖ ≤ R, exactly, of F = ½ (w_1 ⋯ w_L − 1)²: √L s^{L−1} (1 + s^L), s = R/√L.

    ‖∇F‖ = |P − 1| ‖∇P‖, and both factors are largest where |w_i| = s and P = −s^L.

    Args:
        radius: R ≥ 0, a number or any shape.
        depth: L ≥ 1.
    """
    s = torch.as_tensor(radius, dtype=torch.float64) / math.sqrt(depth)
    return math.sqrt(depth) * s ** (depth - 1) * (1 + s**depth)


def scalar_chain_constant(radius: Tensor | float, depth: int) -> Tensor:
    """max ‖∇²F‖ over the ball ‖w‖ ≤ R, exactly, of F = ½ (w_1 ⋯ w_L − 1)²: (2L−1) s^{2L−2} + (L−1) s^{L−2}, s = R/√L.

    ∇²F = ∇P ∇Pᵀ + (P − 1) ∇²P with P the product.  Maclaurin's inequality bounds |P| ≤ s^L, ‖∇P‖² ≤ L s^{2L−2} and
    ‖∇²P‖_F² ≤ L(L−1) s^{2L−4}; a symmetric matrix of trace 0 has norm at most √((L−1)/L) of its Frobenius norm, so
    ‖∇²P‖ ≤ (L−1) s^{L−2}.  All of it is attained at once where |w_i| = s and P = −s^L.

    Args:
        radius: R ≥ 0, a number or any shape.
        depth: L ≥ 1.
    """
    if depth < 1:
        raise ValueError(f"depth is {depth}: a chain has at least one factor.")
    s = torch.as_tensor(radius, dtype=torch.float64) / math.sqrt(depth)
    mixed = (depth - 1) * s ** (depth - 2) if depth > 1 else torch.zeros_like(s)
    return (2 * depth - 1) * s ** (2 * depth - 2) + mixed


def matrix_factorization_constant(radius: Tensor | float, target: Tensor) -> Tensor:
    """A bound of ‖∇²F‖ over ‖(X, Y)‖ ≤ R for F = ½ ‖XY − M‖²: (3/2) R² + ‖M‖₂.

    In a unit direction (U, V) the second derivative is ‖UY + XV‖² + 2⟨XY − M, UV⟩, where ‖UY + XV‖² ≤ R² by the
    Cauchy–Schwarz inequality and |2⟨XY − M, UV⟩| ≤ ‖XY − M‖₂ ≤ R²/2 + ‖M‖₂.

    Args:
        radius: R, a number or any shape.
        target: M, a matrix.
    """
    return 1.5 * torch.as_tensor(radius, dtype=target.dtype) ** 2 + torch.linalg.matrix_norm(target, ord=2)


def tanh_network_constant(radius: Tensor | float, inputs: Tensor, targets: Tensor, width: int) -> Tensor:
    """A bound of ‖∇²F‖ over ‖θ‖ ≤ R for F = (1/n) Σ_i (vᵀ tanh(W x_i) − y_i)², θ = (W, v).

    For each sample the Hessian is 2∇f∇fᵀ + 2(f − y)∇²f.  From |tanh| ≤ 1, 0 < tanh' ≤ 1, |tanh''| ≤ 4/(3√3):
    ‖∇f‖² ≤ m + R²‖x‖², |f| ≤ R√m, and ∇²f has a block for each unit, of norm at most ‖x‖ + (4/(3√3)) R‖x‖².

    Args:
        radius: R, a number or any shape.
        inputs: x_i in rows, shape (n, d_0).
        targets: y_i, shape (n,).
        width: m.
    """
    r = torch.as_tensor(radius, dtype=inputs.dtype)[..., None]
    x = torch.linalg.vector_norm(inputs, dim=1)
    slope = width + r**2 * x**2
    bend = x + 4 / (3 * math.sqrt(3)) * r * x**2
    return (2 * (slope + (r * math.sqrt(width) + targets.abs()) * bend)).mean(dim=-1)


def polynomial_constant(polynomial: Polynomial, low: float, high: float, precision: float = 1e-9) -> float:
    """A bound of |p''| on [low, high], at most the share ``precision`` above its maximum, by branch and bound.

    On a cell with center m and half-width h, Taylor's formula gives |q| ≤ Σ_k |q⁽ᵏ⁾(m)| hᵏ/k!, exactly, for q = p''.
    Cells whose bound exceeds the largest value seen by more than the precision are halved until none is left.
    (Roots of the third derivative would be quicker, and wrong where they are ill-conditioned.)

    Args:
        polynomial: p, with real coefficients.
        low, high: the interval.
        precision: relative, above rounding.
    """
    second = polynomial.deriv(2)
    terms = [second.deriv(k) / math.factorial(k) for k in range(second.degree() + 1)]
    seen = float(np.abs(second(np.array([low, high]))).max())
    centers, half = np.array([(low + high) / 2]), (high - low) / 2
    while len(centers):
        at_centers = np.abs([term(centers) for term in terms])
        seen = max(seen, float(at_centers[0].max()))
        bounds = (at_centers * half ** np.arange(len(terms))[:, None]).sum(axis=0)
        centers = centers[bounds > seen * (1 + precision)]
        half /= 2
        centers = np.concatenate([centers - half, centers + half])
    return seen * (1 + precision)


def hessian_norm(function: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """max |eigenvalue of ∇²F| at each row of ``points``, by automatic differentiation.

    Args:
        function: F, maps (starts, d) to (starts,).
        points: shape (starts, d).

    Returns:
        Shape (starts,).
    """

    def single(point: Tensor) -> Tensor:
        return function(point[None])[0]

    hessians = torch.func.vmap(torch.func.hessian(single))(points)
    return torch.linalg.eigvalsh(hessians).abs().amax(dim=-1)


def estimated_constant(
    function: Callable[[Tensor], Tensor],
    radius: float,
    dimension: int,
    samples: int,
    generator: torch.Generator,
) -> Tensor:
    """The largest ‖∇²F‖ among random points of the ball ‖θ‖ ≤ R: a lower bound of the constant, not a certificate.

    Half of the points lie on the sphere, where the maximum of a growing function is.

    Args:
        function: F, maps (starts, d) to (starts,).
        radius: R.
        dimension: d.
        samples: how many points.
        generator: where they come from.
    """
    directions = torch.randn(samples, dimension, generator=generator, dtype=torch.float64)
    directions /= torch.linalg.vector_norm(directions, dim=1, keepdim=True)
    radii = radius * torch.rand(samples, 1, generator=generator, dtype=torch.float64) ** (1 / dimension)
    radii[: samples // 2] = radius
    return hessian_norm(function, radii * directions).max()
