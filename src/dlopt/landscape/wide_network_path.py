"""Wide networks have no bad basin: a path on which the loss does not rise, from any point down to zero.

If the last hidden layer has at least as many units as there are samples, then after an arbitrarily small perturbation
its outputs Z, (n, d_{L−1}), have rank n, and Z V = Y has a solution V*.  On the straight line of the last layer
from V to V* a convex loss is convex and ends at its minimum, so it never rises.

Often no perturbation is needed.  If Z has rank r < n, then r of its columns can carry the output alone; the units of
the other columns no longer count, and are free to go where they make the rank n: flat first, then down.

Source: Li, Ding and Sun, Over-parameterized deep neural networks have no strict local minima for any continuous
activations (2018).
"""

from __future__ import annotations

import copy

import torch
from scipy.linalg import qr
from torch import Tensor

from dlopt import runtime
from dlopt.landscape.parameter_space import parameters_of, set_parameters
from dlopt.models import FullyConnected

__all__ = ["flat_then_down", "last_hidden", "path_to_zero"]


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


@torch.no_grad()
def flat_then_down(
    model: FullyConnected, inputs: Tensor, targets: Tensor, *, spread: float, seed: int, draws: int = 20
) -> Tensor:
    """A path from θ itself, without any perturbation: its knots, (4, P).

    1. r columns of Z that span the others take over: V ← the V' with Z V' = Z V that is zero elsewhere.
    2. The other units have no output weight, so their rows of W^{L−1} move by random amounts.
    3. The last layer moves straight to its optimum.

    The outputs are constant on the first two pieces, and the loss is convex on the third.  It ends at zero if the
    moved units make the rank n: for d_{L−1} ≥ n this asks that the layer below tells the samples apart.

    Args:
        model: any network without biases and members, at any point θ; left as it is.
        inputs: X, (n, d_0).
        targets: Y, (n, d_L).
        spread: standard deviation of the random moves.
        seed: of these moves.
        draws: so many moves are tried, and the one that leaves Z furthest from a lower rank is taken.
    """
    features = last_hidden(model, inputs)
    rank = int(torch.linalg.matrix_rank(features))
    columns = qr(features.cpu().numpy(), mode="economic", pivoting=True)[-1]
    kept, spare = (
        torch.from_numpy(part.copy()).to(inputs.device) for part in (columns[:rank], columns[rank:])
    )
    concentrated = copy.deepcopy(model)
    concentrated.weights[-1].zero_()
    carried = torch.linalg.pinv(features[:, kept]) @ (features @ model.weights[-1].mT)
    concentrated.weights[-1][:, kept] = carried.mT
    shape = (draws, *model.weights[-2].shape)
    noise = spread * torch.randn(shape, generator=runtime.generator(seed), dtype=torch.float64).to(inputs)
    candidates = []
    for move in noise:
        moved = copy.deepcopy(concentrated)
        moved.weights[-2][spare] += move[spare]
        smallest = torch.linalg.svdvals(last_hidden(moved, inputs))[-1].item()
        candidates.append((smallest, moved))
    moved = max(candidates, key=lambda pair: pair[0])[1]
    knots = [parameters_of(network) for network in (model, concentrated, moved)]
    return torch.stack([*knots, _solved(moved, inputs, targets)])
