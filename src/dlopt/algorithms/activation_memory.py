"""How many images fit into a memory: the activations of AlexNet and of ResNet-50, counted from their layer tables."""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = ["Layer", "alexnet", "largest_batch", "resnet50"]


class Layer(NamedTuple):
    """What one layer adds to the memory of training."""

    name: str
    outputs: int
    """Numbers that it computes for one image and that the backward pass needs."""
    parameters: int


def _convolution(name: str, c_in: int, c_out: int, kernel: int, size: int, *, groups: int = 1) -> Layer:
    """c_out maps of size × size; c_out · c_in/groups · k² weights, and no bias."""
    return Layer(name, c_out * size**2, c_out * c_in // groups * kernel**2)


def _batch_normalization(name: str, channels: int, size: int) -> Layer:
    """As many outputs as inputs, and γ and β of every channel."""
    return Layer(name, channels * size**2, 2 * channels)


def _pooling(name: str, channels: int, size: int) -> Layer:
    """Maps of the new size, and no parameters."""
    return Layer(name, channels * size**2, 0)


def _fully_connected(name: str, d_in: int, d_out: int) -> Layer:
    """d_out outputs from d_in inputs, with biases."""
    return Layer(name, d_out, (d_in + 1) * d_out)


def _with_bias(layer: Layer, channels: int) -> Layer:
    """The layer with one more parameter for every channel."""
    return layer._replace(parameters=layer.parameters + channels)


def alexnet() -> list[Layer]:
    """AlexNet on one image of 227 × 227; ReLU acts in place, response normalization does not.

    Source: Krizhevsky, Sutskever & Hinton 2012, section 3.5; convolutions 2, 4 and 5 see half of the channels.
    """
    maps = [
        (3, 96, 11, 55, 1),
        (96, 256, 5, 27, 2),
        (256, 384, 3, 13, 1),
        (384, 384, 3, 13, 2),
        (384, 256, 3, 13, 2),
    ]
    convolutions = [
        _with_bias(_convolution(f"convolution {i}", c_in, c_out, kernel, size, groups=groups), c_out)
        for i, (c_in, c_out, kernel, size, groups) in enumerate(maps, start=1)
    ]
    first, second, *others = convolutions
    return [
        first,
        Layer("response normalization 1", first.outputs, 0),
        _pooling("pooling 1", 96, 27),
        second,
        Layer("response normalization 2", second.outputs, 0),
        _pooling("pooling 2", 256, 13),
        *others,
        _pooling("pooling 5", 256, 6),
        _fully_connected("fully connected 6", 256 * 6**2, 4096),
        _fully_connected("fully connected 7", 4096, 4096),
        _fully_connected("fully connected 8", 4096, 1000),
    ]


def resnet50() -> list[Layer]:
    """ResNet-50 on one image of 224 × 224; ReLU and the sum with the skip connection act in place.

    A bottleneck is a convolution 1 × 1 to c maps, 3 × 3, and 1 × 1 to 4c maps, each with batch normalization.  The
    first bottleneck of each stage halves the image in its middle convolution (except in the first stage), and has a
    projection, 1 × 1 and normalized, on its skip connection.

    Source: He et al. 2015, table 1, column of 50 layers; the stride in the 3 × 3 convolution, as most code has it.
    """

    def normalized(name: str, c_in: int, c_out: int, kernel: int, size: int) -> list[Layer]:
        return [
            _convolution(name, c_in, c_out, kernel, size),
            _batch_normalization(f"{name}, normalized", c_out, size),
        ]

    layers = [*normalized("convolution 1", 3, 64, 7, 112), _pooling("pooling 1", 64, 56)]
    channels = 64
    for stage, (blocks, narrow, size) in enumerate(
        [(3, 64, 56), (4, 128, 28), (6, 256, 14), (3, 512, 7)], start=2
    ):
        for block in range(1, blocks + 1):
            name = f"convolution {stage}_{block}"
            before = 2 * size if block == 1 and stage > 2 else size
            layers += normalized(f"{name}a", channels, narrow, 1, before)
            layers += normalized(f"{name}b", narrow, narrow, 3, size)
            layers += normalized(f"{name}c", narrow, 4 * narrow, 1, size)
            if block == 1:
                layers += normalized(f"projection {stage}", channels, 4 * narrow, 1, size)
            channels = 4 * narrow
    return [*layers, _pooling("pooling 5", channels, 1), _fully_connected("fully connected", channels, 1000)]


def largest_batch(layers: list[Layer], memory: float, *, passes: float = 2.0, copies: float = 3.0) -> int:
    """The most images whose training step fits: ⌊(M − 4cP) / (4pA)⌋, with four bytes a number.

    Args:
        layers: with A outputs an image and P parameters together.
        memory: M, in bytes.
        passes: p, numbers kept for every output: 1 for its value, 2 with the derivative of the loss by it.
        copies: c, numbers kept for every parameter: 3 for its value, its gradient and its momentum.

    Raises:
        ValueError: the parameters alone do not fit.
    """
    outputs, parameters = (sum(layer[i] for layer in layers) for i in (1, 2))
    free = memory - 4 * copies * parameters
    if free <= 0:
        raise ValueError(f"{parameters} parameters alone take {4 * copies * parameters:.3g} bytes.")
    return math.floor(free / (4 * passes * outputs))
