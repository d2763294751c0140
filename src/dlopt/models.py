"""Fully connected and residual networks, equations (1), (2), (8) and (19) of the survey.

Rows are samples: a batch of n inputs is a tensor (n, d_0), where the survey's X has samples as columns, so
its h = W z is ``z @ W.T`` here.

A network may hold many independent *members* of one architecture.  Its weights then carry a leading axis,
(members, d_l, d_{l-1}), and one batched product advances all of them: for narrow layers that is several times
faster than a loop over networks, for wide ones (256 and more on a CPU) it gains nothing.  Member m of a
network with seed s starts where the single network with seed s + m does.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlopt.initialization import KAIMING, Initialization, MemberParameters, zeros
from dlopt.normalization import NORMALIZATIONS

__all__ = [
    "ACTIVATIONS", "Activation", "FullyConnected", "Layered", "Normalization", "Passes", "Residual", "as_activation",
]  # fmt: skip

Normalization = Callable[..., nn.Module]
"""Makes a layer from the shape of its γ, (d_l,) or (members, d_l), and the keywords ``dtype`` and ``device``."""


@dataclass(frozen=True)
class Activation:
    """A scalar function φ, applied entry by entry, and its derivative φ'.

    At a kink the derivative is the one that PyTorch's differentiation uses (ReLU: φ'(0) = 0).
    """

    name: str
    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]

    def __call__(self, h: Tensor) -> Tensor:
        return self.function(h)


def _normal_density(h: Tensor) -> Tensor:
    return torch.exp(-(h**2) / 2) / math.sqrt(2 * math.pi)


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("linear", lambda h: h, torch.ones_like),
        Activation("relu", torch.relu, lambda h: (h > 0).to(h.dtype)),
        Activation(
            "leaky_relu",
            lambda h: functional.leaky_relu(h, 0.01),
            lambda h: torch.ones_like(h).where(h > 0, 0.01),
        ),
        Activation("elu", functional.elu, lambda h: torch.exp(h.clamp(max=0))),
        Activation("tanh", torch.tanh, lambda h: 1 - torch.tanh(h) ** 2),
        Activation("hard_tanh", functional.hardtanh, lambda h: (h.abs() < 1).to(h.dtype)),
        Activation("logistic", torch.sigmoid, lambda h: torch.sigmoid(h) * torch.sigmoid(-h)),
        Activation("softplus", lambda h: -functional.logsigmoid(-h), torch.sigmoid),
        Activation("erf", torch.erf, lambda h: 2 / math.sqrt(math.pi) * torch.exp(-(h**2))),
        Activation("gelu", functional.gelu, lambda h: torch.special.ndtr(h) + h * _normal_density(h)),
        Activation("swish", functional.silu, lambda h: torch.sigmoid(h) * (1 + h * torch.sigmoid(-h))),
        Activation("sine", torch.sin, torch.cos),
        Activation("quadratic", torch.square, lambda h: 2 * h),
    )
}
"""The activations of the survey and of the papers that it cites, by name."""


class Passes(NamedTuple):
    """Everything that a forward pass computes, in the notation of (8)."""

    preactivations: list[Tensor]
    """h^1, …, h^L: ``preactivations[l - 1]`` is h^l, (n, d_l) or (members, n, d_l)."""
    postactivations: list[Tensor]
    """z^0, …, z^{L-1}: ``postactivations[l]`` is z^l, (n, d_l) or (members, n, d_l)."""


class Layered(nn.Module):
    """What networks share that compute one layer after the other: h^l from z^{l-1}, and z^l from h^l.

    Attributes:
        weights: W^1, …, W^L, with the members, where there are any, on the first axis.
        members: None for one network, or the number of independent networks.
    """

    weights: nn.ParameterList
    members: int | None

    @property
    def depth(self) -> int:
        """L, the number of weight layers."""
        return len(self.weights)

    def recursion(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """(z^{l-1}, h^l) for l = 1, …, L, one layer at a time."""
        raise NotImplementedError

    def passes(self, x: Tensor) -> Passes:
        """The forward pass with all its intermediate variables, h^1 … h^L and z^0 … z^{L-1} of (8)."""
        postactivations, preactivations = zip(*self.recursion(x), strict=True)
        return Passes(list(preactivations), list(postactivations))

    def member(self, index: int) -> Self:
        """Member ``index`` as a single network: a copy that shares nothing with this one."""
        if self.members is None:
            raise ValueError("this is a single network: it has no members.")
        single = self._single()
        single.load_state_dict({name: tensor[index] for name, tensor in self.state_dict().items()})
        return single.train(self.training)

    def _single(self) -> Self:
        """A network of the same architecture without members."""
        raise NotImplementedError

    def _placement(self) -> dict[str, torch.dtype | torch.device]:
        return {"dtype": self.weights[0].dtype, "device": self.weights[0].device}


class FullyConnected(Layered):
    """f_θ(x) = W^L φ(W^{L-1} … φ(W² φ(W¹ x))), equation (1).

    The recursion is (8): z⁰ = x, h^l = W^l z^{l-1} (+ b^l), z^l = φ(h^l), and the output is h^L: no
    activation follows the last layer, although (2) as it is printed has one there.

    Weights are drawn layer by layer on the CPU in double precision and then converted, so the same seed gives
    the same network on every device and in every precision.

    Args:
        widths: d_0, d_1, …, d_L.
        activation: a name in :data:`ACTIVATIONS`, or an :class:`Activation`.
        initialization: draws each W^l from its shape (d_l, d_{l-1}).  The default is Kaiming's.
        bias: False for none, True for biases that start at zero, or what draws each b^l from (d_l,).
        members: None for one network, or the number of independent networks.
        seed: member m is drawn with seed + m, whatever the number of members.
        dtype: of the parameters; None for PyTorch's default.
        device: None for :func:`dlopt.runtime.device`.

    Attributes:
        weights: W^1, …, W^L, each (d_l, d_{l-1}) or (members, d_l, d_{l-1}).
        biases: b^1, …, b^L, each (d_l,) or (members, d_l), or empty.

    Raises:
        ValueError: widths, members or the activation's name make no network.
    """

    def __init__(
        self,
        widths: Sequence[int],
        activation: str | Activation = "relu",
        *,
        initialization: Initialization = KAIMING,
        bias: bool | Initialization = False,
        members: int | None = None,
        seed: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        if len(widths) < 2 or any(width < 1 for width in widths):
            raise ValueError(f"widths must be two or more positive numbers d_0, …, d_L, not {list(widths)}.")
        parameter = MemberParameters(members, seed, dtype, device)
        self.widths = tuple(widths)
        self.activation = as_activation(activation)
        self.members = members
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for fan_in, fan_out in itertools.pairwise(widths):
            self.weights.append(parameter((fan_out, fan_in), initialization))
            if bias:
                self.biases.append(parameter((fan_out,), bias if callable(bias) else zeros))

    def forward(self, x: Tensor) -> Tensor:
        """f_θ(x): (n, d_L), or (members, n, d_L).

        Args:
            x: inputs (n, d_0), shared by all members, or (members, n, d_0).

        Raises:
            ValueError: the inputs do not fit the first layer.
        """
        for _, h in self.recursion(x):
            output = h
        return output

    def recursion(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """(z^{l-1}, h^l) for l = 1, …, L, one layer at a time."""
        z = self._inputs(x)
        for layer in range(1, self.depth + 1):
            h = self._linear(layer, z)
            yield z, h
            if layer < self.depth:
                z = self.activation(h)

    def _single(self) -> Self:
        return type(self)(self.widths, self.activation, bias=len(self.biases) > 0, **self._placement())

    def _inputs(self, x: Tensor) -> Tensor:
        """x as z^0, with a leading axis for the members where there are any."""
        leading = () if self.members is None else (self.members,)
        z = x.expand(*leading, -1, -1) if x.ndim == 2 else x
        if z.ndim != len(leading) + 2 or z.shape[:-2] != leading or z.shape[-1] != self.widths[0]:
            each = f" or ({self.members}, n, {self.widths[0]})" if leading else ""
            raise ValueError(f"inputs must be (n, {self.widths[0]}){each}, not {tuple(x.shape)}.")
        return z

    def weight(self, layer: int) -> Tensor:
        """W^l, (d_l, d_{l-1}) or (members, d_l, d_{l-1}); what a reparametrized network overrides."""
        return self.weights[layer - 1]

    def bias(self, layer: int) -> Tensor | None:
        """b^l, (d_l,) or (members, d_l), or None; what a reparametrized network overrides."""
        return self.biases[layer - 1] if self.biases else None

    def _linear(self, layer: int, z: Tensor) -> Tensor:
        """W^l z^{l-1} + b^l for every sample and every member."""
        weight, bias = self.weight(layer), self.bias(layer)
        if self.members is None:
            return functional.linear(z, weight, bias)
        if bias is None:
            return torch.bmm(z, weight.mT)
        return torch.baddbmm(bias.unsqueeze(-2), z, weight.mT)


class Residual(FullyConnected):
    """A fully connected network with skip connections and normalization layers, each to be switched off.

    Layers 2, …, L-1 form blocks of ``block`` layers; a block that starts from z computes F(z): N(W z) for one
    layer, N(W φ(N(W' z))) for two.  Then

    - ``skip="inside"``   z ← φ(F(z) + z), equation (19), the form of practical networks;
    - ``skip="outside"``  z ← φ(F(z)) + z, without an activation after the sum, as in theoretical papers;
    - ``skip=None``       z ← φ(F(z)), the plain network (8).

    The first layer maps the input to the width of the blocks and the last layer is linear: neither has a
    skip.  N normalizes the pre-activations of layers 1, …, L-1; without a normalization it is the identity.
    Without skip and normalization the network is :class:`FullyConnected`, weight for weight.  In
    :meth:`passes`, h^l is what enters the activation: after N, and after an inside skip.

    Args:
        widths: d_0, …, d_L; layers between which a skip leads must have equal width.
        skip: "inside", "outside" or None.
        normalization: a name in :data:`dlopt.normalization.NORMALIZATIONS`, what makes a layer of
            :mod:`dlopt.normalization` from its shape, or None.
        block: layers that one skip leads over.

    The other arguments are those of :class:`FullyConnected`.

    Raises:
        ValueError: the hidden layers do not form blocks, or a skip would join unequal widths.
    """

    def __init__(
        self,
        widths: Sequence[int],
        activation: str | Activation = "relu",
        *,
        skip: str | None = "inside",
        normalization: str | Normalization | None = None,
        block: int = 1,
        initialization: Initialization = KAIMING,
        bias: bool | Initialization = False,
        members: int | None = None,
        seed: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(
            widths, activation, initialization=initialization, bias=bias, members=members, seed=seed,
            dtype=dtype, device=device,
        )  # fmt: skip
        if skip not in ("inside", "outside", None):
            raise ValueError(f"skip must be 'inside', 'outside' or None, not {skip!r}.")
        layer = NORMALIZATIONS.get(normalization, normalization)
        if layer is not None and not callable(layer):
            names = ", ".join(map(repr, NORMALIZATIONS))
            raise ValueError(f"normalization must be {names}, a layer or None, not {normalization!r}.")
        if block < 1 or (self.depth - 2) % block:
            raise ValueError(f"layers 2 to {self.depth - 1} do not form blocks of {block}.")
        self.skip, self.normalization, self.block = skip, normalization, block
        ends = self.widths[1:-1:block]
        if skip and len(set(ends)) > 1:
            raise ValueError(f"a skip connection needs equal widths, not {list(ends)}.")
        leading = () if members is None else (members,)
        self.norms = nn.ModuleList(
            layer((*leading, width), **self._placement()) for width in (self.widths[1:-1] if layer else ())
        )

    def recursion(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """(z^{l-1}, h^l) for l = 1, …, L, one layer at a time."""
        z = start = self._inputs(x)
        for layer in range(1, self.depth + 1):
            h = self._normalized(layer, self._linear(layer, z))
            closes = 1 < layer < self.depth and (layer - 1) % self.block == 0
            if closes and self.skip == "inside":
                h = h + start
            yield z, h
            if layer == self.depth:
                return
            z = self.activation(h)
            if closes and self.skip == "outside":
                z = z + start
            if closes or layer == 1:
                start = z

    def _normalized(self, layer: int, h: Tensor) -> Tensor:
        return self.norms[layer - 1](h) if self.norms and layer < self.depth else h

    def _single(self) -> Self:
        return type(self)(
            self.widths, self.activation, skip=self.skip, normalization=self.normalization, block=self.block,
            bias=len(self.biases) > 0, **self._placement(),
        )  # fmt: skip


def as_activation(activation: str | Activation) -> Activation:
    """The activation of that name in :data:`ACTIVATIONS`, or ``activation`` itself where it is one.

    Raises:
        ValueError: no activation has the name.
    """
    if isinstance(activation, Activation):
        return activation
    if activation not in ACTIVATIONS:
        raise ValueError(f"unknown activation {activation!r}: use one of {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[activation]
