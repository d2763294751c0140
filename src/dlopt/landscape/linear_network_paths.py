"""Explicit paths between two linear networks along which a convex loss never exceeds that of the higher end.

A linear network computes P x with P = W^L ⋯ W¹.  Let its input be its narrow side, d_0 ≤ d_L, and every hidden layer
wider than that.  Then W¹ can go straight to where it should be, for a straight line between matrices that are taller
than wide avoids those of deficient rank, and W² makes up for it: W²(t) = P₂ W¹(t)⁺ keeps P₂ = W² W¹.  Layer by layer,
P stays what it was, until the last layer alone is left, in which the loss is convex.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["path", "weakest"]


def path(start: Sequence[Tensor], end: Sequence[Tensor], *, steps: int) -> list[Tensor]:
    """W^1(t), …, W^L(t) from the one network to the other, each (points, d_l, d_{l-1}).

    There are 2 L - 1 stages of ``steps`` + 1 points; in all but the last, P = W^L ⋯ W¹ is constant, and in the last
    it goes straight to that of the other network.  In every stage at most two neighboring layers move.  If the
    hidden widths exceed min(d_0, d_L), these are points of a continuous path; otherwise it breaks where a
    determinant changes its sign.

    Args:
        start, end: the weight matrices W^1, …, W^L, each (d_l, d_{l-1}).
        steps: equal steps of t in a stage.
    """
    if start[0].shape[1] > start[-1].shape[0]:
        mirrored = path([w.mT for w in reversed(start)], [w.mT for w in reversed(end)], steps=steps)
        return [weight.mT for weight in reversed(mirrored)]
    t = torch.linspace(0, 1, steps + 1, dtype=start[0].dtype, device=start[0].device).view(-1, 1, 1)
    current, stages = list(start), []
    below = torch.eye(start[0].shape[1]).to(start[0])
    for layer in range(len(start) - 1):
        upper = current[layer + 1]
        product = upper @ current[layer] @ below
        moving = torch.lerp(current[layer], end[layer], t)
        answer = product @ torch.linalg.pinv(moving @ below)
        stages.append({layer + 1: torch.lerp(upper, answer[:1], t)} | _still(current, layer + 1))
        stages.append({layer: moving, layer + 1: answer} | _still(current, layer, layer + 1))
        current[layer], current[layer + 1] = end[layer], answer[-1]
        below = end[layer] @ below
    stages.append({len(end) - 1: torch.lerp(current[-1], end[-1], t)} | _still(current, len(end) - 1))
    return [
        torch.cat([stage[layer].expand(steps + 1, -1, -1) for stage in stages]) for layer in range(len(start))
    ]


def weakest(start: Tensor, end: Tensor) -> float:
    """The smallest singular value of (1 - t) A + t B at the only t in [0, 1] where its rank can fall; ∞ if none.

    A matrix of deficient rank stays so under C, whatever C is.  So t must be among the r real eigenvalues of the
    square pencil (1 - t) C A + t C B, and it suffices to look there: a value above 0 proves full rank on the whole
    line.

    Args:
        start, end: A and B, (h, r) with h ≥ r; of full rank.
    """
    height, width = start.shape
    squared = torch.eye(width, height).to(start)
    squared[:, width:] = torch.linspace(1, 2, width * (height - width)).view(width, -1).to(start)
    times = 1 / torch.linalg.eigvals(torch.linalg.solve(squared @ start, squared @ (start - end)))
    real = times.real[(times.imag.abs() < 1e-9) & (times.real > 0) & (times.real < 1)]
    crossing = torch.lerp(start, end, real.view(-1, 1, 1))
    return min(torch.linalg.matrix_norm(crossing, ord=-2).tolist(), default=float("inf"))


def _still(weights: Sequence[Tensor], *moving: int) -> dict[int, Tensor]:
    """The layers that do not move, by number."""
    return {layer: weight[None] for layer, weight in enumerate(weights) if layer not in moving}
