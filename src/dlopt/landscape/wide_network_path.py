"""Wide networks have no bad basin: a path on which the loss does not rise, from any point down to zero.

If the last hidden layer has at least as many units as there are samples, then after an arbitrarily small perturbation
its outputs Z, (n, d_{L−1}), have rank n, and Z V = Y has a solution V*.  On the straight line of the last layer
from V to V* a convex loss is convex and ends at its minimum, so it never rises.

Source: Li, Ding and Sun, Over-parameterized deep neural networks have no strict local minima for any continuous
activations (2018).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from dlopt import runtime
from dlopt.landscape.parameter_space import parameters_of, set_parameters
from dlopt.models import FullyConnected

__all__ = ["last_hidden", "path_to_zero"]


@torch.no_grad()
def last_hidden(model: FullyConnected, inputs: Tensor) -> Tensor:
    """Z = z^{L−1}, the outputs of the last hidden layer, (n, d_{L−1})."""
    return model.passes(inputs).postactivations[-1]


@torch.no_grad()
def _solved(model: FullyConnected, inputs: Tensor, targets: Tensor) -> Tensor:
    """θ with the last layer replaced by the nearest one that fits the targets best: V + Z⁺ (Y − Z V)."""
    fitted = copy.deepcopy(model)
    features = last_hidden(fitted, inputs)
    residual = targets - fitted(inputs)
    fitted.weights[-1] += (torch.linalg.pinv(features, rtol=1e-14) @ residual).mT
    return parameters_of(fitted)


def path_to_zero(
    model: FullyConnected, inputs: Tensor, targets: Tensor, *, perturbation: float, seed: int
) -> Tensor:
    """The knots θ, θ + εξ, θ* of the path: a random step of the hidden layers, then the last layer alone, (3, P).

    Args:
        model: any network without biases and members, at any point θ; left as it is.
        inputs: X, (n, d_0), samples in rows.
        targets: Y, (n, d_L).
        perturbation: ε; ξ has independent N(0, 1) entries, and zeros for the last layer.
        seed: of ξ.
    """
    moved = copy.deepcopy(model)
    start = parameters_of(model)
    noise = torch.randn(len(start), generator=runtime.generator(seed), dtype=torch.float64).to(start)
    noise[-model.weights[-1].numel() :] = 0
    set_parameters(moved, start + perturbation * noise)
    return torch.stack([start, parameters_of(moved), _solved(moved, inputs, targets)])
