"""Pruning before training: the sensitivity of the loss to each connection.

Source: Lee, Ajanthan and Torr, "SNIP: Single-shot network pruning based on connection sensitivity" (2019).
"""

from __future__ import annotations

import torch
from torch import Tensor

from dlopt.models import FullyConnected
from dlopt.training import Loss

__all__ = ["connection_sensitivity"]


def connection_sensitivity(
    model: FullyConnected, inputs: Tensor, targets: Tensor, loss: Loss
) -> list[Tensor]:
    """|∂F(c ∘ θ)/∂c| at c = 1, which is |g ∘ θ| with g = ∇F(θ): how much the loss feels each connection.

    Args:
        model: the network, with members or without.
        inputs, targets: the samples of F, as ``loss`` takes them.
        loss: of :mod:`dlopt.training`.

    Returns:
        One tensor a layer, in the shapes of the weights.
    """
    gradients = torch.autograd.grad(loss(model(inputs), targets).sum(), list(model.weights))
    return [
        (gradient * weight).detach().abs() for gradient, weight in zip(gradients, model.weights, strict=True)
    ]
