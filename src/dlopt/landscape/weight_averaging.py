"""Stochastic weight averaging: the mean of the weights that a run passes through."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["WeightAverage"]


class WeightAverage:
    """θ̄ ← θ̄ + (θ − θ̄)/(n + 1): the running mean of a model's parameters.

    Attributes:
        count: n, how many were averaged.
        mean: θ̄, one tensor for each parameter, of its shape.

    Source: Izmailov et al., Averaging weights leads to wider optima and better generalization (2018), algorithm 1.
    """

    def __init__(self, model: nn.Module) -> None:
        self.count = 0
        self.mean: list[Tensor] = [torch.zeros_like(parameter) for parameter in model.parameters()]

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the model's present parameters."""
        for mean, parameter in zip(self.mean, model.parameters(), strict=True):
            mean.lerp_(parameter, 1 / (self.count + 1))
        self.count += 1

    @torch.no_grad()
    def write_to(self, model: nn.Module) -> None:
        """Give the model the mean as its parameters."""
        for mean, parameter in zip(self.mean, model.parameters(), strict=True):
            parameter.copy_(mean)
