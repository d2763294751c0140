"""Losses that are designed to have no bad local minima: fourth-order tensors instead of squared errors.

For y = Σ_i a_i φ(b_iᵀx) and a smooth input density p, Stein's identity gives

    E y S(x) = Σ_i c_i b_i ⊗ b_i ⊗ b_i ⊗ b_i,    c_i = a_i E φ''''(b_iᵀx),    S = ∇⁴p / p the fourth score function.

For Gaussian inputs S is the fourth Hermite tensor, and c_i = −a_i/√(2π) for ReLU and unit vectors b_i.
"""

from __future__ import annotations

from itertools import permutations

import torch
from torch import Tensor

__all__ = [
    "descend", "designed_gradient", "designed_loss", "mixture_density", "power_tensor", "recovery_error",
    "score_tensor", "without_quadratic",
]  # fmt: skip


def power_tensor(directions: Tensor, weights: Tensor) -> Tensor:
    """Σ_i c_i b_i ⊗ b_i ⊗ b_i ⊗ b_i, (d, d, d, d), for b_i as rows, (k, d), and c (k,)."""
    return torch.einsum("k,ka,kb,kc,kd->abcd", weights, *4 * [directions])


def mixture_density(inputs: Tensor, means: Tensor, shares: Tensor) -> Tensor:
    """The share of each component in the density at each input, (n, K), for a mixture of N(μ_k, I)."""
    distances = (inputs[:, None, :] - means).square().sum(dim=-1)
    return torch.softmax(shares.log() - distances / 2, dim=-1)


def score_tensor(inputs: Tensor, targets: Tensor, means: Tensor, shares: Tensor) -> Tensor:
    """The mean of y S(x) over the samples, (d, d, d, d), for inputs from a mixture of N(μ_k, I).

    S(x) = Σ_k p_k(x) H(x − μ_k) with the shares p_k of the components in the density and Hermite's tensor
    H_abcd(z) = z_a z_b z_c z_d − (δ_ab z_c z_d + 5 more) + (δ_ab δ_cd + 2 more).  One component at 0 is N(0, I).

    Args:
        inputs: (n, d).
        targets: y, (n,).
        means: μ, (K, d).
        shares: weights of the components, (K,).

    Source: Janzamin, Sedghi and Anandkumar, "Beating the perils of non-convexity" (2015); for Gaussian inputs Ge, Lee
    and Ma, "Learning one-hidden-layer neural networks with landscape design" (2017).
    """
    n, d = inputs.shape
    eye = torch.eye(d).to(inputs)
    density = mixture_density(inputs, means, shares)
    total = inputs.new_zeros(d, d, d, d)
    for k, mean in enumerate(means):
        z, weight = inputs - mean, (targets * density[:, k])[:, None]
        pairs = (z[:, :, None] * z[:, None, :]).flatten(1)
        fourth = (pairs.mT @ (weight * pairs)).unflatten(1, (d, d)).unflatten(0, (d, d))
        second = z.mT @ (weight * z)
        total += fourth + 3 * weight.sum() * _symmetric(eye, eye) - 6 * _symmetric(eye, second)
    return total / n


def _symmetric(one: Tensor, other: Tensor) -> Tensor:
    """The mean of one_ab other_cd over all orders of the four indices."""
    product = torch.einsum("ab,cd->abcd", one, other)
    orders = list(permutations(range(4)))
    return sum(product.permute(order) for order in orders) / len(orders)


def without_quadratic(inputs: Tensor, targets: Tensor) -> Tensor:
    """y less its best fit by a polynomial of degree 2, (n,): the same E y S(x), with less noise."""
    upper = torch.triu_indices(inputs.shape[1], inputs.shape[1], device=inputs.device)
    features = torch.cat(
        [torch.ones_like(inputs[:, :1]), inputs, inputs[:, upper[0]] * inputs[:, upper[1]]], dim=1
    )
    return targets - features @ torch.linalg.lstsq(features, targets[:, None]).solution[:, 0]


def designed_loss(student: Tensor, tensor: Tensor, *, mu: float, penalty: float) -> Tensor:
    """G = Σ_{j≠k} T(v_j, v_j, v_k, v_k) − μ Σ_j T(v_j, v_j, v_j, v_j) + ρ Σ_j (|v_j|² − 1)², (…,).

    For T = Σ_i c_i b_i^{⊗4} with c > 0 and orthonormal b_i the first sum asks that no two v_j overlap with the same
    b_i, the second that each overlaps with some: at the minima the v_j are the b_i, up to order, sign and length.

    Args:
        student: v_j as rows, (…, k, d).
        tensor: T, symmetric, (d, d, d, d).
        mu: μ, small and positive.
        penalty: ρ.

    Source: Ge, Lee and Ma (2017), where the two sums are expectations over samples.
    """
    pairs = (student[..., :, None] * student[..., None, :]).flatten(-2)
    products = pairs @ tensor.flatten(2).flatten(0, 1) @ pairs.mT
    own = products.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    excess = student.square().sum(dim=-1) - 1
    return products.sum(dim=(-2, -1)) - (1 + mu) * own + penalty * excess.square().sum(dim=-1)


def designed_gradient(student: Tensor, tensor: Tensor, *, mu: float, penalty: float) -> Tensor:
    """∂G/∂v_j = 4 T(·, v_j, Σ_k v_k v_kᵀ) − 4(1 + μ) T(·, v_j, v_j v_jᵀ) + 4ρ(|v_j|² − 1) v_j, (…, k, d)."""
    d = student.shape[-1]
    pairs = (student[..., :, None] * student[..., None, :]).flatten(-2)
    images = pairs @ tensor.flatten(2).flatten(0, 1)
    total = images.sum(dim=-2, keepdim=True) - (1 + mu) * images
    along = (total.unflatten(-1, (d, d)) @ student[..., None])[..., 0]
    return 4 * along + 4 * penalty * (student.square().sum(dim=-1, keepdim=True) - 1) * student


def descend(
    student: Tensor, tensor: Tensor, *, mu: float, penalty: float, step_size: float, steps: int
) -> Tensor:
    """V ← V − η ∇G from every start, (…, k, d)."""
    for _ in range(steps):
        student = student - step_size * designed_gradient(student, tensor, mu=mu, penalty=penalty)
    return student


def recovery_error(student: Tensor, teacher: Tensor) -> Tensor:
    """The largest, over the teacher's b_i, of the distance min_j |b_i ∓ v_j/|v_j||, (…,)."""
    units = student / student.norm(dim=-1, keepdim=True)
    aligned = (teacher @ units.mT).abs().amax(dim=-1).clamp(max=1)
    return (2 - 2 * aligned.amin(dim=-1)).sqrt()
