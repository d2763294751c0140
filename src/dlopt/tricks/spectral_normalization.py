"""Spectral normalization: every weight matrix divided by its largest singular value.

Source: Miyato et al., Spectral normalization for generative adversarial networks, 2018.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlopt.models import FullyConnected

__all__ = ["SpectrallyNormalized", "lipschitz_bound", "power_iteration", "spectral_norm"]


@torch.no_grad()
def power_iteration(weight: Tensor, u: Tensor, steps: int = 1) -> tuple[Tensor, Tensor]:
    """v ← Wᵀu/‖Wᵀu‖, u ← Wv/‖Wv‖, ``steps`` times: they tend to the first singular vectors.

    Args:
        weight: W, (..., m, n).
        u: (..., m), unit vectors to start from.

    Returns:
        u, (..., m), and v, (..., n).
    """
    for _ in range(steps):
        v = nn.functional.normalize((weight.mT @ u.unsqueeze(-1)).squeeze(-1), dim=-1)
        u = nn.functional.normalize((weight @ v.unsqueeze(-1)).squeeze(-1), dim=-1)
    return u, v


def spectral_norm(weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """uᵀW v, (...): at the first singular vectors it is σ_max(W), and u vᵀ is then its gradient."""
    return (u * (weight @ v.unsqueeze(-1)).squeeze(-1)).sum(-1)


class SpectrallyNormalized(FullyConnected):
    """f_θ(x) = SN(W^L) φ(SN(W^{L-1}) … φ(SN(W^1) x)), SN(W) = W/σ_max(W), as the survey writes it.

    σ_max is uᵀW v, where u and v are carried along and advanced by one step of :func:`power_iteration` in each
    forward pass of training: the matrix changes little between two updates, so one step is enough to keep up.
    The gradient passes through W and treats u and v as constants.
    """

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        draw = torch.Generator().manual_seed(0)
        for layer, weight in enumerate(self.weights, start=1):
            u = torch.randn(weight.shape[-2], generator=draw, dtype=torch.float64).to(
                weight.device, weight.dtype
            )
            u = nn.functional.normalize(u, dim=-1).expand(weight.shape[:-1]).clone()
            self.register_buffer(f"u{layer}", u)
            self.register_buffer(f"v{layer}", power_iteration(weight.detach(), u)[1])

    def weight(self, layer: int) -> Tensor:
        """SN(W^l), (d_l, d_{l-1}) or with members."""
        weight = self.weights[layer - 1]
        u, v = getattr(self, f"u{layer}"), getattr(self, f"v{layer}")
        if self.training:
            u, v = power_iteration(weight, u)
            getattr(self, f"u{layer}").copy_(u)
            getattr(self, f"v{layer}").copy_(v)
        return weight / spectral_norm(weight, u, v)[..., None, None]


@torch.no_grad()
def lipschitz_bound(network: FullyConnected) -> Tensor:
    """Π_l ‖W^l‖, () or (members,): a Lipschitz constant of a network whose activation has one of 1."""
    bound = torch.linalg.matrix_norm(network.weight(1), ord=2)
    for layer in range(2, network.depth + 1):
        bound = bound * torch.linalg.matrix_norm(network.weight(layer), ord=2)
    return bound
