"""Fully connected networks whose sums are divided by a power of their width: tangent and mean-field scaling.

Sources: Sirignano and Spiliopoulos, "Mean field analysis of neural networks" (2018) and "Mean field analysis of deep
neural networks" (2019) for the factor 1/fan-in; Jacot, Gabriel and Hongler, "Neural tangent kernel" (2018) for its
root.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dlopt.initialization import gaussian
from dlopt.kernels.scaled_parameters import ScaledParameters
from dlopt.models import Activation

__all__ = ["WidthScaled"]


class WidthScaled(ScaledParameters):
    """f_θ(x) of (1) with W^1 = ω^1/√d_0 and W^l = d_{l-1}^{-γ} ω^l for l ≥ 2, all entries of ω drawn from N(0, 1).

    γ = 1/2 is the tangent scaling, γ = 1 the mean-field scaling: averages instead of sums of random signs.

    Args:
        widths: d_0, …, d_L.
        activation: a name in :data:`dlopt.models.ACTIVATIONS`, or an Activation.
        exponent: γ.
        bias: whether the hidden layers have biases, drawn from N(0, 1) and not scaled; the output has none.

    The other arguments are those of :class:`dlopt.models.FullyConnected`.
    """

    def __init__(
        self,
        widths: Sequence[int],
        activation: str | Activation = "relu",
        *,
        exponent: float,
        bias: bool = False,
        members: int | None = None,
        seed: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(
            widths, activation, initialization=gaussian(1.0), bias=gaussian(1.0) if bias else False,
            members=members, seed=seed, dtype=dtype, device=device,
        )  # fmt: skip
        self.exponent = exponent
        self.biases = self.biases[:-1]

    def scales(self, layer: int) -> tuple[float, float]:
        """What multiplies ω^l and b^l."""
        fan_in = self.widths[layer - 1]
        weight_scale = 1 / math.sqrt(fan_in) if layer == 1 else fan_in**-self.exponent
        return weight_scale, float(layer < self.depth)

    def bias(self, layer: int) -> Tensor | None:
        """b^l of a hidden layer, None for the output."""
        return super().bias(layer) if layer < self.depth else None

    def parameter_groups(self, step_size: float) -> list[dict[str, list[nn.Parameter] | float]]:
        """Groups for an optimizer of PyTorch: the step size η, times d^{2γ-1} for every hidden width d of a tensor.

        ω^l has the hidden ones of d_{l-1} and d_l, b^l that of d_l.  For γ = 1/2 all step sizes are η; for γ = 1
        they undo the factors 1/d by which an average dilutes the gradient of its terms.
        """
        speeds = [1.0, *(width ** (2 * self.exponent - 1) for width in self.widths[1:-1]), 1.0]
        weights = [
            {"params": [weight], "lr": step_size * before * after}
            for weight, before, after in zip(self.weights, speeds[:-1], speeds[1:], strict=True)
        ]
        biases = [
            {"params": [bias], "lr": step_size * own}
            for bias, own in zip(self.biases, speeds[1:], strict=False)
        ]
        return weights + biases

    def _single(self) -> WidthScaled:
        return type(self)(
            self.widths, self.activation, exponent=self.exponent, bias=len(self.biases) > 0,
            **self._placement(),
        )  # fmt: skip
