"""ReLU networks with a penalty of the same degree: convex in the right space, with a certificate of optimality.

    F(a, W) = ½ Σ_i (Σ_j a_j φ(w_jᵀx_i) − y_i)² + λ/2 Σ_j (a_j² + |w_j|²),    φ(h) = max(0, h)

At a minimum |a_j| = |w_j|, so the penalty is λ Σ_j |a_j||w_j|: as in the lasso, with one feature φ(uᵀx) for each
direction u.  The convex dual asks for the vector r closest to y with max over |u| = 1 of |Σ_i r_i φ(uᵀx_i)| ≤ λ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["DecayedRegression", "Descent", "zero_neurons"]


class Descent(NamedTuple):
    """Weights of many networks."""

    outputs: Tensor
    """a, (starts, m)."""
    weights: Tensor
    """w_j as rows, (starts, m, d)."""


@dataclass(frozen=True)
class DecayedRegression:
    """The problem above.

    Attributes:
        inputs: x_i as rows, (n, 2).
        targets: y, (n,).
        decay: λ.
    """

    inputs: Tensor
    targets: Tensor
    decay: float

    def prediction(self, outputs: Tensor, weights: Tensor) -> Tensor:
        """Σ_j a_j φ(w_jᵀx_i), (…, n)."""
        return (torch.relu(self.inputs @ weights.mT) @ outputs[..., None])[..., 0]

    def value(self, outputs: Tensor, weights: Tensor) -> Tensor:
        """½ |r|² + λ Σ_j |a_j||w_j|, (…,): F once each neuron is balanced, |a_j| = |w_j|."""
        residual = self.targets - self.prediction(outputs, weights)
        penalty = (outputs.abs() * weights.norm(dim=-1)).sum(dim=-1)
        return residual.square().sum(dim=-1) / 2 + self.decay * penalty

    def steepest_direction(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """The unit vector u with the largest |h(u)|, h(u) = Σ_i r_i φ(uᵀx_i), and h(u): exact in the plane.

        The circle of directions falls into arcs on which the same samples are active.  On an arc with the sum
        g = Σ_active r_i x_i the function is gᵀu: its extreme is at ±g/|g| or at an end of the arc.

        Args:
            residual: r, (…, n).

        Returns:
            u, (…, 2), and h(u), (…).
        """
        normals = torch.stack([-self.inputs[:, 1], self.inputs[:, 0]], dim=-1)
        angles = torch.cat([torch.atan2(sign * normals[:, 1], sign * normals[:, 0]) for sign in (1, -1)])
        ends = angles.sort().values
        middle = ends + (ends.roll(-1) - ends).remainder(2 * torch.pi) / 2
        active = torch.stack([middle.cos(), middle.sin()], dim=-1) @ self.inputs.mT > 0
        sums = (active * residual[..., None, :]) @ self.inputs
        sums = sums / sums.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(sums.dtype).tiny)
        corners = torch.stack([ends.cos(), ends.sin()], dim=-1).expand_as(sums)
        directions = torch.cat([sums, -sums, corners], dim=-2)
        response = (torch.relu(directions @ self.inputs.mT) @ residual[..., None])[..., 0]
        best = response.abs().argmax(dim=-1, keepdim=True)
        direction = directions.gather(-2, best[..., None].expand(*best.shape, 2))
        return direction[..., 0, :], response.gather(-1, best)[..., 0]

    def gap(self, outputs: Tensor, weights: Tensor) -> Tensor:
        """The value less the convex dual's at the residual, scaled to be feasible, (…,): 0 certifies the optimum."""
        residual = self.targets - self.prediction(outputs, weights)
        scale = (self.decay / self.steepest_direction(residual)[1].abs()).clamp(max=1)[..., None]
        dual = (scale * residual * self.targets - (scale * residual).square() / 2).sum(dim=-1)
        return self.value(outputs, weights) - dual

    def gradient_descent(self, start: Descent, *, step_size: float, steps: int) -> Descent:
        """All weights of all networks: θ ← θ − η ∇F."""
        a, w = start
        for _ in range(steps):
            hidden = self.inputs @ w.mT
            active = torch.relu(hidden)
            residual = (active @ a[..., None])[..., 0] - self.targets
            by_output = (residual[..., None, :] @ active)[..., 0, :]
            by_weight = a[..., None] * ((residual[..., None] * (hidden > 0)).mT @ self.inputs)
            a, w = (
                a - step_size * (by_output + self.decay * a),
                w - step_size * (by_weight + self.decay * w),
            )
        return Descent(a, w)

    def prune(self, state: Descent) -> Descent:
        """Puts neurons to zero until at most n are left, without raising the value.

        More than n neurons have dependent contributions g_j = a_j φ(Xw_j): Σ_j c_j g_j = 0 for some c ≠ 0.  With the
        sign for which Σ_j c_j |a_j||w_j| ≤ 0, the neurons are scaled to t_j = 1 + s c_j times their contribution: f
        stays, the penalty does not rise, and s grows until some t_j = 0.

        Source: the argument of Haeffele and Vidal, "Global optimality in neural network training" (2017), written out
        for ReLU.
        """
        outputs, weights = state.outputs.clone(), state.weights.clone()
        for a, w in zip(outputs, weights, strict=True):
            while (active := (a != 0).nonzero()[:, 0]).numel() > len(self.targets):
                contributions = a[active] * torch.relu(self.inputs @ w[active].mT)
                c = torch.linalg.svd(contributions).Vh[-1]
                if c @ (a[active].abs() * w[active].norm(dim=-1)) > 0:
                    c = -c
                first = c.argmin()
                root = (1 - c / c[first]).clamp(min=0).sqrt()
                root[first] = 0
                a[active] *= root
                w[active] *= root[:, None]
        return Descent(outputs, weights)

    def wake(self, state: Descent, *, below: float, size: float) -> Descent:
        """Where a neuron is zero and |h(u)| > λ for some u, gives one such neuron the steepest u and the right sign.

        A zero neuron is at a local minimum only if no direction responds by more than λ.  Zero neurons that stay are
        set to 0 exactly.
        """
        zero = zero_neurons(state, below)
        a, w = state.outputs.masked_fill(zero, 0), state.weights.masked_fill(zero[..., None], 0)
        direction, response = self.steepest_direction(self.targets - self.prediction(a, w))
        first = zero & (zero.cumsum(dim=-1) == 1) & (response.abs() > self.decay)[..., None]
        a = torch.where(first, size * response.sign()[..., None], a)
        return Descent(a, torch.where(first[..., None], size * direction[..., None, :], w))


def zero_neurons(state: Descent, below: float) -> Tensor:
    """Which neurons have a_j² + |w_j|² < below, (starts, m)."""
    return state.outputs.square() + state.weights.square().sum(dim=-1) < below
