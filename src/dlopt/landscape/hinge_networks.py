"""ReLU networks with one hidden layer, biases and the hinge loss: a function made of multilinear pieces.

F = (1/n) Σ_i max(0, 1 − y_i f(x_i)), f(x) = c + Σ_j a_j φ(w_jᵀx + b_j).  As long as no neuron switches and no sample
crosses its margin, F is a polynomial in which each weight has degree one at most: its Laplacian is 0.  The value of
such a function is its mean over every small sphere around the point, so a minimum inside a piece is flat.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from scipy.optimize import linprog
from torch import Tensor

__all__ = ["Network", "distance_to_kink", "hinge", "minimize_blocks", "outputs"]


class Network(NamedTuple):
    """Weights; a leading axis holds many networks."""

    bias: Tensor
    """c, (…)."""
    outer: Tensor
    """a, (…, m)."""
    inner: Tensor
    """(w_j, b_j) as rows, (…, m, d + 1)."""


def outputs(network: Network, inputs: Tensor) -> Tensor:
    """f(x_i), (…, n), for inputs (x_i, 1), (n, d + 1)."""
    neurons = torch.relu(inputs @ network.inner.mT)
    return network.bias[..., None] + (neurons @ network.outer[..., None])[..., 0]


def hinge(network: Network, inputs: Tensor, labels: Tensor) -> Tensor:
    """F, (…,), for labels ±1, (n,)."""
    return (1 - labels * outputs(network, inputs)).clamp(min=0).mean(dim=-1)


def distance_to_kink(network: Network, inputs: Tensor, labels: Tensor) -> Tensor:
    """The smallest of |w_jᵀx_i + b_j| with a_j ≠ 0 and |1 − y_i f(x_i)|, (…,): 0 where F may have no derivative."""
    preactivations = (inputs @ network.inner.mT).abs()
    counted = torch.where(network.outer[..., None, :] != 0, preactivations, torch.inf)
    margins = (1 - labels * outputs(network, inputs)).abs()
    return torch.minimum(counted.flatten(-2).amin(dim=-1), margins.amin(dim=-1))


def _least_hinge(features: Tensor, labels: Tensor, sides: Tensor | None, radius: float) -> Tensor:
    """θ with the smallest mean hinge of the outputs ``features @ θ``, |θ_k| ≤ radius and ``sides @ θ ≥ 0``."""
    n, p = features.shape
    signed = labels[:, None] * features
    limits = torch.cat([-signed, -torch.eye(n).to(features)], dim=1)
    right = [-1.0] * n
    if sides is not None:
        limits = torch.cat([limits, torch.cat([-sides, sides.new_zeros(len(sides), n)], dim=1)])
        right += [0.0] * len(sides)
    solved = linprog(
        [0.0] * p + [1.0 / n] * n,
        A_ub=limits.cpu().numpy(),
        b_ub=right,
        bounds=[(-radius, radius)] * p + [(0, None)] * n,
        method="highs-ds",
    )
    return torch.as_tensor(solved.x[:p]).to(features)


def minimize_blocks(
    network: Network, inputs: Tensor, labels: Tensor, *, rounds: int, radius: float
) -> Network:
    """Alternates two linear programs: outer weights with the inner ones fixed, and the reverse within the pattern.

    Each ends at a vertex, so that kinks are reached exactly.  The loss never rises.

    Args:
        network: one network.
        inputs: (x_i, 1), (n, d + 1).
        labels: ±1, (n,).
        rounds: how many of each.
        radius: bound on every weight.
    """
    c, a, w = network
    m, d = w.shape
    for _ in range(rounds):
        neurons = torch.relu(inputs @ w.mT)
        solution = _least_hinge(
            torch.cat([torch.ones_like(neurons[:, :1]), neurons], dim=1), labels, None, radius
        )
        c, a = solution[0], solution[1:]
        signs = (inputs @ w.mT > 0).to(inputs.dtype)
        features = ((signs * a)[..., None] * inputs[:, None, :]).flatten(1)
        sides = torch.zeros(m * len(inputs), m * d).to(inputs)
        for j in range(m):
            rows = slice(j * len(inputs), (j + 1) * len(inputs))
            sides[rows, j * d : (j + 1) * d] = (2 * signs[:, j, None] - 1) * inputs
        with_constant = torch.cat([torch.ones_like(neurons[:, :1]), features], dim=1)
        sides = torch.cat([torch.zeros_like(sides[:, :1]), sides], dim=1)
        solution = _least_hinge(with_constant, labels, sides, radius)
        c, w = solution[0], solution[1:].unflatten(0, (m, d))
    return Network(c, a, w)
