"""Hidden units have no names: permute those of one network so that its weights resemble another's.

P_l W^l P_{l-1}ᵀ, with permutation matrices P_l for the hidden layers and P_0 = P_L = I, is the same function.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from dlopt import runtime

__all__ = ["permute", "weight_matching"]


def permute(weights: Sequence[Tensor], orders: Sequence[Tensor]) -> list[Tensor]:
    """The same function with hidden unit i of layer l taken from unit ``orders[l - 1][i]``.

    Args:
        weights: W^1, …, W^L, each (d_l, d_{l-1}).
        orders: one permutation of 0, …, d_l - 1 for each hidden layer.
    """
    permuted = list(weights)
    for layer, order in enumerate(orders):
        permuted[layer] = permuted[layer][order]
        permuted[layer + 1] = permuted[layer + 1][:, order]
    return permuted


def weight_matching(
    reference: Sequence[Tensor], weights: Sequence[Tensor], *, sweeps: int = 20, seed: int = 0
) -> list[Tensor]:
    """Permutations of the hidden units of ``weights`` that raise Σ_l ⟨W_A^l, P_l W_B^l P_{l-1}ᵀ⟩, one for each layer.

    One hidden layer at a time is solved exactly, as an assignment problem, while the others stay; layers come in
    random order, until a whole sweep changes nothing.

    Args:
        reference: W_A^1, …, W_A^L.
        weights: W_B^1, …, W_B^L, of the same shapes.
        sweeps: at most so many passes over the hidden layers.
        seed: of the order of the layers.

    Source: Ainsworth, Hayase and Srinivasa, "Git Re-Basin" (2023), weight matching.
    """
    generator = runtime.generator(seed)
    orders = [torch.arange(len(weight), device=weight.device) for weight in weights[:-1]]
    for _ in range(sweeps):
        changed = False
        for layer in torch.randperm(len(orders), generator=generator).tolist():
            others = [
                order if other != layer else torch.arange(len(order)).to(order)
                for other, order in enumerate(orders)
            ]
            current = permute(weights, others)
            gain = reference[layer] @ current[layer].mT + reference[layer + 1].mT @ current[layer + 1]
            _, best = linear_sum_assignment(gain.detach().cpu().numpy(), maximize=True)
            best = torch.from_numpy(best).to(orders[layer])
            changed |= not torch.equal(best, orders[layer])
            orders[layer] = best
        if not changed:
            break
    return orders
