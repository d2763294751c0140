"""Normalization layers: batch, layer, instance, group and switchable normalization.

All of them compute γ (h - μ) / √(σ² + ε) + β and differ in the entries over which μ and σ² are taken.  An
activation is a tensor (members…, n, c, space…): n samples of c channels (the features of a fully connected
layer), at every position of an image if there is space, and for each network if there are members.

=====================  ==============================  ===================================
layer                  one μ and σ² for each           taken over
=====================  ==============================  ===================================
BatchNormalization     channel                         samples and space
LayerNormalization     sample                          channels and space
InstanceNormalization  sample and channel              space
GroupNormalization     sample and group of channels    the group's channels and space
=====================  ==============================  ===================================

γ and β have one entry for each channel.  The survey prints σ + ε in Appendix B; √(σ² + ε) is the original
form, and PyTorch's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "NORMALIZATIONS", "BatchNormalization", "GroupNormalization", "InstanceNormalization",
    "LayerNormalization", "SwitchableNormalization", "batch_statistics", "use_population_statistics",
]  # fmt: skip


class _Normalization(nn.Module):
    """γ (h - μ) / √(σ² + ε) + β, with γ and β of shape (c,) or (members, c)."""

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        epsilon: float = 1e-5,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.gamma = nn.Parameter(torch.ones(shape, dtype=dtype, device=device))
        self.beta = nn.Parameter(torch.zeros(shape, dtype=dtype, device=device))

    @property
    def _channel_axis(self) -> int:
        """1 for (n, c, space…), 2 for (members, n, c, space…)."""
        return self.gamma.ndim

    def _checked(self, h: Tensor, *, space: bool = False) -> Tensor:
        """h, which must be (members…, n, c), with space… after it allowed or, if so asked, needed."""
        members, channels = self.gamma.shape[:-1], self.gamma.shape[-1]
        axis = self._channel_axis
        if h.ndim < axis + 1 + space or h.shape[: axis - 1] != members or h.shape[axis] != channels:
            wanted = [*map(str, members), "n", str(channels), "space…" if space else "[space…]"]
            raise ValueError(f"activations must be ({', '.join(wanted)}), not {tuple(h.shape)}.")
        return h

    def _space(self, h: Tensor) -> tuple[int, ...]:
        return tuple(range(self._channel_axis + 1, h.ndim))

    def _per_channel(self, parameter: Tensor, h: Tensor) -> Tensor:
        """γ or β in a shape that broadcasts with h."""
        return parameter.unsqueeze(-2).reshape(
            *parameter.shape[:-1], 1, parameter.shape[-1], *[1] * len(self._space(h))
        )

    def _scaled(self, normalized: Tensor) -> Tensor:
        return normalized * self._per_channel(self.gamma, normalized) + self._per_channel(
            self.beta, normalized
        )


class _WithRunningStatistics(_Normalization):
    """A layer that uses statistics of the batch in training and running averages of them in evaluation."""

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        epsilon: float = 1e-5,
        momentum: float = 0.1,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(shape, epsilon=epsilon, dtype=dtype, device=device)
        self.momentum = momentum
        self.register_buffer("running_mean", torch.zeros(shape, dtype=dtype, device=device))
        self.register_buffer("running_variance", torch.ones(shape, dtype=dtype, device=device))


class BatchNormalization(_WithRunningStatistics):
    """One μ and σ² for every channel, over the samples of the batch and space; Appendix B of the survey.

    While training, μ and σ² are the mean and the (biased) variance over the samples of the batch, for each
    member by itself; in evaluation they are the running averages of those, of the unbiased variance as in
    torch.nn.BatchNorm1d.

    Source: Ioffe & Szegedy 2015, Algorithm 1.

    Args:
        shape: (c,) or (members, c), the shape of γ and of β.
        epsilon: ε; 1e-5 and a momentum of 0.1 are the defaults of torch.nn.BatchNorm1d.
        momentum: weight of the newest batch in the running averages.
    """

    def forward(self, h: Tensor) -> Tensor:
        """Normalize h, (members…, n, c, space…).

        Raises:
            ValueError: h has another shape, or one value a channel in training, which has no variance.
        """
        by_sample = self._checked(h).movedim(self._channel_axis - 1, 0)
        normalized = functional.batch_norm(
            by_sample.flatten(1, self._channel_axis),
            self.running_mean.view(-1),
            self.running_variance.view(-1),
            self.gamma.view(-1),
            self.beta.view(-1),
            training=self.training,
            momentum=self.momentum,
            eps=self.epsilon,
        )
        return normalized.view_as(by_sample).movedim(0, self._channel_axis - 1)


class LayerNormalization(_Normalization):
    """One μ and σ² for every sample, over its channels and space: the columns of the survey's matrix.

    Source: Ba, Kiros & Hinton 2016.  On (n, c) it is torch.nn.LayerNorm(c).

    Args:
        shape: (c,) or (members, c), the shape of γ and of β.
        epsilon: ε.
    """

    def forward(self, h: Tensor) -> Tensor:
        """Normalize h, (members…, n, c, space…).

        Raises:
            ValueError: h has another shape.
        """
        axes = (self._channel_axis, *self._space(self._checked(h)))
        return self._scaled(_standardized(h, axes, self.epsilon))


class InstanceNormalization(_Normalization):
    """One μ and σ² for every channel of every sample, over space.

    Source: Ulyanov, Vedaldi & Lempitsky 2016.  It is torch.nn.InstanceNorm2d with affine=True.

    Args:
        shape: (c,) or (members, c), the shape of γ and of β.
        epsilon: ε.
    """

    def forward(self, h: Tensor) -> Tensor:
        """Normalize h, (members…, n, c, space…).

        Raises:
            ValueError: h has another shape, or no space to take a mean over.
        """
        return self._scaled(_standardized(h, self._space(self._checked(h, space=True)), self.epsilon))


class GroupNormalization(_Normalization):
    """One μ and σ² for every sample and group of successive channels, over the group and space.

    With one group it is layer normalization, with as many groups as channels instance normalization.

    Source: Wu & He 2018.  It is torch.nn.GroupNorm.

    Args:
        shape: (c,) or (members, c), the shape of γ and of β.
        groups: their number, which divides c.
        epsilon: ε.

    Raises:
        ValueError: the groups do not divide the channels.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        groups: int,
        *,
        epsilon: float = 1e-5,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(shape, epsilon=epsilon, dtype=dtype, device=device)
        if groups < 1 or shape[-1] % groups:
            raise ValueError(f"{shape[-1]} channels do not form {groups} groups of equal size.")
        self.groups = groups

    def forward(self, h: Tensor) -> Tensor:
        """Normalize h, (members…, n, c, space…).

        Raises:
            ValueError: h has another shape.
        """
        grouped = self._checked(h).unflatten(self._channel_axis, (self.groups, -1))
        axes = tuple(range(self._channel_axis + 1, grouped.ndim))
        return self._scaled(_standardized(grouped, axes, self.epsilon).view_as(h))


class SwitchableNormalization(_WithRunningStatistics):
    """μ = Σ_k w_k μ_k and σ² = Σ_k w'_k σ²_k over k = instance, layer, batch, with learned weights.

    w = softmax(λ) and w' = softmax(λ') are shared by all channels of the layer.  In evaluation the batch's μ
    and σ² are running averages.

    Source: Luo, Ren, Peng, Zhang & Li 2018.

    Args:
        shape: (c,) or (members, c), the shape of γ and of β.
        epsilon: ε.
        momentum: weight of the newest batch in the running averages.

    Attributes:
        mean_logits: λ, (3,) or (members, 3), in the order instance, layer, batch.
        variance_logits: λ', likewise.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        **options: float,
    ) -> None:
        super().__init__(shape, dtype=dtype, device=device, **options)
        self.mean_logits = nn.Parameter(torch.zeros(*shape[:-1], 3, dtype=dtype, device=device))
        self.variance_logits = nn.Parameter(torch.zeros(*shape[:-1], 3, dtype=dtype, device=device))

    def forward(self, h: Tensor) -> Tensor:
        """Normalize h, (members…, n, c, space…).

        Raises:
            ValueError: h has another shape, or no space to take a mean over.
        """
        space = self._space(self._checked(h, space=True))
        over = (space, (self._channel_axis, *space), (self._channel_axis - 1, *space))
        means = [h.mean(axes, keepdim=True) for axes in over]
        variances = [h.var(axes, correction=0, keepdim=True) for axes in over]
        if self.training:
            self._remember(means[2], variances[2])
        else:
            means[2] = self._per_channel(self.running_mean, h)
            variances[2] = self._per_channel(self.running_variance, h)
        mean = _mixed(self.mean_logits, means)
        variance = _mixed(self.variance_logits, variances)
        return self._scaled((h - mean) / torch.sqrt(variance + self.epsilon))

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        self.running_mean.lerp_(mean.detach().view_as(self.running_mean), self.momentum)
        self.running_variance.lerp_(variance.detach().view_as(self.running_variance), self.momentum)


NORMALIZATIONS = {"batch": BatchNormalization, "layer": LayerNormalization}
"""The layers that need nothing but their shape and no space, by name."""


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Inside the ``with`` block ``model`` computes as in training: batch normalization takes the batch's statistics.

    After it every module is in the mode in which it was, also when the block raised.
    """
    modes = {module: module.training for module in model.modules()}
    model.train()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@torch.no_grad()
def use_population_statistics(model: nn.Module, inputs: Tensor) -> None:
    """Set the running averages of every batch normalization in ``model`` to the statistics of ``inputs``.

    One forward pass in training mode with a momentum of 1.  Each layer then holds the mean and the unbiased
    variance of what reaches it, as Algorithm 2 of Ioffe & Szegedy 2015 asks (with one batch of all samples).
    """
    layers = [module for module in model.modules() if hasattr(module, "momentum")]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 1.0
    with batch_statistics(model):
        model(inputs)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def _standardized(h: Tensor, axes: tuple[int, ...], epsilon: float) -> Tensor:
    """(h - μ) / √(σ² + ε), with μ and σ² over the axes."""
    mean = h.mean(axes, keepdim=True)
    variance = h.var(axes, correction=0, keepdim=True)
    return (h - mean) / torch.sqrt(variance + epsilon)


def _mixed(logits: Tensor, statistics: list[Tensor]) -> Tensor:
    """Σ_k softmax(logits)_k · statistics_k."""
    weights = logits.softmax(-1)
    ndim = statistics[0].ndim
    each = [weights[..., k].view(*weights.shape[:-1], *[1] * (ndim - weights.ndim + 1)) for k in range(3)]
    return sum(weight * statistic for weight, statistic in zip(each, statistics, strict=True))
