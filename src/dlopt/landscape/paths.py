"""Paths through parameter space and how far the loss rises on them.

A path is given by its knots, the points θ_0, …, θ_K that it joins by straight lines: a line, a polygonal chain,
or the explicit constructions of section 6 of the survey.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["barrier", "excess", "largest_rise", "polygon"]


def polygon(knots: Tensor, per_segment: int) -> Tensor:
    """The points of the polygonal chain through the knots, ends included, (K · per_segment + 1, P).

    Args:
        knots: θ_0, …, θ_K, (K + 1, P), K ≥ 1.
        per_segment: s, the equal steps that each straight piece is divided into; point k s is knot k exactly.

    Raises:
        ValueError: fewer than two knots, or no step.
    """
    if len(knots) < 2 or per_segment < 1:
        raise ValueError(
            f"a path needs two knots and a step, not {len(knots)} knots and {per_segment} steps."
        )
    t = torch.arange(per_segment, dtype=knots.dtype, device=knots.device).div(per_segment).view(1, -1, 1)
    pieces = torch.lerp(knots[:-1].unsqueeze(1), knots[1:].unsqueeze(1), t)
    return torch.cat([pieces.flatten(0, 1), knots[-1:]])


def barrier(losses: Tensor) -> Tensor:
    """max_t F(θ(t)) - ((1 - t) F(θ(0)) + t F(θ(1))), for F at equal steps of t, (…, points): (…).

    Source: Entezari et al., "The role of permutation invariance in linear mode connectivity of neural networks"
    (2022).
    """
    t = torch.linspace(0, 1, losses.shape[-1], dtype=losses.dtype, device=losses.device)
    return (losses - torch.lerp(losses[..., :1], losses[..., -1:], t)).amax(dim=-1)


def excess(losses: Tensor) -> Tensor:
    """max_t F(θ(t)) - max(F(θ(0)), F(θ(1))), (…): 0 where the ends stay in one connected sublevel set."""
    return losses.amax(dim=-1) - torch.maximum(losses[..., 0], losses[..., -1])


def largest_rise(losses: Tensor) -> Tensor:
    """max_{s ≤ t} F(θ(t)) - F(θ(s)), (…): 0 for a path on which the loss never increases."""
    return (losses - losses.cummin(dim=-1).values).amax(dim=-1)
