"""Lazy training: any differentiable model, scaled up, trains as its linearization.

For a model h(x; θ) with h(·; θ_0) = 0 and the loss F(α h)/α², gradient flow moves θ by a distance proportional to
1/α, and the path approaches that of the linearized model as α grows.  Nothing in this is special to networks.

Source: Chizat, Oyallon and Bach, "On lazy training in differentiable programming" (2019).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Doubled", "NoisyOr", "Scaled", "movement"]


class Doubled(nn.Module):
    """(h(x; θ) - h(x; θ'))/√2 with both copies trained and θ' = θ at first: zero at the start, the same kernel.

    While θ and θ' move in opposite directions the terms of second order cancel in the difference.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.members = getattr(model, "members", None)
        self.plus, self.minus = model, copy.deepcopy(model)

    def forward(self, x: Tensor) -> Tensor:
        return (self.plus(x) - self.minus(x)) / 2**0.5


class Scaled(nn.Module):
    """α h(x; θ).  Where α is a tensor (members,), each member has its own.

    With the step size η/α² the outputs of the linearized model move as fast as for α = 1: that is the loss F(α h)/α².
    """

    def __init__(self, model: nn.Module, alpha: float | Tensor) -> None:
        super().__init__()
        self.members = getattr(model, "members", None)
        self.model, self.alpha = model, alpha

    def forward(self, x: Tensor) -> Tensor:
        alpha = self.alpha[:, None, None] if isinstance(self.alpha, Tensor) else self.alpha
        return alpha * self.model(x)


class NoisyOr(nn.Module):
    """Log-odds of an event that any of several independent causes may bring about: not a network.

    Cause k, present x_k ≥ 0 times, fails with probability 1 - p_k each time, p_k the logistic function of θ_k.  All
    fail with the probability Π_k (1 - p_k)^{x_k} = e^{-s}, s = Σ_k x_k log(1 + e^{θ_k}), and the log-odds are
    log(e^s - 1).

    Args:
        start: θ, (causes,) or (members, causes).
    """

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.members = len(start) if start.ndim == 2 else None
        self.theta = nn.Parameter(start.clone())

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1) or (members, n, 1), for counts (n, causes) with at least one cause present each."""
        s = x @ functional.softplus(self.theta).unsqueeze(-1)
        return s + torch.log(-torch.expm1(-s))


def movement(model: nn.Module, start: list[Tensor]) -> Tensor:
    """‖θ - θ_0‖/‖θ_0‖ over all parameters, () or (members,), for the parameters ``start`` of θ_0."""
    members = getattr(model, "members", None)
    kept = 0 if members is None else 1
    pairs = [(p.detach(), q) for p, q in zip(model.parameters(), start, strict=True)]
    distance = sum((p - q).square().flatten(kept).sum(dim=-1) for p, q in pairs)
    return (distance / sum(q.square().flatten(kept).sum(dim=-1) for _, q in pairs)).sqrt()
