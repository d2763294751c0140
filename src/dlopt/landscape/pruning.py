"""Pruning by magnitude: networks with masks, and the iterations that find winning tickets.

A mask Ω has one entry in {0, 1} for each weight; the pruned network computes with Ω ∘ θ.  Masks and weights are
lists of one tensor a layer, (d_l, d_{l-1}) or (members, d_l, d_{l-1}): every member is pruned by itself.  The
*density* of a mask is the share of entries that it keeps.

Sources: Han, Mao and Dally, "Deep compression" (2015); Frankle and Carbin, "The lottery ticket hypothesis:
Finding sparse, trainable neural networks" (2018), section 1; Frankle et al., "The lottery ticket hypothesis at
scale" (2019), for the rewinding to a later step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from dlopt import runtime
from dlopt.models import FullyConnected

__all__ = [
    "Masked", "Round", "density", "iterative_magnitude_pruning", "largest", "magnitude_masks", "shuffled",
]  # fmt: skip


class Masked(FullyConnected):
    """f_{Ω ∘ θ}: the network of equation (1) with the weights Ω^l ∘ W^l.

    A weight under a zero of the mask has gradient zero, so GD, SGD with momentum and Adam leave it where it is.
    The arguments are those of :class:`dlopt.models.FullyConnected`; biases have no masks.

    Attributes:
        masks: Ω^1, …, Ω^L, in the shapes of the weights; all ones at first.
    """

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        for layer, weight in enumerate(self.weights, start=1):
            self.register_buffer(f"mask{layer}", torch.ones_like(weight))

    @property
    def masks(self) -> list[Tensor]:
        """Ω^1, …, Ω^L, in the shapes of the weights."""
        return [getattr(self, f"mask{layer}") for layer in range(1, self.depth + 1)]

    def weight(self, layer: int) -> Tensor:
        """Ω^l ∘ W^l, (d_l, d_{l-1}) or (members, d_l, d_{l-1})."""
        return getattr(self, f"mask{layer}") * self.weights[layer - 1]

    def copy_of_weights(self) -> list[Tensor]:
        """W^1, …, W^L without the masks, as copies: the θ_0 or θ_k to which one can rewind."""
        return [weight.detach().clone() for weight in self.weights]

    @torch.no_grad()
    def restart(self, weights: Sequence[Tensor], masks: Sequence[Tensor]) -> Self:
        """Makes itself the network f_{Ω ∘ θ} of these weights and masks, and returns itself."""
        for own, weight in zip(self.weights, weights, strict=True):
            own.copy_(weight)
        for own, mask in zip(self.masks, masks, strict=True):
            own.copy_(mask)
        return self


def density(masks: Sequence[Tensor], members: int | None = None) -> Tensor:
    """The share of weights that the masks keep, () or (members,)."""
    leading = () if members is None else (members,)
    kept = torch.stack([mask.reshape(*leading, -1).sum(dim=-1) for mask in masks]).sum(dim=0)
    return kept / torch.cat([mask.reshape(*leading, -1) for mask in masks], dim=-1).shape[-1]


def largest(
    scores: Sequence[Tensor], keep: float, *, members: int | None = None, scope: str = "global"
) -> list[Tensor]:
    """Ω(k) = 1 if s_k > δ and 0 if s_k ≤ δ, with the threshold δ that lets the share ``keep`` of the entries pass.

    Fewer pass where scores tie at δ; an entry of score 0 never does, unless ``keep`` is 1.

    Args:
        scores: s ≥ 0, one tensor a layer, (d_l, d_{l-1}) or (members, d_l, d_{l-1}).
        keep: the density, in (0, 1].
        members: None, or the number of members; each has its own δ.
        scope: "global" for one δ for all layers, "layer" for one each, so that all layers get the same density.

    Returns:
        The masks, in the shapes and the type of the scores.

    Raises:
        ValueError: a density outside (0, 1], or another scope.
    """
    if not 0 < keep <= 1:
        raise ValueError(f"the density must be in (0, 1], not {keep}.")
    if scope not in ("global", "layer"):
        raise ValueError(f"scope must be 'global' or 'layer', not {scope!r}.")
    leading = () if members is None else (members,)
    flat = [score.reshape(*leading, -1) for score in scores]
    groups = [torch.cat(flat, dim=-1)] * len(flat) if scope == "global" else flat
    return [
        (own > _threshold(group, keep)).to(score).view_as(score)
        for own, group, score in zip(flat, groups, scores, strict=True)
    ]


def _threshold(scores: Tensor, keep: float) -> Tensor:
    """δ, (1,) or (members, 1): the largest score that does not pass; below all scores where all pass."""
    dropped = scores.shape[-1] - round(keep * scores.shape[-1])
    if dropped == 0:
        return scores.new_full((*scores.shape[:-1], 1), -math.inf)
    return scores.kthvalue(dropped, dim=-1, keepdim=True).values


def magnitude_masks(
    weights: Sequence[Tensor],
    masks: Sequence[Tensor],
    keep: float,
    *,
    members: int | None = None,
    scope: str = "global",
) -> list[Tensor]:
    """Ω(k) = 1 if |θ_k| > δ and the old mask keeps k, else 0: the weights of largest magnitude that are left.

    ``keep`` is the density with respect to all weights.  The arguments are those of :func:`largest`.
    """
    scores = [mask * weight.detach().abs() for weight, mask in zip(weights, masks, strict=True)]
    return largest(scores, keep, members=members, scope=scope)


def shuffled(masks: Sequence[Tensor], *, members: int | None = None, seed: int = 0) -> list[Tensor]:
    """Each mask with its entries in random order, layer by layer: a random mask of the same layer densities."""
    leading = () if members is None else (members,)
    generator = runtime.generator(seed)
    result = []
    for mask in masks:
        flat = mask.reshape(*leading, -1)
        order = torch.rand(flat.shape, generator=generator, dtype=torch.float64).argsort(dim=-1)
        result.append(flat.gather(-1, order.to(mask.device)).view_as(mask))
    return result


class Round(NamedTuple):
    """One round of pruning: a density, the masks Ω, and the weights θ* that training ended at."""

    keep: float
    masks: list[Tensor]
    trained: list[Tensor]


def iterative_magnitude_pruning(
    network: Masked,
    fit: Callable[[Masked], object],
    densities: Sequence[float],
    *,
    rewind_to: Sequence[Tensor] | None,
    scope: str = "global",
) -> Iterator[Round]:
    """Train, prune the smallest magnitudes, go back, and again: one :class:`Round` for each density.

    Args:
        network: the start θ_0, with its masks; it is trained in place.
        fit: trains the network that it is given.
        densities: decreasing, the first 1 for the dense network.
        rewind_to: the weights from which every round starts, θ_0 for a winning ticket or θ_k for late rewinding;
            None for no rewinding: the round goes on from the trained weights, which is fine-tuning.
        scope: of the threshold, as in :func:`largest`.
    """
    masks = network.masks
    for keep in densities:
        masks = magnitude_masks(network.weights, masks, keep, members=network.members, scope=scope)
        network.restart(network.weights if rewind_to is None else rewind_to, masks)
        fit(network)
        yield Round(keep, masks, network.copy_of_weights())
