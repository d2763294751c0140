"""Explicit paths between two networks whose first hidden layer has at least two units for each training sample.

Conditions: a leaky ReLU, which maps the reals onto the reals and back; d_1 ≥ 2 n; beyond it decreasing widths
d_2 > … > d_L; features of the first layer of rank n; a loss that is convex in the outputs.

Half of the first layer's units suffice to produce whatever the layer above wants, so the other half can be replaced
by those of the other network, without a change in any output (:func:`exchange_first_layer`).  With n independent
features under it, the second layer can answer any move of the layers above it (:func:`answer`), so these go straight
to their places.  In the end only the outputs differ, and they go straight too, where the loss is convex.

Source: Nguyen, "On connected sublevel sets in deep learning" (2019), theorem 5.1, for which this is one construction.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy.linalg import qr
from torch import Tensor
from torch.nn import functional

from dlopt.landscape.paths import polygon
from dlopt.landscape.weight_matrices import join, split

__all__ = ["answer", "exchange_first_layer", "features", "path"]


def features(weights: Sequence[Tensor], inputs: Tensor, slope: float) -> list[Tensor]:
    """Z_l = φ(Z_{l-1} W^{l}ᵀ) for l = 1, …, L - 1 with Z_0 = X, each (…, n, d_l).

    Args:
        weights: W^1, …, W^L, each (…, d_l, d_{l-1}).
        inputs: X, (n, d_0).
        slope: of the leaky ReLU φ for negative arguments.
    """
    z, layers = inputs, []
    for weight in weights[:-1]:
        z = functional.leaky_relu(z @ weight.mT, slope)
        layers.append(z)
    return layers


def path(
    start: Sequence[Tensor], end: Sequence[Tensor], inputs: Tensor, *, slope: float, steps: int
) -> Tensor:
    """Points θ(t) from the one network to the other on which a convex loss is at most that of the higher end, (k, P).

    Args:
        start, end: W^1, …, W^L, each (d_l, d_{l-1}); no biases: a constant input does their work.
        inputs: X, (n, d_0).
        slope: of the leaky ReLU.
        steps: equal steps in each stage.

    Raises:
        ValueError: the first layer has fewer than 2 n units, or its features have a rank below n.
    """
    widths = [inputs.shape[1], *(len(weight) for weight in start)]
    knots = exchange_first_layer(start, end, inputs, slope)
    pieces = [polygon(knots, steps)]
    t = torch.linspace(0, 1, steps + 1, dtype=inputs.dtype, device=inputs.device).view(-1, 1, 1)
    current = split(knots[-1], widths)

    uppers = [torch.lerp(a, b, t) for a, b in zip(current[2:], end[2:], strict=True)]
    first = [end[0].expand(steps + 1, -1, -1)]
    if not uppers:
        straight = torch.lerp(current[1], end[1], t)
        return torch.cat([*pieces, join([*first, straight])])
    layers = features(current, inputs, slope)
    reached = layers[-1] @ current[-1].mT
    second = answer(reached, uppers, layers, current[1], slope)
    pieces.append(join([*first, second, *uppers]))

    uppers = [weight.expand(steps + 1, -1, -1) for weight in end[2:]]
    wanted = features(end, inputs, slope)
    outputs = torch.lerp(reached, wanted[-1] @ end[-1].mT, t)
    arrival = answer(outputs, uppers, wanted, end[1], slope)
    departure = [end[0], second[-1], *end[2:]]
    landing = features([end[0], arrival[0], *end[2:]], inputs, slope)
    for layer in range(len(start) - 2, 0, -1):
        layers = features(departure, inputs, slope)
        moving = torch.lerp(layers[layer], landing[layer], t)
        second = answer(
            _inverse(moving, slope), uppers[: layer - 1], layers[: layer + 1], departure[1], slope
        )
        pieces.append(join([*first, second, *uppers]))
        departure[1] = second[-1]
    pieces.append(join([*first, torch.lerp(departure[1], arrival[0], t), *uppers]))
    pieces.append(join([*first, arrival, *uppers]))
    return torch.cat(pieces)


def exchange_first_layer(
    start: Sequence[Tensor], end: Sequence[Tensor], inputs: Tensor, slope: float
) -> Tensor:
    """Knots of a polygonal path on which W¹ becomes the other network's while no output changes, (7, P).

    In turn, W² is moved to n units that suffice, and the units that it does not use are replaced.
    """
    n, units = len(inputs), len(start[0])
    mine, theirs = (features(weights, inputs, slope)[0] for weights in (start, end))
    wanted = mine @ start[1].mT
    used, needed = (_spanning(layer, units) for layer in (mine, theirs))
    free = [unit for unit in range(units) if unit not in used]
    if units < 2 * n:
        raise ValueError(f"the first layer needs 2 n = {2 * n} units, not {units}.")
    own = [unit for unit in needed if unit in free]
    spare = [unit for unit in free if unit not in own]
    place = dict(zip(own, own, strict=True)) | dict(
        zip((unit for unit in needed if unit in used), spare, strict=False)
    )
    first, second = start[0].clone(), _carried(mine, used, wanted)
    knots = [list(start[:2]), [first.clone(), second]]
    first[list(place.values())] = end[0][list(place)]
    knots.append([first.clone(), second])
    second = _carried(_activated(first, inputs, slope), list(place.values()), wanted)
    knots.append([first.clone(), second])
    first[used] = end[0][used]
    knots.append([first.clone(), second])
    second = _carried(theirs, needed, wanted)
    knots += [[first.clone(), second], [end[0], second]]
    return torch.stack([join([*knot, *start[2:]]) for knot in knots])


def answer(
    outputs: Tensor, uppers: Sequence[Tensor], layers: Sequence[Tensor], second: Tensor, slope: float
) -> Tensor:
    """W²(t) for which the layers W³(t), …, above it produce the given outputs, (s, d_2, d_1).

    From the top down, Z(t) = Z + (H(t) - Z W(t)ᵀ) (W(t)ᵀ)⁺ is the nearest to Z that gives H(t) = Z(t) W(t)ᵀ, and H
    one layer below is φ⁻¹(Z(t)).

    Args:
        outputs: H(t) behind the uppermost of the layers, (s, n, d) or (n, d).
        uppers: W³(t), …, each (s, d_l, d_{l-1}).
        layers: Z_1, Z_2, …, the features that each W², W³, … sees to begin with, each (n, d_l).
        second: W² to begin with, (d_2, d_1).
        slope: of the leaky ReLU.
    """
    target = outputs
    for weight, z in zip(reversed(uppers), reversed(layers[1 : len(uppers) + 1]), strict=True):
        target = _inverse(z + (target - z @ weight.mT) @ torch.linalg.pinv(weight.mT), slope)
    change = torch.linalg.pinv(layers[0]) @ (target - layers[0] @ second.mT)
    return second + change.mT


def _activated(first: Tensor, inputs: Tensor, slope: float) -> Tensor:
    return functional.leaky_relu(inputs @ first.mT, slope)


def _inverse(z: Tensor, slope: float) -> Tensor:
    """φ⁻¹ of the leaky ReLU."""
    return functional.leaky_relu(z, 1 / slope)


def _spanning(layer: Tensor, units: int) -> list[int]:
    """n units whose features are independent, chosen by a pivoted QR decomposition."""
    n = len(layer)
    _, r, order = qr(layer.cpu().numpy(), mode="economic", pivoting=True)
    if units < n or abs(r[n - 1, n - 1]) < 1e-10 * abs(r[0, 0]):
        raise ValueError(f"the features of the first layer have a rank below {n}, the number of samples.")
    return sorted(order[:n].tolist())


def _carried(layer: Tensor, units: list[int], wanted: Tensor) -> Tensor:
    """W² that gives Z_1 W²ᵀ = H from these units alone."""
    second = layer.new_zeros(wanted.shape[1], layer.shape[1])
    second[:, units] = torch.linalg.solve(layer[:, units], wanted).mT
    return second
