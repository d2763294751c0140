"""Plain convolutional networks: convolutions and activations, then a linear head, and nothing else.

There are no skip connections and no normalization, so that what such a network can do is due to its start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlopt import runtime
from dlopt.models import ACTIVATIONS, Activation, Initialization, Passes

__all__ = ["PADDING_MODES", "POOLINGS", "Convolutional", "kaiming_convolution"]

PADDING_MODES = ("circular", "zeros")
POOLINGS = ("average", "flatten")


def kaiming_convolution(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Entries N(0, 2/fan_in) with fan_in = c_in k², the product of all but the first entry of the shape."""
    fan_in = int(torch.tensor(shape[1:]).prod())
    return (2 / fan_in) ** 0.5 * torch.randn(shape, generator=generator, dtype=torch.float64)


class Convolutional(nn.Module):
    """h^l = W^l ∗ z^{l-1} (+ b^l), z^l = φ(h^l) for l = 1, …, L, and the output V pool(z^L) (+ a).

    z^0 = x has ``channels[0]`` channels and z^l has ``channels[l]``.  The convolution is the one of neural
    networks (a cross-correlation): with s = stride and k = 2r + 1,

        h^l_i(p) = Σ_j Σ_{|a|, |b| ≤ r} W^l_ij(a, b) z^{l-1}_j(s p + (a, b)),

    where an index outside the image wraps around ("circular") or finds zero ("zeros").  At stride 1 the image
    keeps its size.  Every layer, also the last convolution, is followed by the activation; the head is linear.

    Weights are drawn layer by layer on the CPU in double precision and then converted, so the same seed gives
    the same network on every device and in every precision.

    Args:
        channels: c_0, c_1, …, c_L; for a plain network of depth L, ``[1] + L * [16]``.
        outputs: outputs of the linear head, or None for no head: the network then returns z^L.
        size: (height, width) of the input images; needed for ``pooling="flatten"`` alone.
        kernel: k, an odd number.
        activation: a name in :data:`dlopt.models.ACTIVATIONS`, or an :class:`dlopt.models.Activation`.
        initialization: draws each W^l from its shape (c_l, c_{l-1}, k, k).
        head: draws V from its shape (outputs, features); None for N(0, 1/features).
        bias: True for biases of the convolutions and of the head that start at zero.
        padding_mode: "circular" or "zeros".
        strides: s of every layer, in order; None for 1 throughout.
        pooling: "average" over all pixels, which leaves c_L features, or "flatten".
        seed: of the weights.
        dtype: of the parameters; None for PyTorch's default.
        device: None for :func:`dlopt.runtime.device`.

    Attributes:
        weights: W^1, …, W^L, each (c_l, c_{l-1}, k, k).
        biases: b^1, …, b^L, each (c_l,), or empty.
        head: V, (outputs, features), or None.
        head_bias: a, (outputs,), or None.

    Raises:
        ValueError: the arguments make no network.
    """

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int | None = 10,
        *,
        size: tuple[int, int] | None = None,
        kernel: int = 3,
        activation: str | Activation = "relu",
        initialization: Initialization = kaiming_convolution,
        head: Initialization | None = None,
        bias: bool = False,
        padding_mode: str = "circular",
        strides: Sequence[int] | None = None,
        pooling: str = "average",
        seed: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.channels = tuple(channels)
        if len(self.channels) < 2 or min(self.channels) < 1:
            raise ValueError(
                f"channels must be two or more positive numbers c_0, …, c_L, not {list(channels)}."
            )
        self.strides = (1,) * (len(self.channels) - 1) if strides is None else tuple(strides)
        self.activation = _activation(activation)
        self.padding_mode, self.pooling, self.kernel = padding_mode, pooling, kernel
        self._check(outputs, size)
        device = runtime.device() if device is None else device
        dtype = torch.get_default_dtype() if dtype is None else dtype
        generator = runtime.generator(seed)

        def parameter(values: Tensor) -> nn.Parameter:
            return nn.Parameter(values.to(device, dtype, copy=True))

        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for c_in, c_out in zip(self.channels[:-1], self.channels[1:], strict=True):
            self.weights.append(parameter(initialization((c_out, c_in, kernel, kernel), generator)))
            if bias:
                self.biases.append(parameter(torch.zeros(c_out)))
        self.head = self.head_bias = None
        if outputs is not None:
            shape = (outputs, self._features(size))
            self.head = parameter((head or _standard)(shape, generator))
            self.head_bias = parameter(torch.zeros(outputs)) if bias else None

    @property
    def depth(self) -> int:
        """L, the number of convolutions."""
        return len(self.weights)

    def forward(self, x: Tensor) -> Tensor:
        """The outputs (n, outputs) of images (n, c_0, height, width); without a head, z^L.

        Raises:
            ValueError: the inputs do not fit the first layer.
        """
        for _, h in self.recursion(x):
            last = h
        z = self.activation(last)
        if self.head is None:
            return z
        features = z.mean(dim=(2, 3)) if self.pooling == "average" else z.flatten(1)
        return functional.linear(features, self.head, self.head_bias)

    def passes(self, x: Tensor) -> Passes:
        """h^1, …, h^L and z^0, …, z^{L-1}, each (n, channels, height, width)."""
        postactivations, preactivations = zip(*self.recursion(x), strict=True)
        return Passes(list(preactivations), list(postactivations))

    def recursion(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """(z^{l-1}, h^l) for l = 1, …, L, one layer at a time."""
        if x.ndim != 4 or x.shape[1] != self.channels[0]:
            raise ValueError(f"inputs must be (n, {self.channels[0]}, height, width), not {tuple(x.shape)}.")
        z = x
        for layer in range(1, self.depth + 1):
            h = self._convolve(layer, z)
            yield z, h
            if layer < self.depth:
                z = self.activation(h)

    def _convolve(self, layer: int, z: Tensor) -> Tensor:
        weight, stride = self.weights[layer - 1], self.strides[layer - 1]
        bias = self.biases[layer - 1] if self.biases else None
        reach = self.kernel // 2
        if self.padding_mode == "zeros" or reach == 0:
            return functional.conv2d(z, weight, bias, stride=stride, padding=reach)
        return functional.conv2d(
            functional.pad(z, 4 * (reach,), mode="circular"), weight, bias, stride=stride
        )

    def _features(self, size: tuple[int, int] | None) -> int:
        if self.pooling == "average":
            return self.channels[-1]
        height, width = size
        for stride in self.strides:
            height, width = -(-height // stride), -(-width // stride)
        return self.channels[-1] * height * width

    def _check(self, outputs: int | None, size: tuple[int, int] | None) -> None:
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError(f"kernel must be an odd number, not {self.kernel}.")
        if len(self.strides) != len(self.channels) - 1 or min(self.strides) < 1:
            raise ValueError(
                f"strides must be {len(self.channels) - 1} positive numbers, not {list(self.strides)}."
            )
        if self.padding_mode not in PADDING_MODES:
            raise ValueError(f"padding_mode must be 'circular' or 'zeros', not {self.padding_mode!r}.")
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling must be 'average' or 'flatten', not {self.pooling!r}.")
        if outputs is not None and outputs < 1:
            raise ValueError(f"outputs must be None or a positive number, not {outputs}.")
        if outputs is not None and self.pooling == "flatten" and size is None:
            raise ValueError("pooling='flatten' needs the size (height, width) of the images.")


def _standard(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return shape[-1] ** -0.5 * torch.randn(shape, generator=generator, dtype=torch.float64)


def _activation(activation: str | Activation) -> Activation:
    if isinstance(activation, Activation):
        return activation
    if activation not in ACTIVATIONS:
        raise ValueError(f"unknown activation {activation!r}: use one of {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[activation]
