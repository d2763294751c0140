"""Linear residual networks: no critical point but global minima near the identity, and a global minimum there.

    f(A_1, …, A_L) = ‖((I + A_L) ⋯ (I + A_1) − R) Σ^{1/2}‖_F²

is, up to a constant, the expected squared error of learning y = R x + noise from inputs with covariance Σ.

A is a tensor (…, L, d, d) with A_1 first; its norm is the largest spectral norm of its slices.

Source: Hardt and Ma, Identity matters in deep learning (2017), section 2.
"""

from __future__ import annotations

import math

import torch
from scipy.linalg import logm
from torch import Tensor

from dlopt import runtime
from dlopt.landscape import deep_linear

__all__ = ["gradient", "gradient_bound", "near_identity_optimum", "norm", "objective", "random_in_ball"]


def _layers(residuals: Tensor) -> list[Tensor]:
    """I + A_1, …, I + A_L."""
    eye = torch.eye(residuals.shape[-1]).to(residuals)
    return [eye + slice_ for slice_ in residuals.unbind(dim=-3)]


def norm(residuals: Tensor) -> Tensor:
    """max_l ‖A_l‖, the largest spectral norm, (…)."""
    return torch.linalg.matrix_norm(residuals, ord=2).amax(dim=-1)


def objective(residuals: Tensor, target: Tensor, covariance: Tensor) -> Tensor:
    """f = tr(E Σ Eᵀ) with E = (I + A_L) ⋯ (I + A_1) − R, (…)."""
    error = deep_linear.product(_layers(residuals)) - target
    return ((error @ covariance) * error).sum(dim=(-2, -1))


def gradient(residuals: Tensor, target: Tensor, covariance: Tensor) -> Tensor:
    """∂f/∂A_l = 2 (I + A_L)ᵀ ⋯ (I + A_{l+1})ᵀ E Σ (I + A_{l−1})ᵀ ⋯ (I + A_1)ᵀ, (…, L, d, d).

    Source: Hardt and Ma (2017), lemma 2.4, there with the lower factors in rising order; they stand in the order in
    which the chain rule meets them, (I + A_1)ᵀ next to Σ and (I + A_{l−1})ᵀ last.
    """
    layers = _layers(residuals)
    error = deep_linear.product(layers) - target
    return torch.stack(deep_linear.gradients(layers, 2 * error @ covariance), dim=-3)


def gradient_bound(
    value: Tensor, tau: float | Tensor, depth: int, covariance: Tensor, *, power: int = 2
) -> Tensor:
    """4 L (1 − τ)^{2(L−1)} σ_min(Σ) (f − f*), a lower bound of ‖∇f‖² wherever ‖A‖ ≤ τ < 1.

    Each of the L slices of the gradient is 2 E Σ times L − 1 matrices whose singular values are at least 1 − τ, and
    ‖E Σ‖² ≥ σ_min(Σ) ‖E Σ^{1/2}‖².

    Args:
        value: f − f*.
        tau: τ.
        depth: L.
        covariance: Σ, (d, d).
        power: 2; with 1 it is the exponent L − 1 that (2.3) of Hardt and Ma (2017) prints, where a square was lost.
    """
    smallest = torch.linalg.eigvalsh(covariance)[0]
    return 4 * depth * (1 - tau) ** (power * (depth - 1)) * smallest * value


def near_identity_optimum(target: Tensor, depth: int) -> Tensor:
    """A global minimum, (I + A_L) ⋯ (I + A_1) = R, with ‖A‖ close to (π + γ)/L at most, (L, d, d).

    R = Q S with a rotation Q and a positive definite S.  With γ the largest ‖log σ(R)‖, m layers of S^{1/m} have
    ‖A‖ ≤ e^{γ/m} − 1, and L − m layers of Q^{1/(L−m)} have ‖A‖ ≤ π/(L − m); m is near L γ/(π + γ).  The roots are
    real because det R > 0.

    Raises:
        ValueError: det R ≤ 0, so that no such product exists with ‖A‖ < 1; or fewer than two layers.

    Source: Hardt and Ma (2017), theorem 2.1, has 2(√π + √(3γ))²/L; the split by the polar decomposition is ours.
    """
    if torch.linalg.det(target) <= 0:
        raise ValueError(
            "det R must be positive: (I + A_L) ⋯ (I + A_1) has a positive determinant if ‖A‖ < 1."
        )
    if depth < 2:
        raise ValueError(f"the construction needs two layers or more, not {depth}.")
    u, s, vt = torch.linalg.svd(target)
    gamma = s.log().abs().max().item()
    rotating = min(max(round(depth * math.pi / (math.pi + gamma)), 1), depth - 1)
    stretching = depth - rotating
    stretch = (vt.mT * s ** (1 / stretching)) @ vt
    angle = torch.from_numpy(logm((u @ vt).cpu().numpy()).real).to(target)
    rotation = torch.linalg.matrix_exp((angle - angle.mT) / (2 * rotating))
    eye = torch.eye(len(target)).to(target)
    return torch.stack([stretch - eye] * stretching + [rotation - eye] * rotating)


def random_in_ball(count: int, depth: int, d: int, *, radius: float, seed: int) -> Tensor:
    """Points with ‖A_l‖ uniform between 0 and the radius, layer by layer in a random direction, (count, L, d, d)."""
    generator = runtime.generator(seed)
    draw = torch.randn(count, depth, d, d, generator=generator, dtype=torch.float64)
    length = radius * torch.rand(count, depth, 1, 1, generator=generator, dtype=torch.float64)
    return (length * draw / torch.linalg.matrix_norm(draw, ord=2)[..., None, None]).to(runtime.device())
