"""A convolutional network whose patches do not overlap: f(x) = Σ_j a_j φ(wᵀx_j), one filter w for k patches x_j.

Patches from N(0, I) that do not overlap are independent, so the expected loss of a student (w, a) and a teacher
(w*, a*) is a closed form of the norms, of the angle θ between the filters, and of the outputs:

    ½ E(f − f*)² = ½ aᵀG(w, w)a − aᵀG(w, w*)a* + ½ a*ᵀG(w*, w*)a*,
    G(u, v) = g I + c (11ᵀ − I),   g = E φ(uᵀx)φ(vᵀx),   c = ‖u‖‖v‖/2π.

Brutzkus and Globerson train w alone, with a = 1/k; Du et al. train both, with w = v/‖v‖.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from dlopt import runtime
from dlopt.arc_cosine import relu_products

__all__ = [
    "ConvolutionPath", "degenerate_saddle", "mean_filter_loss", "normalized_descent", "normalized_sgd",
    "outputs", "population_loss", "spurious_minimum", "two_well_patches",
]  # fmt: skip


class ConvolutionPath(NamedTuple):
    """The points of a run of descent with weight normalization, w = v/‖v‖."""

    direction: Tensor
    """v, (points, …, d)."""
    readout: Tensor
    """a, (points, …, k)."""


def outputs(patches: Tensor, filters: Tensor, readout: Tensor) -> Tensor:
    """f = Σ_j a_j φ(wᵀx_j), (…, n), for patches (n, k, d), filters w (…, d) and readout a (…, k)."""
    hidden = torch.relu(torch.einsum("nkd,...d->...nk", patches, filters))
    return torch.einsum("...nk,...k->...n", hidden, readout)


def population_loss(filters: Tensor, readout: Tensor, teacher: Tensor, teacher_readout: Tensor) -> Tensor:
    """½ E(f − f*)² for patches from N(0, I), (…,), differentiable in w and a.

    Args:
        filters: w, (…, d).
        readout: a, (…, k).
        teacher: w*, (d,).
        teacher_readout: a*, (k,).

    Source: Du et al., Gradient descent learns one-hidden-layer CNN (2017).
    """

    def form(left: Tensor, u: Tensor, v: Tensor, right: Tensor) -> Tensor:
        same = relu_products(u[..., None, :], v[..., None, :])[..., 0, 0]
        other = u.norm(dim=-1) * v.norm(dim=-1) / (2 * math.pi)
        return (same - other) * (left * right).sum(dim=-1) + other * left.sum(dim=-1) * right.sum(dim=-1)

    return (
        form(readout, filters, filters, readout) / 2
        - form(readout, filters, teacher, teacher_readout)
        + form(teacher_readout, teacher, teacher, teacher_readout) / 2
    )


def mean_filter_loss(filters: Tensor, teacher: Tensor, patches: int) -> Tensor:
    """:func:`population_loss` where both networks average their patches, a = a* = 1/k: (…,) for filters (…, d)."""
    mean = teacher.new_full((patches,), 1 / patches)
    return population_loss(filters, mean.expand(*filters.shape[:-1], patches), teacher, mean)


def degenerate_saddle(teacher: Tensor, patches: int) -> Tensor:
    """w = −(k − 1)/(k − 1 + π) w*: the critical point of :func:`mean_filter_loss` opposite to the teacher, (d,).

    Source: Brutzkus and Globerson, Globally optimal gradient descent for a ConvNet with Gaussian inputs (2017).
    """
    return -(patches - 1) / (patches - 1 + math.pi) * teacher


def spurious_minimum(teacher: Tensor, teacher_readout: Tensor) -> tuple[Tensor, Tensor]:
    """The bad local minimum of the normalized network: w = −w*/‖w*‖, a = ((π − 1)I + 11ᵀ)⁻¹(11ᵀ − I) a*‖w*‖.

    Source: Du et al. (2017); a is where the gradient in a vanishes at the angle θ = π.
    """
    length = teacher.norm()
    ones = teacher.new_ones(len(teacher_readout), len(teacher_readout))
    eye = torch.eye(len(teacher_readout)).to(teacher)
    readout = torch.linalg.solve((math.pi - 1) * eye + ones, (ones - eye) @ teacher_readout * length)
    return -teacher / length, readout


def normalized_descent(
    direction: Tensor,
    readout: Tensor,
    teacher: Tensor,
    teacher_readout: Tensor,
    *,
    step_size: float,
    steps: int,
) -> ConvolutionPath:
    """Gradient descent in (v, a) on :func:`population_loss` at w = v/‖v‖.

    Args:
        direction: v, (…, d).
        readout: a, (…, k).
        teacher, teacher_readout: w* and a*.
        step_size: η.
        steps: how many.
    """
    path = [(direction, readout)]
    for _ in range(steps):
        v, a = (tensor.detach().requires_grad_() for tensor in path[-1])
        loss = population_loss(v / v.norm(dim=-1, keepdim=True), a, teacher, teacher_readout)
        v_gradient, a_gradient = torch.autograd.grad(loss.sum(), (v, a))
        path.append(((v - step_size * v_gradient).detach(), (a - step_size * a_gradient).detach()))
    return ConvolutionPath(*(torch.stack(tensors) for tensors in zip(*path, strict=True)))


def normalized_sgd(
    direction: Tensor,
    readout: Tensor,
    teacher: Tensor,
    teacher_readout: Tensor,
    *,
    step_size: float,
    batch: int,
    steps: int,
    seed: int,
) -> ConvolutionPath:
    """:func:`normalized_descent` by gradients of ``batch`` fresh inputs, the same for all runs; the last point."""
    generator = runtime.generator(seed)
    v, a = direction, readout
    for _ in range(steps):
        patches = torch.randn(batch, a.shape[-1], v.shape[-1], generator=generator, dtype=v.dtype).to(v)
        targets = outputs(patches, teacher, teacher_readout)
        v, a = v.detach().requires_grad_(), a.detach().requires_grad_()
        residual = outputs(patches, v / v.norm(dim=-1, keepdim=True), a) - targets
        v_gradient, a_gradient = torch.autograd.grad(residual.square().mean(dim=-1).sum() / 2, (v, a))
        v, a = v - step_size * v_gradient, a - step_size * a_gradient
    return ConvolutionPath(v.detach(), a.detach())


def two_well_patches(dimension: int) -> Tensor:
    """Inputs for which the averaged network has 2^d strict local minima, one of them global, (2d, 2, d).

    Two inputs see the coordinate w_i alone, with the patches (e_i, −e_i) and (2e_i, −e_i/2).  Their outputs are w_i/2
    and w_i for w_i > 0, −w_i/2 and −w_i/4 for w_i < 0.  With the targets ½ and 1 of the teacher w* = (1, …, 1) the
    loss is a sum over i of functions of w_i alone, each with two minima: 0 at w_i = 1, and more at w_i = −1.6.

    Source: the idea that each coordinate can be made to choose between two values is that of the reduction by which
    Brutzkus and Globerson (2017) prove the general problem NP-complete; the data are ours.
    """
    eye = torch.eye(dimension)
    pairs = [torch.stack([eye, -eye], dim=1), torch.stack([2 * eye, -eye / 2], dim=1)]
    return torch.cat(pairs).to(runtime.device())
