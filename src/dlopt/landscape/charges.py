"""Student and teacher neurons as charges: descent on a population loss moves electrons towards fixed protons.

With unit output weights, students θ_i, teachers w_j and a potential Φ(θ − w) = E φ(θ, x) φ(w, x) of activation and
inputs, the loss is

    F = Σ_{i<i'} Φ(θ_i − θ_i') − Σ_{i,j} Φ(θ_i − w_j) + constant:

students repel each other and are drawn to the teachers.  For Coulomb's potential, ΔΦ = 0 away from 0, no student can
rest at a minimum in free space: that is Earnshaw's theorem.  The screened potential has ΔΦ = Φ.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["coulomb", "follow", "gaussian", "screened", "smallest_distances"]


def coulomb(squared: Tensor) -> Tensor:
    """−Φ'(r)/r for Φ = 1/r in three dimensions, given r²."""
    return squared**-1.5


def screened(squared: Tensor) -> Tensor:
    """−Φ'(r)/r for Φ = exp(−r)/r, for which ΔΦ = Φ."""
    r = squared.sqrt()
    return (1 + r) * torch.exp(-r) / r**3


def gaussian(squared: Tensor) -> Tensor:
    """−Φ'(r)/r for Φ = exp(−r²/2), which is smooth and not a multiple of its Laplacian."""
    return torch.exp(-squared / 2)


def follow(
    students: Tensor, teachers: Tensor, law: Callable[[Tensor], Tensor], *, steps: int, stride: float
) -> Tensor:
    """The paths of the students along the negative gradient of F, (steps + 1, starts, k, d).

    Time is measured so that in each step the fastest student of a start moves by ``stride``.  A student that comes
    closer than two strides to a teacher stays there: together they are neutral.

    Args:
        students: θ at the start, (starts, k, d).
        teachers: w, (k, d).
        law: −Φ'(r)/r as a function of r²: :func:`coulomb`, :func:`screened` or :func:`gaussian`.
        steps: how many.
        stride: length of the longest move in a step.

    Source: Panigrahy et al., "Convergence results for neural networks via electrodynamics" (2017).
    """
    alone = torch.eye(students.shape[-2]).to(students)
    path, theta = [students], students
    for _ in range(steps):
        pull = teachers - theta[..., :, None, :]
        distance, nearest = pull.norm(dim=-1).min(dim=-1)
        caught = (distance < 2 * stride)[..., None]
        push = theta[..., None, :, :] - theta[..., :, None, :]
        force = (law(pull.square().sum(dim=-1))[..., None] * pull).sum(dim=-2)
        force = force - (law(push.square().sum(dim=-1) + alone)[..., None] * push).sum(dim=-2)
        force = force.masked_fill(caught, 0)
        fastest = force.norm(dim=-1).amax(dim=-1).clamp(min=torch.finfo(force.dtype).tiny)
        theta = torch.where(caught, teachers[nearest], theta + stride / fastest[..., None, None] * force)
        path.append(theta)
    return torch.stack(path)


def smallest_distances(students: Tensor, teachers: Tensor) -> Tensor:
    """For each teacher the distance of the nearest student, (…, k)."""
    return (teachers[:, None, :] - students[..., None, :, :]).norm(dim=-1).amin(dim=-1)
