"""A student learns from a teacher: two-layer ReLU networks under gradient descent on the population loss.

The loss over Gaussian inputs has a closed form (:mod:`dlopt.arc_cosine`), so there is neither sampling noise nor a
test set, and one can watch which student node comes to do the work of which teacher node.

Source: Tian, Jiang, Gong and Morcos, "Luck matters: Understanding training dynamics of deep ReLU networks" (2019).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from dlopt import runtime
from dlopt.arc_cosine import population_gradient, population_loss, relu_products

__all__ = ["Student", "descend", "orthonormal_teachers", "overlaps", "random_students"]


class Student(NamedTuple):
    """Σ_i a_i φ(w_iᵀx), one student or many side by side."""

    nodes: Tensor
    """w, (…, m, d)."""
    outputs: Tensor
    """a, (…, m), the fan-out weights."""


def orthonormal_teachers(count: int, nodes: int, d: int, *, seed: int = 0) -> Tensor:
    """Orthonormal teacher nodes v_j in random directions, (count, nodes, d), in double precision."""
    gaussian = torch.randn(count, d, nodes, generator=runtime.generator(seed), dtype=torch.float64)
    return torch.linalg.qr(gaussian).Q.mT.contiguous().to(runtime.device())


def random_students(count: int, nodes: int, d: int, *, std: float, seed: int = 0) -> Student:
    """Students that start small: w_i from N(0, std²/d I) and a_i = ± std with random signs, in double precision."""
    generator = runtime.generator(seed)
    w = torch.randn(count, nodes, d, generator=generator, dtype=torch.float64) * std / d**0.5
    signs = torch.randint(2, (count, nodes), generator=generator).double() * 2 - 1
    return Student(w.to(runtime.device()), (std * signs).to(runtime.device()))


def overlaps(nodes: Tensor, teacher: Tensor) -> Tensor:
    """cos of the angle between w_i and v_j, (…, m, K), for w (…, m, d) and v (…, K, d)."""
    return functional.normalize(nodes, dim=-1) @ functional.normalize(teacher, dim=-1).mT


def descend(student: Student, teacher: Tensor, *, step_size: float, steps: int) -> tuple[Student, Tensor]:
    """Gradient descent in w and a on F = ½ E (Σ_i a_i φ(w_iᵀx) - Σ_j φ(v_jᵀx))², x from N(0, I).

    ∂F/∂a = P(w, w) a - P(w, v) 1 with P(u, v)_ij = E φ(u_iᵀx) φ(v_jᵀx).

    Args:
        student: the start, with leading axes or without.
        teacher: v, (…, K, d), with the same leading axes.
        step_size: η.
        steps: number of updates.

    Returns:
        The student at the end, and its loss F, (…).
    """
    nodes, outputs = student
    ones = teacher.new_ones(teacher.shape[:-1])
    for _ in range(steps):
        own, cross = relu_products(nodes, nodes), relu_products(nodes, teacher)
        slope = (own @ outputs.unsqueeze(-1)).squeeze(-1) - cross.sum(dim=-1)
        pull = population_gradient(nodes, teacher, outputs, ones)
        nodes, outputs = nodes - step_size * pull, outputs - step_size * slope
    return Student(nodes, outputs), population_loss(nodes, teacher, outputs, ones)
