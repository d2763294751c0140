"""Classification by quadratic neurons, f(x) = c + Σ_j a_j (w_jᵀx)², all weights free, and a smooth hinge loss.

Whether the loss has bad local minima is a question about the data alone: can the classes be separated by an ellipsoid
around the origin, with either class inside?
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from scipy.optimize import linprog
from torch import Tensor

from dlopt import runtime

__all__ = [
    "Classifier", "annuli", "balanced_matrix", "centered_ellipse", "crossed_strips", "gradient", "gradient_descent",
    "loss", "predictions", "random_classifiers",
]  # fmt: skip


class Classifier(NamedTuple):
    """The weights of one network, or of many."""

    bias: Tensor
    """c, (…)."""
    outputs: Tensor
    """a, (…, m)."""
    weights: Tensor
    """w_j as rows, (…, m, d)."""


def random_classifiers(count: int, neurons: int, dimension: int, *, seed: int) -> Classifier:
    """c = 0, entries of a N(0, 1), entries of W N(0, 1/d)."""
    generator = runtime.generator(seed)
    a = torch.randn(count, neurons, generator=generator, dtype=torch.float64)
    w = torch.randn(count, neurons, dimension, generator=generator, dtype=torch.float64)
    device = runtime.device()
    return Classifier(a.new_zeros(count).to(device), a.to(device), (w / math.sqrt(dimension)).to(device))


def predictions(model: Classifier, inputs: Tensor) -> Tensor:
    """f(x_i), (…, n), for inputs (n, d)."""
    squares = (inputs @ model.weights.mT).square()
    return model.bias[..., None] + (squares @ model.outputs[..., None])[..., 0]


def loss(model: Classifier, inputs: Tensor, labels: Tensor) -> Tensor:
    """(1/n) Σ_i max(0, 1 − y_i f(x_i))³, (…), for labels y in {−1, 1}, (n,): convex in f and differentiable twice."""
    return (1 - labels * predictions(model, inputs)).clamp(min=0).pow(3).mean(dim=-1)


def gradient(model: Classifier, inputs: Tensor, labels: Tensor) -> Classifier:
    """∂/∂c = Σ_i g_i, ∂/∂a_j = Σ_i g_i (w_jᵀx_i)², ∂/∂w_j = 2 a_j Σ_i g_i (w_jᵀx_i) x_i with g_i = ∂loss/∂f(x_i)."""
    short = (1 - labels * predictions(model, inputs)).clamp(min=0)
    g = -3 * labels * short.square() / len(inputs)
    images = inputs @ model.weights.mT
    by_output = (g[..., None, :] @ images.square())[..., 0, :]
    by_weight = 2 * model.outputs[..., None] * ((g[..., None] * images).mT @ inputs)
    return Classifier(g.sum(dim=-1), by_output, by_weight)


def gradient_descent(
    start: Classifier, inputs: Tensor, labels: Tensor, *, step_size: float, steps: int
) -> Classifier:
    """All weights, each network on its own: θ ← θ − η ∇F."""
    model = start
    for _ in range(steps):
        slope = gradient(model, inputs, labels)
        model = Classifier(*(now - step_size * g for now, g in zip(model, slope, strict=True)))
    return model


def balanced_matrix(inputs: Tensor, labels: Tensor, multipliers: Tensor | None = None) -> Tensor:
    """Σ_i λ_i y_i x_i x_iᵀ, (d, d), with λ ≥ 0 scaled to sum to 1 in either class; None for equal multipliers."""
    weight = torch.ones_like(labels) if multipliers is None else multipliers
    shares = sum((labels == side) * weight / weight[labels == side].sum() for side in (1, -1))
    return inputs.mT @ ((shares * labels)[:, None] * inputs)


def centered_ellipse(inputs: Tensor, labels: Tensor, inside: int) -> tuple[Tensor, float, float]:
    """The ellipse xᵀPx = ρ that separates the classes in the plane with the largest margin t.

    xᵀPx ≤ ρ − t for the class inside and ≥ ρ + t for the other, P ⪰ 0 with trace 1: a linear program over
    P = Σ_k p_k u_k u_kᵀ, p ≥ 0, with 180 directions u_k.

    Args:
        inputs: (n, 2).
        labels: in {−1, 1}, (n,).
        inside: the label of the class inside.

    Returns:
        P, ρ and t; the classes cannot be separated so if t ≤ 0.

    Raises:
        ValueError: the inputs are not in the plane.
    """
    if inputs.shape[1] != 2:
        raise ValueError(f"the inputs must lie in the plane, not in {inputs.shape[1]} dimensions.")
    angles = torch.arange(180, dtype=inputs.dtype) * math.pi / 180
    directions = torch.stack([angles.cos(), angles.sin()], dim=-1)
    sign = inside * labels.cpu()[:, None]
    squares = sign * (inputs.cpu() @ directions.mT).square()
    limits = torch.cat([squares, -sign, torch.ones_like(sign)], dim=1).numpy()
    solved = linprog(
        [0] * 181 + [-1],
        A_ub=limits,
        b_ub=[0] * len(inputs),
        A_eq=[[1] * 180 + [0, 0]],
        b_eq=[1],
        bounds=[(0, None)] * 180 + [(None, None)] * 2,
    )
    weights = torch.as_tensor(solved.x[:180])
    matrix = (directions.mT * weights) @ directions
    return matrix.to(inputs), float(solved.x[180]), float(solved.x[181])


def annuli(per_class: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Two rings around the origin, label 1 outside (radius 1.4 to 2) and −1 inside (0.4 to 1): inputs and labels."""
    generator = runtime.generator(seed)
    radius, angle = torch.rand(2, 2 * per_class, generator=generator, dtype=torch.float64)
    labels = torch.ones_like(radius)
    labels[per_class:] = -1
    radius = 0.6 * radius + torch.where(labels > 0, 1.4, 0.4)
    inputs = radius[:, None] * torch.stack([(2 * math.pi * angle).cos(), (2 * math.pi * angle).sin()], dim=-1)
    return inputs.to(runtime.device()), labels.to(runtime.device())


def crossed_strips(per_class: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Label 1 in two strips to the left and right of the origin, −1 above and below: inputs and labels."""
    generator = runtime.generator(seed)
    along, across, side = torch.rand(3, 2 * per_class, generator=generator, dtype=torch.float64)
    along, across = (0.8 + 1.2 * along) * (2 * (side > 0.5) - 1), 0.8 * across - 0.4
    labels = torch.ones_like(along)
    labels[per_class:] = -1
    inputs = torch.stack([along, across], dim=-1)
    inputs[per_class:] = inputs[per_class:].flip(-1)
    return inputs.to(runtime.device()), labels.to(runtime.device())
