"""Residual networks whose branches are scaled by the depth, in the neural tangent parametrization."""

from __future__ import annotations

import math
from typing import Self

import torch

from dlopt.initialization import gaussian
from dlopt.kernels.scaled_parameters import ScaledParameters
from dlopt.models import Activation, Residual

__all__ = ["ScaledResidual"]


class ScaledResidual(ScaledParameters, Residual):
    """z^l = φ(z^{l-1} + τ √(2/m) ω^l z^{l-1}) for l = 2, …, L - 1, between a first and a last layer without skip.

    With τ = O(1/√L) neither the signal nor the gradient grows with the depth; :class:`Residual` has τ = 1.

    Args:
        width: m, of all hidden layers.
        depth: L, the number of weight layers.
        inputs: d_0.
        branch_scale: τ.
        activation: a name in :data:`dlopt.models.ACTIVATIONS`, or an Activation.
        skip: "inside" for the residual network, None for the plain one.

    The other arguments are those of :class:`dlopt.models.FullyConnected`; the output is one number.

    Source: Zhang, Yu, Yi, Chen, Liu and Liu, "Stabilize deep ResNet with a sharp scaling factor τ" (2019).
    """

    def __init__(
        self,
        width: int,
        depth: int,
        inputs: int,
        *,
        branch_scale: float,
        activation: str | Activation = "relu",
        skip: str | None = "inside",
        members: int | None = None,
        seed: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(
            [inputs, *[width] * (depth - 1), 1], activation, skip=skip, initialization=gaussian(1.0),
            members=members, seed=seed, dtype=dtype, device=device,
        )  # fmt: skip
        self.branch_scale = branch_scale

    def scales(self, layer: int) -> tuple[float, float]:
        """What multiplies ω^l, √(2/d_{l-1}) and τ in a branch; there are no biases."""
        scale = math.sqrt(2 / self.widths[layer - 1])
        return (scale * self.branch_scale if 1 < layer < self.depth else scale), 0.0

    def _single(self) -> Self:
        return type(self)(
            self.widths[1], self.depth, self.widths[0], branch_scale=self.branch_scale,
            activation=self.activation, skip=self.skip, **self._placement(),
        )  # fmt: skip
