"""The spherical spin glass with three-spin interactions: a random cubic form on a sphere.

    H(x) = −1/N Σ_{ijk} J_ijk x_i x_j x_k on ‖x‖² = N,   J_ijk independent N(0, 1)

The energy of a point is H/N.  In high dimension its critical points are layered: −E_∞ = −2√(2/3) is the level below
which almost all of them are minima, and the fraction of negative directions at a critical point is a function of its
energy.

Source: Auffinger, Ben Arous and Černý, Random matrices and complexity of spin glasses (2013); it is the model that
Choromanska et al., The loss surfaces of multilayer networks (2015), compare networks with.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from dlopt import runtime

__all__ = [
    "THRESHOLD", "CriticalPoints", "couplings", "critical_points", "descend", "energy", "index_fraction",
    "random_points", "riemannian_hessian",
]  # fmt: skip

THRESHOLD = -2 * math.sqrt(2 / 3)
"""−E_∞ for three spins, the energy at which minima give way to saddles."""


class CriticalPoints(NamedTuple):
    """Points at which the gradient along the sphere vanishes."""

    energy: Tensor
    """H/N, (points,)."""
    negative: Tensor
    """The share of the N − 1 directions along the sphere in which the curvature is negative, (points,)."""


def couplings(n: int, *, seed: int) -> Tensor:
    """J averaged over the six orders of its indices, (N, N, N); the form is that of independent entries."""
    j = torch.randn(n, n, n, generator=runtime.generator(seed), dtype=torch.float64)
    orders = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    return (sum(j.permute(order) for order in orders) / 6).to(runtime.device())


def random_points(count: int, n: int, *, seed: int) -> Tensor:
    """Uniform on the sphere of radius √N, (count, N)."""
    draw = torch.randn(count, n, generator=runtime.generator(seed), dtype=torch.float64)
    return _on_sphere(draw).to(runtime.device())


def _on_sphere(x: Tensor) -> Tensor:
    return x * (x.shape[-1] ** 0.5 / x.norm(dim=-1, keepdim=True))


def _contracted(j: Tensor, x: Tensor) -> Tensor:
    """Σ_k J_ijk x_k, (points, N, N)."""
    n = len(j)
    return (x @ j.reshape(n * n, n).mT).unflatten(-1, (n, n))


def energy(j: Tensor, x: Tensor) -> Tensor:
    """H(x)/N, (points,)."""
    form = (_contracted(j, x) @ x[..., None]).squeeze(-1) * x
    return -form.sum(dim=-1) / len(j) ** 2


def descend(j: Tensor, x: Tensor, *, step_size: float, steps: int) -> Tensor:
    """x ← the point of the sphere in the direction of x − η ∇H, with ∇H = −3/N Σ_{jk} J_ijk x_j x_k."""
    for _ in range(steps):
        slope = -3 / len(j) * (_contracted(j, x) @ x[..., None]).squeeze(-1)
        x = _on_sphere(x - step_size * slope)
    return x


def riemannian_hessian(j: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient along the sphere, (points, N), and the curvature there, ∇²H − (xᵀ∇H/N) I, (points, N, N).

    Both vanish in the direction of x.
    """
    n = len(j)
    contracted = _contracted(j, x)
    slope = -3 / n * (contracted @ x[..., None]).squeeze(-1)
    radial = (slope * x).sum(dim=-1) / n
    eye = torch.eye(n).to(x)
    tangent = eye - x[..., :, None] * x[..., None, :] / n
    curvature = tangent @ (-6 / n * contracted - radial[..., None, None] * eye) @ tangent
    return slope - radial[..., None] * x, curvature


def critical_points(j: Tensor, x: Tensor, *, steps: int, tolerance: float = 1e-8) -> CriticalPoints:
    """The critical points that Newton's method runs to, of whatever index; starts that do not arrive are left out.

    Args:
        j: the couplings.
        x: the starts, (points, N).
        steps: of Newton's method, each followed by a return to the sphere; no step is longer than √N/4.
        tolerance: on the norm of the gradient.
    """
    n = len(j)
    for _ in range(steps):
        slope, curvature = riemannian_hessian(j, x)
        radial = x[..., :, None] * x[..., None, :] / n
        step = torch.linalg.solve(curvature + radial, slope)
        length = step.norm(dim=-1, keepdim=True)
        x = _on_sphere(x - step * (n**0.5 / 4 / length).clamp(max=1))
    slope, curvature = riemannian_hessian(j, x)
    arrived = slope.norm(dim=-1) < tolerance
    negative = (torch.linalg.eigvalsh(curvature[arrived]) < -1e-6).sum(dim=-1)
    return CriticalPoints(energy(j, x[arrived]), negative.to(x) / (n - 1))


def index_fraction(energies: Tensor) -> Tensor:
    """The share of negative directions at a critical point of energy u, for N → ∞: the mass of a semicircle below 3u.

    There the curvature along the sphere is a random symmetric matrix, whose eigenvalues fill a semicircle of radius
    2√6, shifted by −3u.
    """
    a = (3 * energies / (2 * math.sqrt(6))).clamp(-1, 1)
    return 0.5 + (a * (1 - a**2).sqrt() + a.asin()) / math.pi
