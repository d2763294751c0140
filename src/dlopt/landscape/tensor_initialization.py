"""The weights of a network from the moments of its outputs: Stein's identity and tensor decomposition.

For x from N(0, I) and y = Σ_i b_i φ(a_iᵀx + c_i), Stein's identity turns moments with Hermite tensors into
derivatives:

    E[y H_p(x)] = Σ_i b_i E[φ^(p)(a_iᵀx + c_i)] a_i ⊗ … ⊗ a_i,
    H_2 = x ⊗ x − I,   H_3 = x ⊗ x ⊗ x − (x ⊗ I in its three orders).

So samples give a low-rank symmetric tensor whose components are the weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dlopt import runtime
from dlopt.landscape.student_teacher import outputs
from dlopt.landscape.tensor_power import deflate

__all__ = [
    "directions", "fourth_moment_along", "second_moment", "tensor_initialization", "third_moment", "weight_scales",
]  # fmt: skip


def second_moment(inputs: Tensor, targets: Tensor) -> Tensor:
    """The mean of y H_2(x) = y (x ⊗ x − I), (d, d), for inputs (n, d) and targets (n,)."""
    eye = torch.eye(inputs.shape[-1]).to(inputs)
    return (targets[:, None] * inputs).T @ inputs / len(inputs) - targets.mean() * eye


def third_moment(inputs: Tensor, targets: Tensor) -> Tensor:
    """The mean of y H_3(x), (d, d, d), for inputs (n, d) and targets (n,).

    Source: Janzamin, Sedghi and Anandkumar, Beating the perils of non-convexity (2015), for Gaussian inputs.
    """
    n, d = inputs.shape
    weighted = targets[:, None] * inputs
    pairs = (inputs[:, :, None] * inputs[:, None, :]).reshape(n, -1)
    return (weighted.T @ pairs / n).reshape(d, d, d) - _in_three_orders(
        weighted.mean(dim=0), torch.eye(d).to(inputs)
    )


def fourth_moment_along(inputs: Tensor, targets: Tensor, direction: Tensor) -> Tensor:
    """The mean of y H_4(x)(α, ·, ·, ·), (d, d, d), as α·H_4 = (αᵀx) H_3 − (α ⊗ H_2 in its three orders).

    A ReLU without bias needs it: E φ''' = 0 there, so that its third moment says nothing.

    Args:
        inputs: (n, d).
        targets: (n,).
        direction: α, (d,).
    """
    third = third_moment(inputs, targets * (inputs @ direction))
    return third - _in_three_orders(direction, second_moment(inputs, targets))


def _in_three_orders(vector: Tensor, matrix: Tensor) -> Tensor:
    """u ⊗ M + its two transpositions, for a symmetric M."""
    product = torch.einsum("a,bc->abc", vector, matrix)
    return product + product.transpose(0, 1) + product.transpose(0, 2)


def directions(second: Tensor, third: Tensor, rank: int, *, seed: int) -> Tensor:
    """Unit vectors ±a_i/‖a_i‖ from M = Σ λ_i a_i a_iᵀ, all λ_i of one sign, and T = Σ μ_i a_i ⊗ a_i ⊗ a_i: (rank, d).

    M whitens: with M = U D Uᵀ the vectors D^{-1/2}Uᵀa_i are orthogonal, so T becomes a tensor for the power method.

    Args:
        second: M, (d, d); its ``rank`` eigenvalues of largest size are used.
        third: T, (d, d, d).
        rank: how many components.
        seed: of the power method's starts.

    Source: Anandkumar et al., Tensor decompositions for learning latent variable models (2014).
    """
    eigenvalues, vectors = torch.linalg.eigh(second)
    largest = eigenvalues.abs().argsort(descending=True)[:rank]
    root, basis = eigenvalues[largest].abs().sqrt(), vectors[:, largest]
    white = torch.einsum("abc,ai,bj,ck->ijk", third, *([basis / root] * 3))
    start = torch.randn(rank, rank, generator=runtime.generator(seed), dtype=third.dtype).to(third)
    _, found = deflate(white, start, steps=100)
    components = (found * root) @ basis.T
    return components / components.norm(dim=-1, keepdim=True)


def weight_scales(inputs: Tensor, targets: Tensor, found: Tensor) -> Tensor:
    """z_i with Σ_i z_i u_i = 2 E[y x], (k,): for y = Σ_i φ(w_iᵀx), φ = ReLU, w_i = z_i u_i with sign and length."""
    first = 2 * (targets[:, None] * inputs).mean(dim=0)
    return torch.linalg.lstsq(found.T, first[:, None]).solution[:, 0]


def tensor_initialization(inputs: Tensor, targets: Tensor, rank: int, *, tries: int = 5, seed: int) -> Tensor:
    """An estimate of W in y = Σ_i φ(w_iᵀx), φ = ReLU, x from N(0, I), with k ≤ d neurons: (k, d).

    The second moment gives the span of the w_i; in it, the fourth moment along a random direction gives their
    directions, and the first moment their lengths.  A random direction can be nearly orthogonal to a neuron, so
    several are tried and the one that fits the samples best is kept.

    Args:
        inputs: (n, d).
        targets: y, (n,).
        rank: k.
        tries: random directions.
        seed: of the directions and of the power method.

    Source: Zhong et al., Recovery guarantees for one-hidden-layer neural networks (2017), whose algorithm it follows.
    """
    eigenvalues, vectors = torch.linalg.eigh(second_moment(inputs, targets))
    span = vectors[:, eigenvalues.argsort(descending=True)[:rank]]
    small = inputs @ span
    second = second_moment(small, targets)
    alphas = torch.randn(tries, rank, generator=runtime.generator(seed), dtype=inputs.dtype).to(inputs)
    candidates = []
    for alpha in alphas:
        found = directions(second, fourth_moment_along(small, targets, alpha), rank, seed=seed) @ span.T
        candidates.append(weight_scales(inputs, targets, found)[:, None] * found)
    misfits = [(outputs(inputs, weights) - targets).square().mean() for weights in candidates]
    return candidates[int(torch.stack(misfits).argmin())]
