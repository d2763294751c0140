"""The losses as negative log-likelihoods, p(y | z): what they say about the outputs z of a network.

Natural gradient, K-FAC and the diagonal of Gauss and Newton need three things of a loss: its second derivative Λ in
the outputs, a square root of it, and errors ∂ℓ/∂z at targets that are drawn from the model itself.  The three belong
together: an error e with y ~ p(y | z) has mean zero and covariance Λ.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["CATEGORICAL", "GAUSSIAN", "Likelihood"]


@dataclass(frozen=True)
class Likelihood:
    """What a loss knows of the outputs z, shape (n, c), of n samples; members share no state."""

    square_root: Callable[[Tensor], Tensor]
    """S with S Sᵀ = Λ = ∂²ℓ/∂z² for every sample, (n, c) to (n, c, c)."""
    error: Callable[[Tensor, torch.Generator | None], Tensor]
    """∂ℓ/∂z at targets drawn from p(y | z), (n, c) to (n, c)."""

    def curvature(self, outputs: Tensor) -> Tensor:
        """Λ = S Sᵀ, (n, c) to (n, c, c)."""
        root = self.square_root(outputs)
        return root @ root.mT


def _gaussian_root(z: Tensor) -> Tensor:
    eye = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
    return math.sqrt(2) * eye.expand(*z.shape, -1)


def _gaussian_error(z: Tensor, generator: torch.Generator | None) -> Tensor:
    drawn = torch.randn(z.shape, generator=generator, dtype=z.dtype)
    return math.sqrt(2) * drawn.to(z.device)


def _categorical_root(z: Tensor) -> Tensor:
    p = z.softmax(dim=-1)
    return torch.diag_embed(p.sqrt()) - p.unsqueeze(-1) * p.sqrt().unsqueeze(-2)


def _categorical_error(z: Tensor, generator: torch.Generator | None) -> Tensor:
    p = z.softmax(dim=-1)
    drawn = torch.multinomial(p.cpu(), 1, generator=generator).to(z.device)
    return p.scatter_add(-1, drawn, torch.full_like(p[..., :1], -1))


GAUSSIAN = Likelihood(_gaussian_root, _gaussian_error)
"""ℓ = ‖y − z‖², the survey's quadratic loss: a Gaussian of variance ½ around z, so Λ = 2 I."""

CATEGORICAL = Likelihood(_categorical_root, _categorical_error)
"""ℓ = log Σ_c e^{z_c} − z_y, cross-entropy: Λ = diag(p) − p pᵀ with p = softmax(z)."""
