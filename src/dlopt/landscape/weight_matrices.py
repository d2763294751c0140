"""A fully connected network's weight matrices as a point of parameter space, and back, many points at once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["join", "split"]


def join(weights: Sequence[Tensor]) -> Tensor:
    """W^1, …, W^L, each (…, d_l, d_{l-1}), as vectors in the order of ``model.parameters()``, (…, P)."""
    return torch.cat([weight.flatten(-2) for weight in weights], dim=-1)


def split(points: Tensor, widths: Sequence[int]) -> list[Tensor]:
    """The weight matrices W^1, …, W^L, each (…, d_l, d_{l-1}), of a network without biases at points (…, P).

    Args:
        points: θ, one or more vectors.
        widths: d_0, d_1, …, d_L.
    """
    shapes = [(fan_out, fan_in) for fan_in, fan_out in itertools.pairwise(widths)]
    pieces = points.split([rows * columns for rows, columns in shapes], dim=-1)
    return [piece.unflatten(-1, shape) for piece, shape in zip(pieces, shapes, strict=True)]
