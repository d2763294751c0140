"""Spurious valleys of a population risk: regions that no path leaves towards a global minimum without a rise.

A network of m ReLU neurons with Gaussian inputs in the plane is f(x) = Σ_i a_i φ(wᵢᵀx) with unit vectors w_i at the
angles ψ_i.  Its risk is convex in the output weights a, so that a path can follow the best a for its angles: the
sublevel sets of F have as many connected components as those of

    G(ψ) = min_a F(ψ, a),

a function on a torus of m dimensions, which for m ≤ 2 can be searched exhaustively.
"""

from __future__ import annotations

import heapq
import math

import numpy as np
import torch
from torch import Tensor

from dlopt.arc_cosine import relu_products

__all__ = ["directions", "pass_height", "reduced_risk"]


def directions(angles: Tensor) -> Tensor:
    """(cos ψ, sin ψ), (…, 2), for angles (…)."""
    return torch.stack([angles.cos(), angles.sin()], dim=-1)


def reduced_risk(angles: Tensor, teacher: Tensor, teacher_outputs: Tensor) -> Tensor:
    """G(ψ) = min_a ½ E (Σ_i a_i φ(w_iᵀx) - Σ_j b_j φ(v_jᵀx))² for x from N(0, I_2) and φ = ReLU, (…).

    With K = E φφᵀ of the student, k = E φ Σ_j b_j φ_j and t = E (Σ_j b_j φ_j)² it is ½ (t - kᵀ K⁻¹ k).

    Args:
        angles: ψ, (…, m), no two of a student equal.
        teacher: v, (k, 2).
        teacher_outputs: b, (k,).
    """
    student = directions(angles)
    own = relu_products(student, student)
    cross = relu_products(student, teacher) @ teacher_outputs
    target = teacher_outputs @ relu_products(teacher, teacher) @ teacher_outputs
    explained = (cross * torch.linalg.solve(own, cross)).sum(dim=-1)
    return (target - explained) / 2


def pass_height(values: np.ndarray, start: tuple[int, ...], goals: np.ndarray) -> float:
    """The lowest level at which a path on a periodic grid joins ``start`` to one of the goals.

    It is the minimum over all paths of the largest value on the path, found by always going on from the lowest
    grid point that has been reached (Dijkstra's algorithm with the maximum in place of the sum).  Steps lead to
    all neighbors, diagonal ones included.

    Args:
        values: G at the points of a grid that is periodic in every axis.
        start: index of the first point.
        goals: truth values of the same shape, at least one of them True.

    Raises:
        ValueError: there is no goal.
    """
    if not goals.any():
        raise ValueError("no grid point is a goal.")
    steps = [tuple(np.subtract(index, 1)) for index in np.ndindex(*[3] * values.ndim)]
    seen = np.zeros(values.shape, dtype=bool)
    seen[start] = True
    reached, height = [(float(values[start]), start)], -math.inf
    while True:
        value, point = heapq.heappop(reached)
        height = max(height, value)
        if goals[point]:
            return height
        for step in steps:
            neighbor = tuple((i + d) % n for i, d, n in zip(point, step, values.shape, strict=True))
            if not seen[neighbor]:
                seen[neighbor] = True
                heapq.heappush(reached, (float(values[neighbor]), neighbor))
