"""Layer-sequential unit variance: scale each layer's weights on data until its output has variance one.

Mishkin, Matas: All you need is a good init (2015), Algorithm 1; section 4.2 of the survey.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from dlopt.models import Layered

__all__ = ["layer_variances", "lsuv"]


def layer_variances(network: Layered, inputs: Tensor) -> Tensor:
    """Variance of h^1, …, h^L, each over all its entries: samples, units and pixels.

    Returns:
        (L,), or (members, L).
    """
    with torch.no_grad():
        return torch.stack([_variance(network, h) for _, h in network.recursion(inputs)], dim=-1)


def lsuv(network: Layered, inputs: Tensor, *, tolerance: float = 0.01, most: int = 10) -> list[int]:
    """Divide W^l by √Var[h^l], first layer first, until |Var[h^l] - 1| < tolerance; in place.

    It is the second step of the scheme.  The first is to draw the network with
    :func:`dlopt.initialization.orthogonal`.  Layer l is measured after the layers before it were scaled.

    Args:
        network: any whose h^l is W^l z^{l-1}, plus a bias perhaps; members are scaled each by itself.
        inputs: one batch, (n, …).
        tolerance: of the variance.
        most: divisions of one layer before it is given up.  Without a bias the first one is exact.

    Returns:
        How many times each layer was divided.

    Raises:
        ValueError: a layer's output does not vary, or its variance cannot be reached.
    """
    divisions = []
    for layer, weight in enumerate(network.weights, start=1):
        count = 0
        while ((variance := _output_variance(network, layer, inputs)) - 1).abs().max() >= tolerance:
            if count == most:
                raise ValueError(f"layer {layer} did not reach variance 1 in {most} divisions.")
            with torch.no_grad():
                weight.div_(variance.sqrt().view(*variance.shape, *[1] * (weight.ndim - variance.ndim)))
            count += 1
        divisions.append(count)
    return divisions


def _output_variance(network: Layered, layer: int, inputs: Tensor) -> Tensor:
    """Variance of h^l with the weights as they are now."""
    with torch.no_grad():
        _, h = next(itertools.islice(network.recursion(inputs), layer - 1, None))
    variance = _variance(network, h)
    if not (variance.isfinite() & (variance > 0)).all():
        raise ValueError(f"the output of layer {layer} has no variance to scale.")
    return variance


def _variance(network: Layered, h: Tensor) -> Tensor:
    """Over all entries of h, for each member: () or (members,)."""
    return h.flatten(0 if network.members is None else 1).var(dim=-1, correction=0)
