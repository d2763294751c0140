"""Eigenvalues of a symmetric matrix that can only be multiplied with: Lanczos and stochastic Lanczos quadrature.

The matrix is a function ``product`` that maps (…, n) to (…, n), each row v to A v: a Hessian
(:class:`dlopt.curvature.Hessian`), or ``lambda v: v @ A``.  Leading axes are independent starts, or independent
matrices if the product treats them so; one call of the product advances all of them.

Vectors have the start's data type.  The tridiagonal matrices and everything computed from them are in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from dlopt import runtime

__all__ = [
    "Quadrature", "RitzPairs", "Tridiagonal", "density_distance", "lanczos", "quadrature", "smoothed_density",
    "spectral_density", "top_eigenvalues", "unit_vectors",
]  # fmt: skip

Product = Callable[[Tensor], Tensor]


class Tridiagonal(NamedTuple):
    """T = Qᵀ A Q, with α on its diagonal and β beside it."""

    diagonal: Tensor
    """α_1, …, α_m: (…, m), double precision."""
    off_diagonal: Tensor
    """β_1, …, β_{m-1}: (…, m-1), double precision."""
    remainder: Tensor
    """β_m, the length of what the last step left: (…,).  Zero where the Krylov space was exhausted."""
    basis: Tensor
    """q_1, …, q_m as rows: (…, m, n)."""

    def matrix(self) -> Tensor:
        """T, (…, m, m)."""
        return (
            torch.diag_embed(self.diagonal)
            + torch.diag_embed(self.off_diagonal, offset=1)
            + torch.diag_embed(self.off_diagonal, offset=-1)
        )


def lanczos(product: Product, start: Tensor, steps: int, *, reorthogonalize: bool = True) -> Tridiagonal:
    """The three-term recursion of Lanczos: with q_1 = start/‖start‖ and β_0 q_0 = 0,

        w = A q_j - β_{j-1} q_{j-1},   α_j = q_jᵀ w,   w ← w - α_j q_j,   β_j = ‖w‖,   q_{j+1} = w / β_j.

    In exact arithmetic the q_j are an orthonormal basis of span{q, A q, …, A^{m-1} q}.  In floating point they lose
    orthogonality as soon as an eigenvalue of T has converged, and copies of that eigenvalue appear (Paige, 1980).
    ``reorthogonalize`` therefore projects every w onto the complement of all earlier q, twice.

    Where a Krylov space is exhausted before ``steps`` (β_j is zero to rounding), T is filled up with α_1 on the
    diagonal and zeros beside it.  These entries do not couple to the rest: in a quadrature their weight is zero.

    Args:
        product: maps (…, n) to (…, n), v ↦ A v with A symmetric.
        start: (…, n), none of them zero.
        steps: m; more than n are cut to n.

    Raises:
        ValueError: fewer than one step, or a start of zero.
    """
    if steps < 1:
        raise ValueError(f"Lanczos needs one step or more, not {steps}.")
    steps = min(steps, start.shape[-1])
    length = start.norm(dim=-1, keepdim=True)
    if not bool((length > 0).all()):
        raise ValueError("Lanczos needs a start that is not zero.")
    basis = start.new_zeros(*start.shape[:-1], steps, start.shape[-1])
    alpha = start.new_zeros(*start.shape[:-1], steps, dtype=torch.float64)
    beta = torch.zeros_like(alpha)
    q, previous, scale = start / length, torch.zeros_like(start), torch.zeros_like(length)
    for j in range(steps):
        basis[..., j, :] = q
        w = product(q) - beta[..., j - 1, None].to(q.dtype) * previous if j else product(q)
        a = (q * w).sum(dim=-1, keepdim=True)
        w = w - a * q
        if reorthogonalize:
            for _ in range(2):
                known = basis[..., : j + 1, :]
                w = w - (known.mT @ (known @ w.unsqueeze(-1))).squeeze(-1)
        b = w.norm(dim=-1, keepdim=True)
        alive = q.norm(dim=-1) > 0
        alpha[..., j] = torch.where(alive, a.squeeze(-1).double(), alpha[..., 0])
        scale = torch.maximum(scale, a.abs() + b)
        b = torch.where(b > 10 * torch.finfo(q.dtype).eps * scale, b, 0)
        beta[..., j] = b.squeeze(-1)
        previous, q = q, torch.where(b > 0, w / b, 0)
    return Tridiagonal(alpha, beta[..., :-1], beta[..., -1], basis)


class Quadrature(NamedTuple):
    """Gauss quadrature for the spectral measure of a start: qᵀ f(A) q ≈ Σ_k weight_k f(node_k)."""

    nodes: Tensor
    """Eigenvalues of T, ascending: (…, m)."""
    weights: Tensor
    """Squared first components of T's eigenvectors: (…, m), they sum to one."""


def quadrature(tridiagonal: Tridiagonal) -> Quadrature:
    """Nodes and weights of the m-point Gauss rule that Lanczos computes (Golub and Welsch, 1969).

    It is exact for polynomials f up to degree 2m - 1.
    """
    values, vectors = torch.linalg.eigh(tridiagonal.matrix())
    return Quadrature(values, vectors[..., 0, :] ** 2)


def unit_vectors(
    shape: tuple[int, ...],
    *,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Vectors of length one, uniform on the sphere, along the last axis of ``shape``.

    They are drawn on the CPU in double precision, so every device and precision sees the same ones.
    """
    drawn = torch.randn(shape, generator=runtime.generator(seed), dtype=torch.float64)
    return (drawn / drawn.norm(dim=-1, keepdim=True)).to(device, dtype or torch.get_default_dtype())


def spectral_density(
    product: Product, starts: Tensor, steps: int, *, reorthogonalize: bool = True
) -> Quadrature:
    """Stochastic Lanczos quadrature: the spectral density 1/n Σ_i δ(λ - λ_i) from products with A alone.

    The spectral measure of a start v puts the mass (u_iᵀ v)² at λ_i.  For v uniform on the sphere its expectation is
    the density, so the mean of a few such measures estimates it, and each is replaced by its m-point Gauss rule
    (Ubaru, Chen and Saad, 2017; Ghorbani, Krishnan and Xiao, 2019).

    Args:
        product: maps (k, n) to (k, n).
        starts: k probes, (k, n), from :func:`unit_vectors`.
        steps: m, of Lanczos.

    Returns:
        One rule whose weights sum to one: nodes and weights (k m,), not sorted.  With further leading axes, (k, …, n),
        the probes are the first axis and the result is (…, k m).
    """
    rules = quadrature(lanczos(product, starts, steps, reorthogonalize=reorthogonalize))
    probes = len(starts)
    nodes, weights = (tensor.movedim(0, -2).flatten(-2) for tensor in rules)
    return Quadrature(nodes, weights / probes)


def smoothed_density(nodes: Tensor, weights: Tensor, grid: Tensor, sigma: float | Tensor) -> Tensor:
    """Σ_k weight_k N(grid; node_k, σ²): a density with a Gaussian of standard deviation σ for every point mass.

    Args:
        nodes, weights: (…, m); for eigenvalues known exactly, weights of 1/n.
        grid: where to evaluate, (g,).
        sigma: σ, in units of the eigenvalues, the same for all points or one for each node.

    Returns:
        (…, g), per unit of eigenvalue.
    """
    sigma = torch.as_tensor(sigma, dtype=nodes.dtype, device=nodes.device)
    sigma = sigma.unsqueeze(-1) if sigma.ndim else sigma
    z = (grid.to(nodes) - nodes.unsqueeze(-1)) / sigma
    bumps = torch.exp(-(z**2) / 2) / (sigma * math.sqrt(2 * math.pi))
    return (weights.unsqueeze(-1) * bumps).sum(dim=-2)


def density_distance(one: Tensor, other: Tensor, grid: Tensor) -> Tensor:
    """∫ |p - q| dλ by the trapezoidal rule: 0 for equal densities, 2 for densities that do not overlap.

    Args:
        one, other: p and q on the grid, (…, g).
        grid: (g,).
    """
    return torch.trapezoid((one - other).abs(), grid.to(one), dim=-1)


class RitzPairs(NamedTuple):
    """Approximate eigenvalues and eigenvectors."""

    values: Tensor
    """(…, count), double precision."""
    vectors: Tensor
    """(…, count, n), rows of length one."""
    residuals: Tensor
    """‖A v - λ v‖ = β_m |s_m|, (…, count): an eigenvalue of A lies this near."""


def top_eigenvalues(
    product: Product, start: Tensor, steps: int, *, count: int = 1, by: str = "value"
) -> RitzPairs:
    """The largest eigenvalues of A and their eigenvectors, by Lanczos with reorthogonalization.

    Args:
        product: maps (…, n) to (…, n).
        start: (…, n).
        steps: of Lanczos; a few times ``count``, more where the spectrum has no gap there.
        count: how many.
        by: "value" for the algebraically largest, in descending order, or "magnitude" for those with the largest
            absolute value, in descending order of it.  A Hessian has negative eigenvalues too, and a Lipschitz
            constant of the gradient is the largest absolute value.

    Raises:
        ValueError: fewer steps than ``count``, or an unknown order.
    """
    if by not in ("value", "magnitude"):
        raise ValueError(f"eigenvalues are ordered by 'value' or 'magnitude', not by {by!r}.")
    tridiagonal = lanczos(product, start, steps)
    if not 1 <= count <= tridiagonal.diagonal.shape[-1]:
        raise ValueError(
            f"count must be between 1 and the {tridiagonal.diagonal.shape[-1]} steps, not {count}."
        )
    values, vectors = torch.linalg.eigh(tridiagonal.matrix())
    order = (values if by == "value" else values.abs()).argsort(dim=-1, descending=True)[..., :count]
    values = values.gather(-1, order)
    vectors = vectors.gather(-1, order.unsqueeze(-2).expand(*vectors.shape[:-1], count)).mT
    residuals = tridiagonal.remainder.unsqueeze(-1) * vectors[..., -1].abs()
    return RitzPairs(values, vectors.to(start.dtype) @ tridiagonal.basis, residuals)
