"""Fixup: residual networks without normalization, section 4.4 of the survey.

Zhang, Dauphin, Ma (2019), the rules on their page 5:

1. the classification layer and the last layer of every residual branch start at zero;
2. every other layer starts as usual, and inside the branches it is scaled by L^{-1/(2m-2)};
3. every branch gets a scalar multiplier (1 at the start) and every layer and activation a scalar bias (0 before it).

L is the number of branches and m the number of layers in each.  The survey leaves the classification layer out.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from dlopt import runtime

__all__ = ["BranchNetwork", "fixup_scale", "predicted_change", "step_change"]


def fixup_scale(branches: int, layers: int) -> float:
    """L^{-1/(2m-2)}.

    Raises:
        ValueError: fewer than one branch, or than two layers: a branch of one layer is all zero and has no layer
            left to scale.
    """
    if branches < 1 or layers < 2:
        raise ValueError(f"Fixup needs one branch of two layers or more, not {branches} of {layers}.")
    return branches ** (-1 / (2 * layers - 2))


class BranchNetwork(nn.Module):
    """f(x) = W_out z^L with z^0 = W_in x and z^l = z^{l-1} + a_l W^l_m φ(… φ(W^l_1 z^{l-1})), φ = ReLU.

    With ``biases`` a scalar is added before every layer and every activation of a branch, Fixup's third rule.
    All weights start as Kaiming's draws (W_in and W_out: var 1/fan_in), then

    - layers 1, …, m-1 of each branch are multiplied by ``scale``, and the last one by ``last``;
    - W_out is multiplied by ``head``.

    Fixup is ``scale=fixup_scale(L, m), last=0, head=0, biases=True``, or :meth:`fixup`.

    Args:
        inputs, width, outputs: d_0, d and the number of outputs.
        branches: L.
        layers: m.
        multiplier: a_l at the start.
        trained_multipliers: whether the a_l are parameters.
        seed: of the weights.
        dtype, device: of the parameters; None for PyTorch's default and :func:`dlopt.runtime.device`.

    Raises:
        ValueError: no branch or no layer.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        outputs: int,
        *,
        branches: int,
        layers: int = 2,
        scale: float = 1.0,
        last: float = 1.0,
        head: float = 1.0,
        multiplier: float = 1.0,
        trained_multipliers: bool = False,
        biases: bool = False,
        seed: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        if branches < 1 or layers < 1:
            raise ValueError(f"a network needs a branch and a layer in it, not {branches} and {layers}.")
        self.branches, self.layers = branches, layers
        generator = runtime.generator(seed)
        device = runtime.device() if device is None else device
        dtype = torch.get_default_dtype() if dtype is None else dtype

        def parameter(rows: int, columns: int, gain: float, factor: float) -> nn.Parameter:
            drawn = math.sqrt(gain / columns) * torch.randn(
                rows, columns, generator=generator, dtype=torch.float64
            )
            return nn.Parameter((factor * drawn).to(device, dtype))

        self.entry = parameter(width, inputs, 1.0, 1.0)
        factors = [scale] * (layers - 1) + [last]
        self.weights = nn.ParameterList(
            parameter(width, width, 2.0, factor) for _ in range(branches) for factor in factors
        )
        self.head = parameter(outputs, width, 1.0, head)
        self.multipliers = nn.Parameter(
            torch.full((branches,), multiplier, device=device, dtype=dtype), requires_grad=trained_multipliers
        )
        self.biases = nn.Parameter(
            torch.zeros(branches, 2 * layers - 1, device=device, dtype=dtype), requires_grad=biases
        )

    @classmethod
    def fixup(cls, inputs: int, width: int, outputs: int, *, branches: int, layers: int = 2, **options) -> BranchNetwork:
        """The network that all three rules make."""
        return cls(
            inputs, width, outputs, branches=branches, layers=layers, scale=fixup_scale(branches, layers),
            last=0.0, head=0.0, trained_multipliers=True, biases=True, **options,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """f(x), (n, outputs)."""
        z = x @ self.entry.T
        for branch in range(self.branches):
            z = z + self.multipliers[branch] * self.branch(branch, z)
        return z @ self.head.T

    def branch(self, index: int, z: Tensor) -> Tensor:
        """W_m φ(b + … φ(b + W_1 (z + b))) of one branch, without its multiplier."""
        bias = self.biases[index]
        for layer in range(self.layers):
            if layer:
                z = torch.relu(z + bias[2 * layer - 1])
            z = (z + bias[2 * layer]) @ self.weights[index * self.layers + layer].T
        return z


def step_change(
    network: BranchNetwork, x: Tensor, targets: Tensor, loss: Callable[[Tensor, Tensor], Tensor], eta: float
) -> float:
    """Root mean square of f(x; θ - η∇F) - f(x; θ) after one step on the branches alone.

    Entry and head stay where they are, so that what moves is the part of which Fixup speaks.
    """
    moved = [*network.weights]
    before = network(x)
    slopes = torch.autograd.grad(loss(before, targets), moved)
    with torch.no_grad():
        for parameter, slope in zip(moved, slopes, strict=True):
            parameter -= eta * slope
        change = network(x) - before
        for parameter, slope in zip(moved, slopes, strict=True):
            parameter += eta * slope
    return float(change.square().mean().sqrt())


def predicted_change(exponent: float, branches: int, layers: int) -> float:
    """L · s^{2(m-1)} with s = L^{-p}: how the first change of f depends on depth when last layers start at zero.

    Only the last layers have a gradient then, the outer product of the same error with the branch's features, whose
    length is proportional to s^{m-1}; L of them add up.  It is one for p = 1/(2m-2), Fixup's exponent.
    """
    return branches ** (1 - 2 * exponent * (layers - 1))
