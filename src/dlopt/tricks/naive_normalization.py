"""Two ways to normalize pre-activations outside the graph, and why both fail.

Source: Ioffe & Szegedy 2015, section 2 (the bias that grows without bound); section 4.3 of the survey (normalizing
after each step).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from dlopt.models import FullyConnected
from dlopt.normalization import BatchNormalization

__all__ = [
    "BiasRun",
    "DetachedBatchNormalization",
    "RenormalizingDescent",
    "learn_a_bias",
    "renormalize",
]


class BiasRun(NamedTuple):
    """The bias and the loss at every step, each (steps + 1,)."""

    bias: Tensor
    loss: Tensor


def learn_a_bias(u: Tensor, targets: Tensor, step: float, steps: int, *, in_graph: bool) -> BiasRun:
    """Gradient descent on b for the output x̂ = u + b - mean(u + b) and the loss ½ mean((x̂ - y)²).

    The output does not depend on b at all.  With the mean in the graph the gradient knows this and is zero;
    without, it is mean(x̂ - y), and b moves by the same amount at every step.

    Args:
        u, targets: (n,).
        step: η.
        steps: how many.
        in_graph: whether the gradient passes through the mean.
    """
    b, biases, losses = torch.zeros((), dtype=u.dtype), [], []
    for _ in range(steps + 1):
        b.requires_grad_()
        x = u + b
        mean = x.mean() if in_graph else x.mean().detach()
        loss = 0.5 * (x - mean - targets).square().mean()
        (gradient,) = torch.autograd.grad(loss, b)
        biases.append(b.detach())
        losses.append(loss.detach())
        b = b.detach() - step * gradient
    return BiasRun(torch.stack(biases), torch.stack(losses))


class DetachedBatchNormalization(BatchNormalization):
    """Batch normalization that takes μ and σ for constants in the backward pass: it forgets that they move."""

    def forward(self, h: Tensor) -> Tensor:
        """Normalize h, (members…, n, c)."""
        if not self.training:
            return super().forward(h)
        with torch.no_grad():
            mean = h.mean(-2, keepdim=True)
            deviation = (h.var(-2, correction=0, keepdim=True) + self.epsilon).sqrt()
        return self._scaled((h - mean) / deviation)


@torch.no_grad()
def renormalize(model: FullyConnected, inputs: Tensor) -> None:
    """Change W^l and b^l, l < L, so that each pre-activation has mean 0 and variance 1 over ``inputs``.

    Row i of W^l is divided by the deviation of h^l_i and b^l_i is set to shift its mean to 0, layer after layer.

    Args:
        model: a network with biases.
        inputs: (n, d_0).
    """
    z = model._inputs(inputs)
    for layer in range(1, model.depth):
        h = model._linear(layer, z)
        deviation, mean = h.std(-2, correction=0).clamp(min=1e-12), h.mean(-2)
        model.weights[layer - 1].div_(deviation.unsqueeze(-1))
        model.biases[layer - 1].sub_(mean).div_(deviation)
        z = model.activation((h - mean.unsqueeze(-2)) / deviation.unsqueeze(-2))


class RenormalizingDescent:
    """An optimizer for :func:`dlopt.training.train`: a gradient step, then :func:`renormalize`.

    Args:
        model: a network with biases.
        inputs: over which pre-activations are normalized.
        step: η.
    """

    def __init__(self, model: FullyConnected, inputs: Tensor, step: float) -> None:
        self.model, self.inputs, self.step_size = model, inputs, step

    def __call__(self, parameters: Iterable[Tensor]) -> RenormalizingDescent:
        self.parameters = list(parameters)
        return self

    @torch.no_grad()
    def step(self) -> None:
        """One update."""
        for parameter in self.parameters:
            parameter.sub_(self.step_size * parameter.grad)
        renormalize(self.model, self.inputs)
