"""Planes through parameter space whose directions are as long, neuron by neuron, as the weights that they change.

A picture of the loss on the plane θ + a δ + b η depends on the units of a and b.  In a ReLU network they are
arbitrary: a layer may be multiplied by α and the next divided by it without any change of the function.  Filter
normalization measures a step in each neuron's weights by their own length.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlopt import runtime
from dlopt.landscape.parameter_space import by_parameter

__all__ = ["filter_normalized", "plane_points", "random_directions"]


def filter_normalized(model: nn.Module, directions: Tensor) -> Tensor:
    """δ_{l,i} ← ‖W^l_i‖ δ_{l,i} / ‖δ_{l,i}‖ for every neuron i of every layer l, (…, P).

    W^l_i is the row of the weights that enter the neuron; of a convolution, its filter.  What is no weight, a bias or
    the parameters of a normalization layer, has no row: there δ = 0, and the plane keeps it fixed.

    Args:
        model: the network, without members, at the plane's center.
        directions: δ, (…, P), in the order of ``model.parameters()``.

    Raises:
        ValueError: the directions do not have the model's number of parameters.

    Source: Li et al., "Visualizing the loss landscape of neural nets" (2018).
    """
    leading, pieces = directions.ndim - 1, []
    for parameter, piece in zip(model.parameters(), by_parameter(model, directions).values(), strict=True):
        if parameter.ndim > 1:
            rows = piece.flatten(leading + 1)
            lengths = parameter.detach().flatten(1).norm(dim=-1, keepdim=True)
            piece = lengths * rows / rows.norm(dim=-1, keepdim=True)
        else:
            piece = torch.zeros_like(piece)
        pieces.append(piece.flatten(leading))
    return torch.cat(pieces, dim=-1)


def random_directions(model: nn.Module, count: int, *, seed: int) -> Tensor:
    """Independent N(0, I) directions, (count, P), not normalized.

    In high dimension they are nearly orthogonal to each other, and to everything else.
    """
    like = next(model.parameters())
    size = sum(parameter.numel() for parameter in model.parameters())
    drawn = torch.randn(count, size, generator=runtime.generator(seed), dtype=torch.float64)
    return drawn.to(like)


def plane_points(center: Tensor, directions: Tensor, coordinates: Tensor) -> Tensor:
    """θ + a δ + b η for all a and b in ``coordinates``, (k², P); ``.view(k, k)`` of values has b along the rows.

    Args:
        center: θ, (P,).
        directions: δ and η, (2, P).
        coordinates: (k,).
    """
    b, a = torch.meshgrid(coordinates, coordinates, indexing="ij")
    return center + torch.stack([a.flatten(), b.flatten()], dim=-1) @ directions
