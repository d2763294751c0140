"""Supermasks: networks that are never trained, only masked.

The weights stay at their random start; what is learned, if anything, is which of them to keep.

Sources: Zhou et al., "Deconstructing lottery tickets: Zeros, signs, and the supermask" (2019); Ramanujan et al.,
"What's hidden in a randomly weighted neural network?" (2020), for the edge-popup algorithm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from dlopt import runtime
from dlopt.landscape.pruning import largest
from dlopt.models import FullyConnected

__all__ = ["EdgePopup", "same_sign_masks", "signed_constants"]


def same_sign_masks(
    start: Sequence[Tensor], trained: Sequence[Tensor], keep: float, *, members: int | None = None
) -> list[Tensor]:
    """Ω(k) = 1 for the weights of largest |θ*_k| among those whose sign training did not change.

    The density is ``keep``, or lower where fewer weights have kept their sign.  The arguments are those of
    :func:`dlopt.landscape.pruning.largest`.
    """
    scores = [(new * old.sign()).clamp(min=0).detach() for old, new in zip(start, trained, strict=True)]
    return largest(scores, keep, members=members)


def signed_constants(weights: Sequence[Tensor]) -> list[Tensor]:
    """sign(θ_k) s with s the standard deviation of the layer's weights: nothing is left of θ but its signs."""
    return [weight.sign() * weight.std() for weight in weights]


class _StraightThrough(torch.autograd.Function):
    """The mask in the forward pass; in the backward pass its gradient goes to the scores as it is."""

    @staticmethod
    def forward(ctx, scores: Tensor, mask: Tensor) -> Tensor:
        return mask

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


class EdgePopup(FullyConnected):
    """f_{Ω ∘ θ} with fixed weights θ, where Ω keeps the share ``keep`` of each layer with the largest scores in size.

    Training changes the scores.  Their gradient is taken as if Ω itself were the scores' size: in each entry it is
    ± g θ, where g is the derivative of the loss in that entry of Ω ∘ θ, kept or not.  Other arguments are those of
    :class:`dlopt.models.FullyConnected`.

    Attributes:
        scores: s^1, …, s^L, in the shapes of the weights; at first uniform in (0, 1).

    Raises:
        ValueError: a density outside (0, 1].
    """

    def __init__(self, widths: Sequence[int], activation: str = "relu", *, keep: float, **options) -> None:
        super().__init__(widths, activation, **options)
        if not 0 < keep <= 1:
            raise ValueError(f"the density must be in (0, 1], not {keep}.")
        self.keep = keep
        self.weights.requires_grad_(False)
        draw = runtime.numpy_generator(options.get("seed", 0))
        self.scores = nn.ParameterList(
            nn.Parameter(torch.from_numpy(draw.random(weight.shape)).to(weight)) for weight in self.weights
        )

    def weight(self, layer: int) -> Tensor:
        """Ω^l ∘ W^l, (d_l, d_{l-1}) or (members, d_l, d_{l-1})."""
        scores = self.scores[layer - 1].abs()
        (mask,) = largest([scores.detach()], self.keep, members=self.members)
        return _StraightThrough.apply(scores, mask) * self.weights[layer - 1]

    def _single(self) -> Self:
        return type(self)(
            self.widths, self.activation, keep=self.keep, bias=len(self.biases) > 0, **self._placement()
        )
