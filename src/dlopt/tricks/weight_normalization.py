"""Weight normalization: the norm and the direction of each neuron's weights as separate parameters.

Source: Salimans & Kingma, Weight normalization, 2016.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from dlopt.models import FullyConnected

__all__ = ["PartGradients", "WeightNormalized", "backward", "weights"]


class PartGradients(NamedTuple):
    """The gradients of lengths and directions."""

    length: Tensor
    """∂F/∂g, (..., d_out)."""
    direction: Tensor
    """∂F/∂V, (..., d_out, d_in)."""


def weights(length: Tensor, direction: Tensor) -> Tensor:
    """W with the rows w = g v/‖v‖, equation (2) of the paper.

    Args:
        length: g, (..., d_out).
        direction: V with the rows v, (..., d_out, d_in).
    """
    return (length / direction.norm(dim=-1)).unsqueeze(-1) * direction


def backward(gradient: Tensor, length: Tensor, direction: Tensor) -> PartGradients:
    """From ∂F/∂W to the gradients of the parts, for every row w, equation (3) of the paper.

    ∂F/∂g = ∂F/∂w · v/‖v‖ and ∂F/∂v = g/‖v‖ (I - v vᵀ/‖v‖²) ∂F/∂w.

    Args:
        gradient: ∂F/∂W, (..., d_out, d_in).
        length, direction: g and V, as for :func:`weights`.
    """
    norm = direction.norm(dim=-1)
    unit = direction / norm.unsqueeze(-1)
    along = (gradient * unit).sum(-1)
    return PartGradients(along, (length / norm).unsqueeze(-1) * (gradient - along.unsqueeze(-1) * unit))


class WeightNormalized(FullyConnected):
    """A fully connected network with each W^l = g v/‖v‖, row by row; it starts as the plain one of its seed.

    Attributes:
        weights: V^1, …, V^L, the directions.
        lengths: g^1, …, g^L, each (d_l,) or (members, d_l), which start as the norms of the rows.
    """

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self.lengths = nn.ParameterList(
            nn.Parameter(direction.detach().norm(dim=-1)) for direction in self.weights
        )

    def weight(self, layer: int) -> Tensor:
        """W^l, (d_l, d_{l-1}) or with members."""
        return weights(self.lengths[layer - 1], self.weights[layer - 1])
