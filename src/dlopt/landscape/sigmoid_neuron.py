"""One sigmoid neuron with noisy labels: F(w) = Σ_i (y_i − σ(wᵀx_i))², not convex in w.

A label is 1 with probability σ(w*ᵀx): a linear classifier whose mistakes are part of the model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dlopt import runtime

__all__ = ["SigmoidNeuron", "count_distinct", "noisy_labels"]


def noisy_labels(inputs: Tensor, teacher: Tensor, *, seed: int) -> Tensor:
    """y ∈ {0, 1} with P(y = 1 | x) = σ(w*ᵀx), (…, n), for inputs (…, n, d) and teacher (d,)."""
    chance = torch.sigmoid(inputs @ teacher)
    draw = torch.rand(chance.shape, generator=runtime.generator(seed), dtype=inputs.dtype)
    return (draw.to(chance) < chance).to(inputs.dtype)


@dataclass(frozen=True)
class SigmoidNeuron:
    """r_i(w) = σ(wᵀx_i) − y_i and its Jacobian, as :mod:`dlopt.landscape.levenberg_marquardt` takes them."""

    inputs: Tensor
    """(n, d), or (problems, n, d)."""
    labels: Tensor
    """(n,), or (problems, n)."""

    def residual(self, theta: Tensor) -> Tensor:
        """r, (problems, n), for w of shape (problems, d)."""
        return torch.sigmoid((self.inputs @ theta[..., None])[..., 0]) - self.labels

    def jacobian(self, theta: Tensor) -> Tensor:
        """∂r_i/∂w = σ'(wᵀx_i) x_i, (problems, n, d)."""
        output = torch.sigmoid((self.inputs @ theta[..., None])[..., 0])
        return (output * (1 - output))[..., None] * self.inputs


def count_distinct(points: Tensor, *, within: float) -> int:
    """How many points, (k, d), remain when those closer than ``within`` to an earlier one are dropped."""
    kept: list[Tensor] = []
    for point in points:
        if all((point - other).norm() >= within for other in kept):
            kept.append(point)
    return len(kept)
