"""Alternating minimization of a network with one hidden layer: the outer layer is solved, the inner one descends.

    f(x) = Σ_j a_j φ(w_jᵀx),   F(W, a) = ½ Σ_i (f(x_i) − y_i)².

The gradient in W is D r with r the residual and D the (md × n) matrix whose column i holds the a_j φ'(w_jᵀx_i) x_i.
Where D has rank n, a vanishing gradient means a vanishing residual: such a stationary point is a global minimum.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dlopt.models import Activation, as_activation

__all__ = ["Alternation", "alternating_minimization", "gradient_matrix", "outer_solution"]


class Alternation(NamedTuple):
    """A run of :func:`alternating_minimization` from many starts."""

    loss: Tensor
    """F after each outer solve, (rounds + 1, starts)."""
    weights: Tensor
    """W at the end, (starts, m, d)."""
    readout: Tensor
    """a at the end, (starts, m)."""


def outer_solution(hidden: Tensor, targets: Tensor) -> Tensor:
    """argmin_a ‖Z a − y‖², the one of least norm, (…, m), for Z (…, n, m) and y (n,)."""
    return (torch.linalg.pinv(hidden) @ targets[:, None])[..., 0]


def gradient_matrix(inputs: Tensor, weights: Tensor, readout: Tensor, activation: Activation) -> Tensor:
    """D, (…, md, n), for inputs (n, d), W (…, m, d) and a (…, m)."""
    slopes = activation.derivative(inputs @ weights.mT) * readout[..., None, :]
    return torch.einsum("...nm,nd->...mdn", slopes, inputs).flatten(-3, -2)


def alternating_minimization(
    inputs: Tensor, targets: Tensor, start: Tensor, *, activation: str | Activation, rounds: int
) -> Alternation:
    """Solve for a, then one step W ← W − t ∂F/∂W, and so on; a step t is halved until F falls, then doubled.

    Args:
        inputs: (n, d).
        targets: (n,).
        start: W, (starts, m, d).
        activation: φ.
        rounds: steps in W.

    Source: in the manner of Boob and Lan, Theoretical properties of the global optimizer of two layer neural network
    (2017): the outer layer is optimized for the features that the inner layer gives.
    """
    activation = as_activation(activation)

    def solved(weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = activation(inputs @ weights.mT)
        readout = outer_solution(hidden, targets)
        residual = (hidden @ readout[..., None])[..., 0] - targets
        return readout, residual, residual.square().sum(dim=-1) / 2

    weights, step = start, start.new_ones(len(start))
    readout, residual, loss = solved(weights)
    losses = [loss]
    for _ in range(rounds):
        gradient = gradient_matrix(inputs, weights, readout, activation) @ residual[..., None]
        tried = weights - step[:, None, None] * gradient.reshape(weights.shape)
        new_readout, new_residual, new_loss = solved(tried)
        lower = new_loss < loss
        weights = torch.where(lower[:, None, None], tried, weights)
        readout = torch.where(lower[:, None], new_readout, readout)
        residual = torch.where(lower[:, None], new_residual, residual)
        loss = torch.where(lower, new_loss, loss)
        step = torch.where(lower, 2 * step, step / 2)
        losses.append(loss)
    return Alternation(torch.stack(losses), weights, readout)
