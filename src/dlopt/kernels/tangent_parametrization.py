"""Fully connected networks in the neural tangent parametrization.

h^l = σ_w/√d_{l-1} ω^l z^{l-1} + σ_b β^l with all entries of ω and β from N(0, 1): at the start the same function as
with weights from N(0, σ_w²/d_{l-1}), but the gradient in ω is smaller by σ_w/√d_{l-1}, and that is what keeps the
tangent kernel finite as the width grows.

Source: Jacot, Gabriel and Hongler, "Neural tangent kernel: convergence and generalization in neural networks" (2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from dlopt.initialization import gaussian
from dlopt.kernels.scaled_parameters import ScaledParameters
from dlopt.models import Activation

__all__ = ["TangentParametrized"]


class TangentParametrized(ScaledParameters):
    """f_θ(x) of (1) with W^l = σ_w/√d_{l-1} ω^l and b^l = σ_b β^l; the parameters are ω and β.

    Args:
        widths: d_0, …, d_L.
        activation: a name in :data:`dlopt.models.ACTIVATIONS`, or an Activation.
        sigma_w: σ_w; the default keeps the variance through ReLU.
        sigma_b: σ_b; 0 for no biases.

    The other arguments are those of :class:`dlopt.models.FullyConnected`.
    """

    def __init__(
        self,
        widths: Sequence[int],
        activation: str | Activation = "relu",
        *,
        sigma_w: float = math.sqrt(2),
        sigma_b: float = 0.0,
        members: int | None = None,
        seed: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(
            widths, activation, initialization=gaussian(1.0), bias=gaussian(1.0) if sigma_b else False,
            members=members, seed=seed, dtype=dtype, device=device,
        )  # fmt: skip
        self.sigma_w, self.sigma_b = sigma_w, sigma_b

    def scales(self, layer: int) -> tuple[float, float]:
        """σ_w/√d_{l-1} and σ_b, what multiplies ω^l and β^l."""
        return self.sigma_w / math.sqrt(self.widths[layer - 1]), self.sigma_b

    def _single(self) -> TangentParametrized:
        return type(self)(
            self.widths, self.activation, sigma_w=self.sigma_w, sigma_b=self.sigma_b, **self._placement()
        )
