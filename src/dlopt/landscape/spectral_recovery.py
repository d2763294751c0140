"""A network y = A φ(W x) from the moments of symmetric inputs, by linear algebra alone.

For x and −x equally likely, a ReLU's odd part is linear: E[y xᵀ] = ½ A W E[x xᵀ], whatever else the distribution is.
For a direction z let h = zᵀA W x, which that moment gives.  If zᵀA has one non-zero entry, zᵀy is one neuron, and

    M(z) = E[(zᵀy)² x xᵀ] − ½ E[h² x xᵀ] = 0,

because φ(h)² is h² on one half-space.  Otherwise the products of two neurons remain: M is a quadratic form in z whose
zeros are the rows of A⁻¹.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dlopt import runtime

__all__ = ["linear_part", "matched_error", "purity_form", "recover", "symmetric_inputs"]


def symmetric_inputs(n: int, d: int, *, seed: int) -> Tensor:
    """Symmetric, far from Gaussian: uniform in a cube, sheared, (n, d)."""
    generator = runtime.generator(seed)
    cube = 2 * torch.rand(n, d, generator=generator, dtype=torch.float64) - 1
    shear = torch.eye(d) + 0.2 * torch.randn(d, d, generator=generator, dtype=torch.float64)
    return (cube @ shear).to(runtime.device())


def linear_part(inputs: Tensor, targets: Tensor) -> Tensor:
    """2 E[y xᵀ] E[x xᵀ]⁻¹ = A W, (k, d), for inputs (n, d) and targets (n, k)."""
    return 2 * torch.linalg.solve(inputs.T @ inputs, inputs.T @ targets).T


def purity_form(inputs: Tensor, targets: Tensor) -> Tensor:
    """The matrix Q, (d², k²), of z ⊗ z ↦ M(z) = E[((zᵀy)² − ½(zᵀA W x)²) x xᵀ].

    Args:
        inputs: (n, d).
        targets: y, (n, k).
    """
    linear = inputs @ linear_part(inputs, targets).T
    squares = targets[:, :, None] * targets[:, None, :] - linear[:, :, None] * linear[:, None, :] / 2
    pairs = inputs[:, :, None] * inputs[:, None, :]
    return pairs.flatten(1).T @ squares.flatten(1) / len(inputs)


def recover(inputs: Tensor, targets: Tensor, *, tries: int = 20, seed: int) -> tuple[Tensor, Tensor]:
    """A (k, k) and W (k, d) up to order and scale, with rows of W of unit length: y ≈ A φ(W x).

    The null space of Q among symmetric matrices is spanned by the z_i z_iᵀ, z_i the rows of A⁻¹.  For two random
    elements of it, Σ α_i z_i z_iᵀ and Σ β_i z_i z_iᵀ, the first times the inverse of the second has the z_i as
    eigenvectors.

    Args:
        inputs: (n, d).
        targets: (n, k); A must be invertible.
        tries: pairs of random elements; the best conditioned eigenvectors are used.
        seed: of the random elements.

    Source: after the pure neurons of Ge, Kuditipudi, Li and Wang, Learning two-layer neural networks with symmetric
    inputs (2018).
    """
    k = targets.shape[-1]
    left, right = torch.triu_indices(k, k).to(inputs.device)
    basis = inputs.new_zeros(len(left), k, k)
    basis[torch.arange(len(left)), left, right] += 0.5
    basis[torch.arange(len(left)), right, left] += 0.5
    form = purity_form(inputs, targets) @ basis.flatten(1).T
    null = torch.linalg.eigh(form.T @ form).eigenvectors[:, :k]
    mixes = torch.randn(tries, k, 2, generator=runtime.generator(seed), dtype=inputs.dtype).to(inputs)
    first, second = torch.einsum("tpe,pab->etab", null @ mixes, basis)
    vectors = torch.linalg.eig(torch.linalg.solve(second.mT, first.mT).mT).eigenvectors.real
    vectors = vectors[torch.linalg.cond(vectors).argmin()]
    scaled = vectors.T @ linear_part(inputs, targets)
    lengths = (scaled.norm(dim=-1) * torch.sign((targets @ vectors).mean(dim=0)))[:, None]
    return torch.linalg.pinv(vectors.T / lengths), scaled / lengths


def matched_error(found: Tensor, truth: Tensor) -> Tensor:
    """max over the rows of ``truth`` of the distance to the nearest row of ``found``, both made of unit rows, ()."""
    found, truth = (rows / rows.norm(dim=-1, keepdim=True) for rows in (found, truth))
    return torch.cdist(truth, found).amin(dim=-1).amax()
