"""How far SGD gets in a time t after a waiting time t_w: the mean-square displacement of the physics of glasses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dlopt import runtime
from dlopt.models import FullyConnected
from dlopt.training import Loss, objective

__all__ = ["Displacements", "sgd_displacements"]


class Displacements(NamedTuple):
    """For the waiting times t_w (first axis), the gaps t (second) and the members (last)."""

    distance: Tensor
    """Δ(t_w, t_w + t) = ‖θ_{t_w+t} − θ_{t_w}‖² / P, (waits, gaps, members)."""
    walk: Tensor
    """Σ_s ‖θ_{s+1} − θ_s‖² / P over the same steps: what a random walk with these steps covers, the same shape."""
    loss: Tensor
    """F(θ_{t_w}), (waits, members)."""

    @property
    def ratio(self) -> Tensor:
        """Δ over the walk's: 1 for steps without memory, above it for a drift, below it for steps taken back."""
        return self.distance / self.walk


def sgd_displacements(
    model: FullyConnected,
    inputs: Tensor,
    targets: Tensor,
    *,
    loss: Loss,
    step_size: float,
    batch_size: int,
    waits: Sequence[int],
    gaps: Sequence[int],
    seed: int,
) -> Displacements:
    """Trains the members by SGD, batches drawn with replacement, until the longest wait plus the longest gap.

    Args:
        model: the network with its members; it is trained in place.
        inputs, targets: (n, …), shared; every member draws its own batches.
        loss: maps outputs (members, b, d_L) and targets (members, b) to (members,).
        step_size: η.
        batch_size: b.
        waits: t_w.
        gaps: t.
        seed: of the batches.

    Source: Baity-Jesi et al., "Comparing dynamics: deep neural networks versus glassy systems" (2018), for Δ.
    """
    parameters = list(model.parameters())
    size = sum(parameter[0].numel() for parameter in parameters)
    generator = runtime.generator(seed)
    wanted = sorted({*waits, *(wait + gap for wait in waits for gap in gaps)})
    kept, losses = {}, {}
    walked = inputs.new_zeros(model.members, dtype=torch.float64)
    for step in range(wanted[-1] + 1):
        if step in wanted:
            kept[step] = torch.cat([p.detach().flatten(1) for p in parameters], dim=1), walked.clone()
        if step in waits:
            with torch.no_grad():
                losses[step] = objective(model, inputs, targets, loss)
        batch = torch.randint(len(inputs), (model.members, batch_size), generator=generator).to(inputs.device)
        value = loss(model(inputs[batch]), targets[batch]).sum()
        with torch.no_grad():
            for parameter, gradient in zip(parameters, torch.autograd.grad(value, parameters), strict=True):
                parameter.sub_(gradient, alpha=step_size)
                walked += (step_size * gradient).flatten(1).square().sum(dim=1)
    distance, walk = (
        torch.stack([torch.stack([between(kept[w], kept[w + t]) for t in gaps]) for w in waits]) / size
        for between in (_squared_distance, _squared_steps)
    )
    return Displacements(distance, walk, torch.stack([losses[w] for w in waits]))


Kept = tuple[Tensor, Tensor]
"""θ_t and Σ_{s<t} ‖θ_{s+1} − θ_s‖²."""


def _squared_distance(one: Kept, other: Kept) -> Tensor:
    return (other[0] - one[0]).double().square().sum(dim=-1)


def _squared_steps(one: Kept, other: Kept) -> Tensor:
    return other[1] - one[1]
