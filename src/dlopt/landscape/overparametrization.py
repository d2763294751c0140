"""Gradient descent on more parameters than samples: f_W(x) = Σ_j v_j φ(w_jᵀx) with the outputs v_j fixed.

    F(W) = ½ Σ_i (f_W(x_i) − y_i)² over n samples, md parameters.

Networks of several widths can share one batch: a neuron with v_j = 0 takes no part.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from dlopt import runtime
from dlopt.models import Activation, as_activation

__all__ = [
    "Descent", "descend", "jacobian", "nearest_solution", "outputs", "random_network", "sphere_points",
]  # fmt: skip


class Descent(NamedTuple):
    """A run of gradient descent, for each member."""

    loss: Tensor
    """F, (points, members)."""
    weights: Tensor
    """W at the end, (members, m, d)."""
    length: Tensor
    """Length of the path Σ_t ‖W_{t+1} − W_t‖_F, (members,)."""


def sphere_points(*shape: int, seed: int) -> Tensor:
    """Points that are uniform on the unit sphere of the last axis."""
    draw = torch.randn(*shape, generator=runtime.generator(seed), dtype=torch.float64)
    return (draw / draw.norm(dim=-1, keepdim=True)).to(runtime.device())


def random_network(members: int, width: int, d: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """W with entries from N(0, 1), (members, m, d), and v = (1, …, 1, −1, …, −1)/√m, (members, m)."""
    weights = torch.randn(members, width, d, generator=runtime.generator(seed), dtype=torch.float64)
    signs = torch.cat([torch.ones(width - width // 2), -torch.ones(width // 2)]) / math.sqrt(width)
    return weights.to(runtime.device()), signs.to(weights).expand(members, width).to(runtime.device())


def outputs(inputs: Tensor, weights: Tensor, readout: Tensor, activation: Activation) -> Tensor:
    """f_W(x), (members, n), for inputs (members, n, d), W (members, m, d) and v (members, m)."""
    return (activation(inputs @ weights.mT) @ readout[..., None])[..., 0]


def jacobian(inputs: Tensor, weights: Tensor, readout: Tensor, activation: str | Activation) -> Tensor:
    """J = ∂f/∂W, (members, n, md): row i holds the v_j φ'(w_jᵀx_i) x_i."""
    slopes = as_activation(activation).derivative(inputs @ weights.mT) * readout[..., None, :]
    return (slopes[..., None] * inputs[..., None, :]).flatten(-2)


def descend(
    inputs: Tensor,
    targets: Tensor,
    weights: Tensor,
    readout: Tensor,
    *,
    activation: str | Activation,
    step_size: float | Tensor,
    steps: int,
    every: int = 1,
) -> Descent:
    """Gradient descent on F from W, outputs fixed.

    Args:
        inputs: (members, n, d).
        targets: (members, n).
        weights: W, (members, m, d).
        readout: v, (members, m).
        activation: φ.
        step_size: η, one for all or one for each member.
        steps: how many.
        every: which losses are kept; the first always is.
    """
    activation = as_activation(activation)
    eta = torch.as_tensor(step_size).to(weights).reshape(-1, 1, 1)
    losses, length = [], weights.new_zeros(len(weights))
    for step in range(steps + 1):
        h = inputs @ weights.mT
        residual = (activation(h) @ readout[..., None])[..., 0] - targets
        if step % every == 0:
            losses.append(residual.square().sum(dim=-1) / 2)
        if step < steps:
            change = eta * ((activation.derivative(h) * residual[..., None]).mT @ inputs) * readout[..., None]
            weights = weights - change
            length = length + change.flatten(-2).norm(dim=-1)
    return Descent(torch.stack(losses), weights, length)


def nearest_solution(
    inputs: Tensor,
    targets: Tensor,
    weights: Tensor,
    readout: Tensor,
    *,
    activation: str | Activation,
    steps: int,
) -> Tensor:
    """A solution of f_W(x) = y that is nearest to W_0 to first order, (members, m, d).

    W ← W_0 + J⁺(y − f_W + J(W − W_0)): the nearest point of the linearized solution set, again and again.  Where it
    settles, W − W_0 lies in the row space of J at W: the condition for a nearest solution.
    """
    activation, current = as_activation(activation), weights
    for _ in range(steps):
        j = jacobian(inputs, current, readout, activation)
        moved = (current - weights).flatten(-2)
        wanted = targets - outputs(inputs, current, readout, activation) + (j @ moved[..., None])[..., 0]
        current = weights + (torch.linalg.pinv(j) @ wanted[..., None])[..., 0].reshape(weights.shape)
    return current
