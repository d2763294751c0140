"""Networks that can spare half of their units, and the explicit polygonal path between two of them.

A network is ε-dropout stable if for every hidden layer l half of the units of the layers l, …, L - 1 can be removed,
and the rest doubled, at the price of at most ε in the loss.  The idle half is room to build another network in.

Every straight piece of the path moves either weights that have no influence, or the last layer alone, in which a loss
that is convex in the outputs is convex.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dlopt.landscape.weight_matrices import join

__all__ = ["halved", "path", "thin"]


def halved(weights: Sequence[Tensor], kept: Sequence[Tensor], layer: int) -> list[Tensor]:
    """The network without the other half of its units in the hidden layers l, …, L - 1, what is left doubled.

    Args:
        weights: W^1, …, W^L, each (d_l, d_{l-1}).
        kept: truth values for each hidden layer, (d_l,), half of them true.
        layer: l; L for the network as it is.
    """
    halves = list(weights)
    for hidden in range(layer, len(weights)):
        halves[hidden] = 2 * halves[hidden] * kept[hidden - 1]
    return halves


def thin(weights: Sequence[Tensor], kept: Sequence[Tensor]) -> list[list[Tensor]]:
    """Knots of the path from a network to its thinned version, which uses the kept half of every hidden layer alone.

    On it, the loss is at most the largest of those of :func:`halved` for l = 1, …, L.  From the top down, each hidden
    layer's half is rebuilt in the idle units, together with a copy of what is above it; the last layer turns to the
    copy, the kept units are rebuilt alike, and the last layer turns back.

    Args:
        weights: W^1, …, W^L, each (d_l, d_{l-1}).
        kept: truth values for each hidden layer, (d_l,), half of them true.
    """
    current, knots = [weight.clone() for weight in weights], [list(weights)]
    idle = [~mask for mask in kept]
    top = halved(weights, kept, 1)[-1]
    turned = torch.zeros_like(top)
    turned[:, idle[-1]] = top[:, kept[-1]]

    def record(last: Tensor) -> None:
        current[-1] = last
        knots.append([weight.clone() for weight in current])

    record(top)
    for layer in range(len(kept) - 1, 0, -1):
        rebuilt = 2 * weights[layer][kept[layer]] * kept[layer - 1]
        current[layer][idle[layer]] = rebuilt
        for above in range(layer + 1, len(kept)):
            copied = current[above][kept[above]][:, kept[above - 1]]
            current[above][idle[above]] = 0
            current[above][torch.outer(idle[above], idle[above - 1])] = copied.flatten()
        record(top)
        record(turned)
        current[layer][kept[layer]] = rebuilt
        record(turned)
        record(top)
    for layer, mask in enumerate(idle):
        current[layer][mask] = 0
    record(top)
    return knots


def path(start: Sequence[Tensor], end: Sequence[Tensor], kept: Sequence[Tensor]) -> Tensor:
    """Knots of the polygonal path between two networks, (8 L - 8, P), for 8 L - 9 straight pieces and L ≥ 2 layers.

    The first network is thinned to the kept units, the second to the others, so that there is room for both; then the
    last layer turns from the one to the other.

    Args:
        start, end: W^1, …, W^L, each (d_l, d_{l-1}), of even hidden widths.
        kept: truth values for each hidden layer, (d_l,), half of them true.

    Source: Kuditipudi et al., "Explaining landscape connectivity of low-cost solutions for multilayer nets" (2019),
    theorem 1, for which this is one construction.
    """
    leaving = thin(start, kept)
    arriving = thin(end, [~mask for mask in kept])
    both = [a + b for a, b in zip(leaving[-1][:-1], arriving[-1][:-1], strict=True)]
    middle = [[*both, leaving[-1][-1]], [*both, arriving[-1][-1]]]
    return torch.stack([join(knot) for knot in [*leaving, *middle, *reversed(arriving)]])
