"""Randomized coordinate descent on quadratics: minimize F along one coordinate, drawn at random, and again.

A step costs the d-th part of a full gradient, so d steps are one epoch.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

from dlopt import runtime
from dlopt.algorithms.compiled import array, indices
from dlopt.algorithms.finite_sums import LinearModel, Quadratic, Run
from dlopt.algorithms.mean_square import RandomAffineMap

__all__ = [
    "coordinate_curvatures",
    "coordinate_descent",
    "coordinates",
    "energy_map",
    "worst_expected_factor",
]


def coordinate_curvatures(problem: Quadratic | LinearModel) -> Tensor:
    """H_jj for every coordinate, shape (d,): (1/n) Σ_i x_ij² + λ for least squares.

    Raises:
        ValueError: the loss is not squared.
    """
    if isinstance(problem, Quadratic):
        return problem.hessian.diagonal()
    if problem.loss != "squared":
        raise ValueError(
            f"coordinate descent minimizes along a line in one step, which the {problem.loss} loss forbids."
        )
    return problem.inputs.square().mean(dim=0) + problem.ridge


def coordinates(weights: Tensor, steps: int, *, members: int = 1, seed: int = 0) -> Tensor:
    """Coordinates drawn independently with probabilities proportional to ``weights`` of shape (d,).

    Equal weights draw uniformly; the H_jj of :func:`coordinate_curvatures` are what the rate κ_D asks for.

    Returns:
        Indices in 0, …, d − 1, shape (members, steps).
    """
    rows = weights.cpu().expand(members, -1)
    return torch.multinomial(rows, steps, replacement=True, generator=runtime.generator(seed))


def coordinate_descent(
    problem: Quadratic | LinearModel, start: Tensor, order: Tensor, *, every: int | None = None
) -> Run:
    """θ_j ← θ_j − (∇F(θ))_j / H_jj for the coordinates j of ``order``, one after the other.

    The gradient H(θ − θ*) is kept up to date on a :class:`Quadratic` (d operations a step), the residual Xθ − y on
    least squares (n operations a step).

    Args:
        problem: a quadratic: a :class:`Quadratic`, or a :class:`LinearModel` with the squared loss.
        start: θ_0, shape (d,) or (members, d).
        order: the coordinate of each step, shape (members, steps); see :func:`coordinates`.
        every: record every so many steps; d, an epoch, when absent.

    Returns:
        The run, with members on the second axis.

    Raises:
        ValueError: the loss is not squared, or the order names a coordinate that is not there.

    Source: Leventhal and Lewis, "Randomized methods for linear constraints", 2010; Nesterov 2012.
    """
    d = problem.dimension
    every = every or d
    curvatures = array(coordinate_curvatures(problem))
    picked = indices(order, d)
    start = start.expand(len(picked), d)
    theta = array(start).copy()
    if isinstance(problem, Quadratic):
        gradients = array(problem.gradient(start)).copy()
        iterates = _by_gradient(array(problem.hessian), curvatures, theta, gradients, picked, every)
    else:
        residuals = array(start @ problem.inputs.mT - problem.targets).copy()
        columns = array(problem.inputs.mT)
        iterates = _by_residual(columns, problem.ridge, curvatures, theta, residuals, picked, every)
    thetas = torch.from_numpy(iterates).to(start)
    work = problem.samples * every / d * torch.arange(len(thetas)).to(thetas)
    return Run(thetas, problem.value(thetas), work, problem.samples)


def energy_map(hessian: Tensor, probabilities: Tensor) -> RandomAffineMap:
    """A step as a random projection of w = H^{1/2}(θ − θ*), for which F = ½ ‖w‖².

    Coordinate j applies I − u_j u_jᵀ with u_j = H^{1/2} e_j / √H_jj.  Kaczmarz's method, which is SGD with step size
    1/‖x_i‖² on a realizable problem, applies I − u_i u_iᵀ with u_i = x_i / ‖x_i‖: the same map for the rows of X that
    this one is for its columns.

    Args:
        hessian: H, shape (d, d).
        probabilities: p_j, shape (d,).
    """
    values, vectors = torch.linalg.eigh(hessian)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.mT
    units = root / root.norm(dim=0)
    identity = torch.eye(len(hessian)).to(hessian)
    return RandomAffineMap(
        identity - units.mT.unsqueeze(2) * units.mT.unsqueeze(1), probabilities=probabilities
    )


def worst_expected_factor(step: RandomAffineMap) -> Tensor:
    """max E‖A w‖² / ‖w‖², the largest eigenvalue of E[AᵀA]: what one step leaves of F on average, at worst."""
    weights = step.probabilities
    each = step.matrices.mT @ step.matrices
    mean = each.mean(dim=-3) if weights is None else (weights[:, None, None] * each).sum(dim=-3)
    return torch.linalg.eigvalsh(mean)[..., -1]


@numba.njit
def _by_gradient(hessian, curvatures, theta, gradients, order, every):
    members, steps = order.shape
    d = len(hessian)
    recorded = np.empty((steps // every + 1, members, d))
    recorded[0] = theta
    for member in range(members):
        for t in range(steps):
            j = order[member, t]
            change = -gradients[member, j] / curvatures[j]
            theta[member, j] += change
            for k in range(d):
                gradients[member, k] += change * hessian[j, k]
            if (t + 1) % every == 0:
                recorded[(t + 1) // every, member] = theta[member]
    return recorded


@numba.njit
def _by_residual(columns, ridge, curvatures, theta, residuals, order, every):
    members, steps = order.shape
    d, n = columns.shape
    recorded = np.empty((steps // every + 1, members, d))
    recorded[0] = theta
    for member in range(members):
        for t in range(steps):
            j = order[member, t]
            slope = 0.0
            for i in range(n):
                slope += columns[j, i] * residuals[member, i]
            change = -(slope / n + ridge * theta[member, j]) / curvatures[j]
            theta[member, j] += change
            for i in range(n):
                residuals[member, i] += change * columns[j, i]
            if (t + 1) % every == 0:
                recorded[(t + 1) // every, member] = theta[member]
    return recorded
