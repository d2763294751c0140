"""Conjugate gradients: on a quadratic, the best point that t gradients can name, for one product with H a step."""

from __future__ import annotations

import torch
from torch import Tensor

from dlopt.algorithms.finite_sums import LinearModel, Quadratic, Run

__all__ = ["conjugate_gradients", "hessian_product"]


def conjugate_gradients(objective: Quadratic | LinearModel, start: Tensor, steps: int) -> Run:
    """θ_t minimizes F over θ_0 + span(g, Hg, …, H^{t−1}g) with g = ∇F(θ_0).

    A step costs one product with H, that is one epoch.  A member that has arrived stays where it is.

    Args:
        objective: a quadratic: a :class:`Quadratic`, or a :class:`LinearModel` with the squared loss.
        start: θ_0, shape (…, d).
        steps: how many.

    Returns:
        The run, every iterate recorded; its members have the start's leading axes.

    Raises:
        ValueError: the objective is no quadratic.

    Source: Hestenes and Stiefel 1952; Nocedal and Wright, "Numerical optimization", 2006, algorithm 5.2.
    """
    theta, iterates = start, [start]
    residual = -objective.gradient(start)
    direction, squared = residual, _inner(residual, residual)
    for _ in range(steps):
        image = hessian_product(objective, direction)
        alpha = _ratio(squared, _inner(direction, image))
        theta = torch.addcmul(theta, alpha, direction)
        residual = torch.addcmul(residual, alpha, image, value=-1)
        before, squared = squared, _inner(residual, residual)
        direction = torch.addcmul(residual, _ratio(squared, before), direction)
        iterates.append(theta)
    recorded = torch.stack(iterates)
    work = objective.samples * torch.arange(steps + 1, device=start.device)
    return Run(recorded, objective.value(recorded), work, objective.samples)


def hessian_product(objective: Quadratic | LinearModel, direction: Tensor) -> Tensor:
    """H p, shape (…, d) to (…, d): for least squares (1/n) Xᵀ(X p) + λp, without ever forming H.

    Raises:
        ValueError: the objective has no constant Hessian.
    """
    if isinstance(objective, Quadratic):
        return direction @ objective.hessian
    if objective.loss != "squared":
        raise ValueError(f"the {objective.loss} loss makes no quadratic: its Hessian is not constant.")
    images = direction @ objective.inputs.mT
    return images @ objective.inputs / objective.samples + objective.ridge * direction


def _inner(u: Tensor, v: Tensor) -> Tensor:
    """uᵀv over the last axis, which is kept with length 1."""
    return torch.linalg.vecdot(u, v).unsqueeze(-1)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """above / below, and 0 where both have vanished."""
    return above / below.clamp(min=torch.finfo(below.dtype).tiny)
