"""Scale-invariant weights under gradient descent: stationarity, effective rates, two rates in one network.

A weight vector w that enters a normalization is scale-invariant: F(a w) = F(w) for a > 0.  Then ∇F(w) is
orthogonal to w and ∇F(a w) = ∇F(w)/a.  So a step η turns w by the angle that a step η/‖w‖² turns w/‖w‖, and ‖w‖²
grows by η²‖∇F(w)‖².

Source: Arora, Li & Lyu, Theoretical analysis of auto rate-tuning by batch normalization, 2019.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from dlopt.models import FullyConnected
from dlopt.training import Loss, objective

__all__ = ["TwoRates", "effective_rate", "rate_after_one_step", "stationarity"]


class TwoRates:
    """An optimizer for :func:`dlopt.training.train`: one rate for scale-invariant weights, another for all the rest.

    The scale-invariant weights are W^1, …, W^{L-1} of a network that normalizes its hidden layers.

    Args:
        model: the network, with members.
        invariant: η of the scale-invariant weights, (members,).
        other: η of everything else.
    """

    def __init__(self, model: FullyConnected, invariant: Tensor, other: float) -> None:
        self.hidden = {id(weight) for weight in list(model.weights)[:-1]}
        self.invariant, self.other = invariant, other

    def __call__(self, parameters: Iterable[Tensor]) -> TwoRates:
        self.parameters = list(parameters)
        return self

    @torch.no_grad()
    def step(self) -> None:
        """One update."""
        for parameter in self.parameters:
            if id(parameter) in self.hidden:
                parameter.sub_(self.invariant.to(parameter).view(-1, 1, 1) * parameter.grad)
            else:
                parameter.sub_(self.other * parameter.grad)


def stationarity(model: FullyConnected, inputs: Tensor, targets: Tensor, loss: Loss) -> Tensor:
    """‖∇F‖ where every scale-invariant w has been scaled to length one: it cannot be made small by making w long.

    Since ∇F(w/‖w‖) = ‖w‖ ∇F(w), each row of the gradient of W^1, …, W^{L-1} is multiplied by its neuron's ‖w‖.

    Returns:
        () or (members,).
    """
    parameters = list(model.parameters())
    value = objective(model, inputs, targets, loss).sum()
    gradients = dict(zip(map(id, parameters), torch.autograd.grad(value, parameters), strict=True))
    for weight in list(model.weights)[:-1]:
        gradients[id(weight)] = gradients[id(weight)] * weight.detach().norm(dim=-1, keepdim=True)
    squares = [
        g.square().sum() if model.members is None else g.square().flatten(1).sum(1)
        for g in gradients.values()
    ]
    return torch.stack(squares).sum(0).sqrt()


def effective_rate(eta: Tensor | float, weight: nn.Parameter) -> Tensor:
    """η/‖w‖² for every neuron w, averaged as η / mean ‖w‖² over the neurons: () or (members,)."""
    return eta / weight.detach().square().sum(-1).mean(-1)


def rate_after_one_step(eta: Tensor, squared_length: Tensor, squared_gradient: Tensor) -> Tensor:
    """η / (‖w_0‖² + η²‖∇F(w_0)‖²): the effective rate after one step, never above 1/(2 ‖w_0‖ ‖∇F(w_0)‖)."""
    return eta / (squared_length + eta**2 * squared_gradient)
