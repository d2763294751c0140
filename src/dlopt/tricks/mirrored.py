"""Orthogonal starts under which a ReLU network is linear: mirrored weights.

Balduzzi et al.: The shattered gradients problem (2017), who call it looks-linear, and Burkholz, Dubatovka:
Initialization of ReLUs for dynamical isometry (2019).
"""

from __future__ import annotations

import torch

from dlopt.initialization import orthogonal
from dlopt.models import FullyConnected

__all__ = ["mirrored_relu"]


def mirrored_relu(width: int, depth: int, *, seed: int = 0, **options: object) -> FullyConnected:
    """A ReLU network of L layers that computes Q_L ⋯ Q_1 x at its start, for random orthogonal Q_l.

    W^1 = (Q; -Q), W^l = (Q, -Q; -Q, Q), W^L = (Q, -Q): since ReLU(u) - ReLU(-u) = u, each layer passes u and
    -u on as positive parts.  The hidden layers have 2 · width neurons, in pairs of opposite sign.

    Args:
        width: d_0 = d_L = d.
        depth: L, two or more.
        options: dtype and device of :class:`dlopt.models.FullyConnected`.
    """

    def mirrored(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
        q = orthogonal()((width, width), generator)
        rows = torch.cat([q, -q]) if shape[0] == 2 * width else q
        return torch.cat([rows, -rows], dim=1) if shape[1] == 2 * width else rows

    widths = [width, *[2 * width] * (depth - 1), width]
    return FullyConnected(widths, "relu", initialization=mirrored, seed=seed, **options)
