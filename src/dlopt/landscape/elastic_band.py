"""The nudged elastic band: a chain of points between two minima that relaxes onto a path of lowest passes.

Each inner point feels the gradient of the loss across the path and a spring along it.  Without the nudging, the
gradient along the path would slide the points into the valleys, and the springs would pull the path off its bends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from dlopt.training import Stepper

__all__ = ["force", "relax", "tangents"]


def tangents(band: Tensor, values: Tensor) -> Tensor:
    """Unit vectors along the band at its inner points, towards the neighbor with the higher loss, (…, k - 2, P).

    Args:
        band: the points, ends included, (…, k, P).
        values: the losses there, (…, k).

    Source: Henkelman and Jónsson, "Improved tangent estimate in the nudged elastic band method" (2000), without its
    average at extrema.
    """
    step = band.diff(dim=-2)
    rising = (values[..., 2:] > values[..., :-2]).unsqueeze(-1)
    along = torch.where(rising, step[..., 1:, :], step[..., :-1, :])
    return along / along.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(band.dtype).tiny)


def force(band: Tensor, values: Tensor, gradients: Tensor, spring: float) -> Tensor:
    """-(∇F - ⟨∇F, τ⟩ τ) + k (‖θ_{i+1} - θ_i‖ - ‖θ_i - θ_{i-1}‖) τ at the inner points, (…, k - 2, P).

    Args:
        band: θ_0, …, θ_{k-1}, (…, k, P).
        values: F(θ_i), (…, k).
        gradients: ∇F at the inner points, (…, k - 2, P).
        spring: k, how strongly neighbors even out their distances.

    Source: Draxler et al., "Essentially no barriers in neural network energy landscape" (2018).
    """
    tangent = tangents(band, values)
    lengths = band.diff(dim=-2).norm(dim=-1)
    across = gradients - (gradients * tangent).sum(dim=-1, keepdim=True) * tangent
    return spring * (lengths[..., 1:] - lengths[..., :-1]).unsqueeze(-1) * tangent - across


def relax(
    loss: Callable[[Tensor], Tensor],
    band: Tensor,
    *,
    steps: int,
    spring: float,
    optimizer: Callable[[Iterable[Tensor]], Stepper],
) -> Tensor:
    """Moves the inner points of one or more bands by their forces; the bands afterwards, (…, k, P).

    Args:
        loss: maps points (m, P) to losses (m,), differentiably; it may draw a new mini-batch at each call.
        band: the bands to begin with, (…, k, P); their ends stay.
        steps: number of updates.
        spring: k of :func:`force`.
        optimizer: makes an optimizer from a list of tensors; it is given the negative force as gradient.
    """
    inner = band[..., 1:-1, :].clone().requires_grad_()
    update = optimizer([inner])
    for _ in range(steps):
        whole = torch.cat([band[..., :1, :], inner, band[..., -1:, :]], dim=-2)
        values = loss(whole.flatten(0, -2)).unflatten(0, whole.shape[:-1])
        (gradients,) = torch.autograd.grad(values.sum(), [inner])
        inner.grad = -force(whole.detach(), values.detach(), gradients, spring)
        update.step()
    return torch.cat([band[..., :1, :], inner.detach(), band[..., -1:, :]], dim=-2)
