"""Plain convolutional networks: convolutions and activations, then a linear head, and nothing else.

There are no skip connections and no normalization, so that what such a network can do is due to its start.

As in :mod:`dlopt.models`, a network may hold independent *members*.  One grouped convolution advances all of
them: for a few narrow channels that is several times faster than a loop over networks.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlopt.initialization import KAIMING, Initialization, MemberParameters, lecun_normal, zeros
from dlopt.models import Activation, Layered, as_activation

__all__ = ["PADDING_MODES", "POOLINGS", "Convolutional"]

PADDING_MODES = ("circular", "zeros")
"""What stands outside the image: the image again, or zeros."""
POOLINGS = ("average", "flatten")
"""What the head sees of the last layer: the mean of each channel, or every pixel."""


class Convolutional(Layered):
    """h^l = W^l ∗ z^{l-1} + b^l and z^l = φ(h^l) for l = 1, …, L; the output is V pool(z^L) + a.

    z^0 = x has ``channels[0]`` channels and z^l has ``channels[l]``.  The convolution is the one of neural
    networks (a cross-correlation): with stride s and k = 2r + 1,

        h^l_i(p) = Σ_j Σ_{|a|, |b| ≤ r} W^l_ij(a, b) z^{l-1}_j(s p + (a, b)),

    where a place outside the image wraps around ("circular") or holds zero ("zeros").  At stride 1 the image
    keeps its size.  The activation follows every convolution, also the last; the head is linear.

    Weights are drawn layer by layer on the CPU in double precision and then converted, so the same seed gives
    the same network on every device and in every precision.

    Args:
        channels: c_0, c_1, …, c_L; for a plain network of depth L, ``[1] + L * [16]``.
        outputs: number of outputs of the linear head, or None for no head: the network then returns z^L.
        size: (height, width) of the images; needed for ``pooling="flatten"`` alone.
        kernel: k, an odd number.
        activation: a name in :data:`dlopt.models.ACTIVATIONS`, or an :class:`dlopt.models.Activation`.
        initialization: draws each W^l from its shape (c_l, c_{l-1}, k, k).  The default is Kaiming's.
        head: draws V from its shape (outputs, features).  The default is LeCun's, N(0, 1/features).
        bias: whether convolutions and head have biases, which start at zero.
        padding_mode: "circular" or "zeros".
        strides: s of every layer, in order; None for 1 throughout.
        pooling: "average" over all pixels, which leaves c_L features, or "flatten".
        members: None for one network, or the number of independent networks.
        seed: member m is drawn with seed + m, whatever the number of members.
        dtype: of the parameters; None for PyTorch's default.
        device: None for :func:`dlopt.runtime.device`.

    Attributes:
        weights: W^1, …, W^L, each (c_l, c_{l-1}, k, k) or (members, c_l, c_{l-1}, k, k).
        biases: b^1, …, b^L, each (c_l,) or (members, c_l), or empty.
        head: V, (outputs, features) or (members, outputs, features), or None.
        head_bias: a, (outputs,) or (members, outputs), or None.

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
        initialization: Initialization = KAIMING,
        head: Initialization = lecun_normal,
        bias: bool = False,
        padding_mode: str = "circular",
        strides: Sequence[int] | None = None,
        pooling: str = "average",
        members: int | None = None,
        seed: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.channels, self.outputs, self.size, self.kernel = tuple(channels), outputs, size, kernel
        self.padding_mode, self.pooling, self.members = padding_mode, pooling, members
        self.activation = as_activation(activation)
        self.strides = (1,) * (len(self.channels) - 1) if strides is None else tuple(strides)
        self._check()
        parameter = MemberParameters(members, seed, dtype, device)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for c_in, c_out in itertools.pairwise(self.channels):
            self.weights.append(parameter((c_out, c_in, kernel, kernel), initialization))
            if bias:
                self.biases.append(parameter((c_out,), zeros))
        self.head = self.head_bias = None
        if outputs is not None:
            self.head = parameter((outputs, self._features()), head)
            self.head_bias = parameter((outputs,), zeros) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """The outputs (n, outputs) or (members, n, outputs); without a head z^L, as in :meth:`passes`.

        Args:
            x: images (n, c_0, height, width), shared by all members.

        Raises:
            ValueError: the images do not fit the first layer or the head.
        """
        for _, h in self.recursion(x):
            last = h
        z = self.activation(last)
        if self.head is None:
            return z
        features = z.mean(dim=(-2, -1)) if self.pooling == "average" else z.flatten(-3)
        if features.shape[-1] != self.head.shape[-1]:
            raise ValueError(f"the head was made for images of {self.size}, not {tuple(x.shape[-2:])}.")
        outputs = features @ self.head.mT
        return outputs if self.head_bias is None else outputs + self.head_bias.unsqueeze(-2)

    def recursion(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """(z^{l-1}, h^l) for l = 1, …, L, each (n, c, height, width) or (members, n, c, height, width)."""
        if x.ndim != 4 or x.shape[1] != self.channels[0]:
            raise ValueError(f"inputs must be (n, {self.channels[0]}, height, width), not {tuple(x.shape)}.")
        z = x.repeat(1, self.members or 1, 1, 1)
        for layer in range(1, self.depth + 1):
            h = self._convolve(layer, z)
            yield self._apart(z), self._apart(h)
            if layer < self.depth:
                z = self.activation(h)

    def _single(self) -> Self:
        return type(self)(
            self.channels, self.outputs, size=self.size, kernel=self.kernel, activation=self.activation,
            bias=len(self.biases) > 0, padding_mode=self.padding_mode, strides=self.strides,
            pooling=self.pooling, **self._placement(),
        )  # fmt: skip

    def _apart(self, z: Tensor) -> Tensor:
        """(n, members · c, height, width), as one grouped convolution has it, with the members in front."""
        return z if self.members is None else z.unflatten(1, (self.members, -1)).movedim(1, 0)

    def _convolve(self, layer: int, z: Tensor) -> Tensor:
        """W^l ∗ z^{l-1} + b^l, with the members' channels side by side."""
        weight, stride, reach = self.weights[layer - 1], self.strides[layer - 1], self.kernel // 2
        bias = self.biases[layer - 1].flatten() if self.biases else None
        if self.members is not None:
            weight = weight.flatten(0, 1)
        if self.padding_mode == "circular" and reach:
            z, reach = functional.pad(z, 4 * (reach,), mode="circular"), 0
        return functional.conv2d(z, weight, bias, stride=stride, padding=reach, groups=self.members or 1)

    def _features(self) -> int:
        if self.pooling == "average":
            return self.channels[-1]
        height, width = self.size
        for stride in self.strides:
            height, width = -(-height // stride), -(-width // stride)
        return self.channels[-1] * height * width

    def _check(self) -> None:
        if len(self.channels) < 2 or min(self.channels) < 1:
            raise ValueError(
                f"channels must be two or more positive numbers c_0, …, c_L, not {list(self.channels)}."
            )
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError(f"kernel must be an odd number, not {self.kernel}.")
        layers = len(self.channels) - 1
        if len(self.strides) != layers or min(self.strides) < 1:
            raise ValueError(f"strides must be {layers} positive numbers, not {list(self.strides)}.")
        if self.padding_mode not in PADDING_MODES:
            raise ValueError(f"padding_mode must be 'circular' or 'zeros', not {self.padding_mode!r}.")
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling must be 'average' or 'flatten', not {self.pooling!r}.")
        if self.outputs is not None and self.outputs < 1:
            raise ValueError(f"outputs must be None or a positive number, not {self.outputs}.")
        if self.outputs is not None and self.pooling == "flatten" and self.size is None:
            raise ValueError("pooling='flatten' needs the size (height, width) of the images.")
