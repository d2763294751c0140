"""Convolutional networks of finite width in the neural tangent parametrization.

Their kernels converge to those of :mod:`dlopt.kernels.convolutional_kernel` as the channels grow.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlopt.initialization import MemberParameters, gaussian
from dlopt.models import Activation, as_activation

__all__ = ["TangentConvolutional"]


class TangentConvolutional(nn.Module):
    """``depth`` convolutions that keep the size of the image, each followed by φ, and a dense layer to one output.

    h_i(p) = σ_w/(q √c) Σ_{j, δ} ω_ij(δ) z_j(p + δ) + σ_b β_i, and the dense layer likewise over what the head shows.

    Args:
        image: (channels, height, width) of the inputs.
        channels: c of every hidden layer.
        depth: the number of convolutions.
        head: "flatten" or "pool".
        filter_size: q, odd.
        padding: "zeros" or "circular".
        activation: a name in :data:`dlopt.models.ACTIVATIONS`, or an Activation.
        sigma_w: σ_w.
        sigma_b: σ_b.
        seed: of the parameters, all from N(0, 1).
        dtype: of the parameters; None for PyTorch's default.
        device: None for :func:`dlopt.runtime.device`.

    Raises:
        ValueError: the head, the padding or the filter's size is none of the above.
    """

    def __init__(
        self,
        image: tuple[int, int, int],
        channels: int,
        *,
        depth: int,
        head: str = "flatten",
        filter_size: int = 3,
        padding: str = "zeros",
        activation: str | Activation = "relu",
        sigma_w: float = math.sqrt(2),
        sigma_b: float = 0.0,
        seed: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        if head not in ("flatten", "pool") or padding not in ("zeros", "circular") or filter_size % 2 == 0:
            raise ValueError(
                f"there is no head {head!r} with padding {padding!r} and filters of {filter_size}."
            )
        parameter = MemberParameters(None, seed, dtype, device)
        self.activation, self.head = as_activation(activation), head
        self.padding = {"zeros": "constant", "circular": "circular"}[padding]
        self.sigma_w, self.sigma_b = sigma_w, sigma_b
        shapes = [
            (channels, channels if layer else image[0], filter_size, filter_size) for layer in range(depth)
        ]
        seen = channels * (image[1] * image[2] if head == "flatten" else 1)
        self.weights = nn.ParameterList(parameter(shape, gaussian(1.0)) for shape in [*shapes, (1, seen)])
        self.biases = nn.ParameterList(parameter((shape[0],), gaussian(1.0)) for shape in [*shapes, (1,)])

    def forward(self, x: Tensor) -> Tensor:
        """f_θ(x), (n, 1), for images (n, channels, height, width)."""
        *filters, last = self.weights
        for weight, bias in zip(filters, self.biases, strict=False):
            radius = weight.shape[-1] // 2
            padded = functional.pad(x, (radius,) * 4, mode=self.padding)
            x = self.activation(functional.conv2d(padded, *self._scaled(weight, bias)))
        z = x.flatten(1) if self.head == "flatten" else x.mean(dim=(-2, -1))
        return functional.linear(z, *self._scaled(last, self.biases[-1]))

    def _scaled(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """σ_w/√fan_in ω and σ_b β."""
        return weight * (self.sigma_w / math.sqrt(weight[0].numel())), bias * self.sigma_b
