"""Internal covariate shift, how smooth the loss is along its gradient, and batch normalization made noisy.

Source: Santurkar, Tsipras, Ilyas & Madry, How does batch normalization help optimization?, 2018.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from dlopt import runtime
from dlopt.normalization import BatchNormalization
from dlopt.training import Loss

__all__ = ["Along", "NoisyBatchNormalization", "along_the_gradient", "internal_covariate_shift"]


class NoisyBatchNormalization(BatchNormalization):
    """Batch normalization with its output blurred while training: s_ij a_ij + m_ij for sample i and feature j.

    In every forward pass each feature j draws a new distribution: μ_j from U(-½, ½) for the shift and σ_j from
    U(1, 1 + spread) for the scale; then each sample draws m_ij from U(μ_j - 0.1, μ_j + 0.1) and s_ij from
    N(σ_j, 0.1²).  So the features' distributions change at random from step to step, for good: covariate shift,
    put back on purpose, in the manner of Santurkar et al. 2018 (the sizes are ours).

    Args:
        shape: (c,) or (members, c).
        spread: 0.25 makes the scale at most a quarter too large on average.
        seed: of the noise.
    """

    def __init__(self, shape: tuple[int, ...], *, spread: float = 0.25, seed: int = 0, **options) -> None:
        super().__init__(shape, **options)
        self.spread, self.generator = spread, runtime.generator(seed)

    def forward(self, h: Tensor) -> Tensor:
        """Normalize h, (members…, n, c), and blur the result while training."""
        out = super().forward(h)
        if not self.training:
            return out
        feature = out[..., :1, :].shape
        shift = self._uniform(feature) - 0.5 + 0.2 * (self._uniform(out.shape) - 0.5)
        scale = 1 + self.spread * self._uniform(feature) + 0.1 * self._normal(out.shape)
        return scale.to(out) * out + shift.to(out)

    def _uniform(self, shape: tuple[int, ...]) -> Tensor:
        return torch.rand(shape, generator=self.generator)

    def _normal(self, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=self.generator)


class Along(NamedTuple):
    """What happens on the way θ - t ∇F(θ), for every t."""

    losses: Tensor
    """F(θ - t ∇F(θ)), (points,) or (points, members)."""
    gradient_changes: Tensor
    """‖∇F(θ - t ∇F(θ)) - ∇F(θ)‖, likewise."""
    gradient_norm: Tensor
    """‖∇F(θ)‖, () or (members,)."""
    smoothness: Tensor
    """The largest ‖∇F(θ - t∇F) - ∇F(θ)‖ / (t ‖∇F(θ)‖): what stands for the gradient's Lipschitz constant."""


def along_the_gradient(model: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss, steps: Tensor) -> Along:
    """Loss and gradient on the way of one long step, as in Santurkar et al. 2018.

    Args:
        model: the network, with members or one.
        inputs, targets: the batch.
        loss: a value for each member.
        steps: the numbers t, (points,), positive.
    """
    _, gradients = _gradients(model, dict(model.named_parameters()), inputs, targets, loss)
    norm = _norm(gradients.values(), model)
    losses, changes = [], []
    for t in steps.tolist():
        moved = {name: p - t * gradients[name] for name, p in model.named_parameters()}
        value, there = _gradients(model, moved, inputs, targets, loss)
        losses.append(value)
        changes.append(_norm([there[name] - gradients[name] for name in gradients], model))
    changes = torch.stack(changes)
    ratio = changes / (steps.to(changes).view(-1, *[1] * norm.ndim) * norm)
    return Along(torch.stack(losses), changes, norm, ratio.amax(0))


def internal_covariate_shift(
    model: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss, step: float
) -> Tensor:
    """‖G_l - G'_l‖ / ‖G_l‖ for every layer l: the shift of Santurkar et al. 2018, relative to ‖G_l‖.

    G_l is the gradient with respect to W^l; G'_l is the same gradient after the layers below l, and they alone,
    have made their gradient step.  It measures how far they pull the target away from under layer l.

    Args:
        model: a network of :mod:`dlopt.models`.
        inputs, targets: the batch.
        loss: a value for each member.
        step: η of the gradient step.

    Returns:
        (L,) or (L, members); 0 for the first layer, unless the network is noisy.
    """
    start = {name: p.detach() for name, p in model.named_parameters()}
    _, gradients = _gradients(model, start, inputs, targets, loss)
    shifts = []
    for layer in range(model.depth):
        mixed = {
            name: p - step * gradients[name] if int(name.split(".")[1]) < layer else p
            for name, p in start.items()
        }
        _, after = _gradients(model, mixed, inputs, targets, loss)
        name = f"weights.{layer}"
        shifts.append(_norm([after[name] - gradients[name]], model) / _norm([gradients[name]], model))
    return torch.stack(shifts)


def _gradients(
    model: nn.Module, parameters: dict[str, Tensor], inputs: Tensor, targets: Tensor, loss: Loss
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss and gradients at other parameters, in training mode; running averages are left as they were."""
    leaves = {name: p.detach().requires_grad_() for name, p in parameters.items()}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    values = loss(functional_call(model, (leaves, buffers), (inputs,)), targets)
    return values.detach(), dict(zip(leaves, torch.autograd.grad(values.sum(), leaves.values()), strict=True))


def _norm(tensors, model: nn.Module) -> Tensor:
    """Euclidean norm over all the tensors, for each member."""
    members = getattr(model, "members", None)
    squares = [t.square().sum() if members is None else t.square().flatten(1).sum(1) for t in tensors]
    return torch.stack(squares).sum(0).sqrt()
