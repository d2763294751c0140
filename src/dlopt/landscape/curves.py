"""Parametric curves between two points of parameter space, trained so that the loss on them is low on average.

A curve is φ(t) = Σ_j w_j(t) θ_j: knots θ_0, …, θ_K, the first and the last fixed, and weights that sum to 1.
Bernstein polynomials make it a Bézier curve, hat functions a polygonal chain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from dlopt import runtime
from dlopt.landscape.parameter_space import losses
from dlopt.training import Loss, Stepper

__all__ = ["Weights", "bernstein", "hat", "train_curve"]

Weights = Callable[[Tensor, int], Tensor]
"""Maps t, (m,), and K to the weights w_0(t), …, w_K(t), (m, K + 1)."""


def bernstein(t: Tensor, degree: int) -> Tensor:
    """w_j(t) = C(K, j) (1 - t)^{K - j} t^j, (m, K + 1): the Bézier curve of degree K."""
    j = torch.arange(degree + 1, device=t.device)
    binomials = t.new_tensor([math.comb(degree, k) for k in range(degree + 1)])
    return binomials * (1 - t[:, None]) ** (degree - j) * t[:, None] ** j


def hat(t: Tensor, segments: int) -> Tensor:
    """w_j(t) = max(0, 1 - abs(K t - j)), (m, K + 1): the chain of K straight pieces, each taking 1/K of the time."""
    j = torch.arange(segments + 1, dtype=t.dtype, device=t.device)
    return (1 - (segments * t[:, None] - j).abs()).clamp_min(0)


def train_curve(
    model: nn.Module,
    ends: Tensor,
    inputs: Tensor,
    targets: Tensor,
    loss: Loss,
    *,
    weights: Weights = bernstein,
    bends: int = 1,
    steps: int,
    optimizer: Callable[[Iterable[Tensor]], Stepper],
    batch_size: int,
    seed: int,
) -> Tensor:
    """Minimizes E_{t ~ U(0,1)} F(φ(t)) over the inner knots, for several pairs at once: all knots, (pairs, K + 1, P).

    A step draws one t for each pair and one mini-batch for all, and differentiates the loss of the networks φ(t).
    The knots start on the straight line.

    Args:
        model: the network, without members.
        ends: θ_0 and θ_K of each pair, (pairs, 2, P).
        inputs: (n, …).
        targets: as ``loss`` takes them.
        loss: as in :mod:`dlopt.training`.
        weights: :func:`bernstein` or :func:`hat`.
        bends: K - 1, the inner knots.
        steps: number of updates.
        optimizer: makes an optimizer from the list of trained tensors.
        batch_size: samples in a mini-batch.
        seed: of the draws of t and of the mini-batches.

    Source: Garipov et al., "Loss surfaces, mode connectivity, and fast ensembling of DNNs" (2018), equation (2).
    """
    generator = runtime.generator(seed)
    line = torch.linspace(0, 1, bends + 2, dtype=ends.dtype, device=ends.device)
    knots = torch.lerp(ends[:, :1], ends[:, 1:], line[:, None])
    inner = knots[:, 1:-1].clone().requires_grad_()
    update = optimizer([inner])
    for _ in range(steps):
        t = torch.rand(len(ends), generator=generator).to(ends)
        batch = torch.randint(len(inputs), (batch_size,), generator=generator).to(inputs.device)
        curve = torch.cat([ends[:, :1], inner, ends[:, 1:]], dim=1)
        points = (weights(t, bends + 1)[:, None] @ curve).squeeze(1)
        value = losses(model, points, inputs[batch], targets[batch], loss).sum()
        (inner.grad,) = torch.autograd.grad(value, [inner])
        update.step()
    return torch.cat([ends[:, :1], inner.detach(), ends[:, 1:]], dim=1)
