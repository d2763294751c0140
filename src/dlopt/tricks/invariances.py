"""What a normalized layer does not notice: its invariances, computed.

Seven methods are applied to one layer, a circular convolution h = W * x of images, because instance normalization
needs space.  Ba, Kiros & Hinton 2016 ask this in their Table 1 of batch, weight and layer normalization.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from dlopt.normalization import (
    BatchNormalization,
    GroupNormalization,
    InstanceNormalization,
    LayerNormalization,
    SwitchableNormalization,
)

__all__ = ["CHANGES", "METHODS", "convolution", "invariances"]

Layer = Callable[[Tensor, Tensor], Tensor]
"""(W, x) -> the layer's output, for W of (c_out, c_in, k, k) and x of (n, c_in, height, width)."""

EPSILON = 1e-12


def convolution(weight: Tensor, x: Tensor) -> Tensor:
    """h = W * x with circular padding, (n, c_out, height, width)."""
    margin = weight.shape[-1] // 2
    return functional.conv2d(functional.pad(x, (margin,) * 4, mode="circular"), weight)


def _of_activations(make: Callable[..., torch.nn.Module]) -> Layer:
    """The first class: h is normalized."""

    def layer(weight: Tensor, x: Tensor) -> Tensor:
        return make((len(weight),), epsilon=EPSILON, dtype=weight.dtype, device=weight.device)(
            convolution(weight, x)
        )

    return layer


def _by_row(weight: Tensor, x: Tensor) -> Tensor:
    """The second class: each neuron's weights have norm one."""
    return convolution(weight / weight.flatten(1).norm(dim=1).view(-1, 1, 1, 1), x)


def _by_spectrum(weight: Tensor, x: Tensor) -> Tensor:
    """The second class: the weights, as a matrix (c_out, c_in k²), have spectral norm one."""
    return convolution(weight / torch.linalg.matrix_norm(weight.flatten(1), ord=2), x)


METHODS: dict[str, Layer] = {
    "none": convolution,
    "batch": _of_activations(BatchNormalization),
    "layer": _of_activations(LayerNormalization),
    "instance": _of_activations(InstanceNormalization),
    "group": _of_activations(lambda shape, **options: GroupNormalization(shape, 2, **options)),
    "switchable": _of_activations(SwitchableNormalization),
    "weight": _by_row,
    "spectral": _by_spectrum,
}
"""The layer without normalization and with each method; group normalization has two groups."""


def _first(tensor: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """The tensor with its first entry along the first axis changed."""
    return torch.cat([change(tensor[:1]), tensor[1:]])


CHANGES: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "all weights × 3": lambda weight, x: (3 * weight, x),
    "one neuron's weights × 3": lambda weight, x: (_first(weight, lambda w: 3 * w), x),
    "all data × 3": lambda weight, x: (weight, 3 * x),
    "all data + 3": lambda weight, x: (weight, x + 3),
    "this sample × 3": lambda weight, x: (weight, _first(x, lambda one: 3 * one)),
    "this sample + 3": lambda weight, x: (weight, _first(x, lambda one: one + 3)),
    "the other samples": lambda weight, x: (weight, torch.cat([x[:1], x[1:].flip(-1) ** 3])),
}
"""What is done to the weights and the images; the output of the first sample is watched."""


def invariances(weight: Tensor, x: Tensor, tolerance: float = 1e-6) -> dict[str, dict[str, bool]]:
    """method -> change -> whether the first sample's output stays as it was, up to ``tolerance`` of its size.

    Args:
        weight: W, (c_out, c_in, k, k) with c_out even.
        x: (n, c_in, height, width), n > 1, without symmetries.
        tolerance: relative.
    """
    table = {}
    for method, layer in METHODS.items():
        before = layer(weight, x)[0]
        table[method] = {
            name: bool((layer(*change(weight, x))[0] - before).norm() <= tolerance * before.norm())
            for name, change in CHANGES.items()
        }
    return table
