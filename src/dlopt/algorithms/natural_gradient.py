"""The Fisher information matrix of a network, the empirical Fisher matrix, and the natural gradient step.

The two matrices look alike and differ in where the targets come from.  In the true one they are drawn from the
model's own prediction, in the empirical one they are the targets of the data set.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from dlopt.algorithms.likelihoods import Likelihood
from dlopt.curvature import jacobian
from dlopt.training import Loss

__all__ = ["empirical_fisher", "fisher", "natural_gradient"]


def fisher(model: nn.Module, inputs: Tensor, likelihood: Likelihood) -> Tensor:
    """F = (1/n) Σ_i E_{y ~ p(y|x_i)} [∇ℓ ∇ℓᵀ] = (1/n) Σ_i J_iᵀ Λ_i J_i, the average over the model's own targets.

    Args:
        model: the network, small enough for a matrix of P² entries.
        inputs: (n, …).
        likelihood: of the loss.

    Returns:
        (P, P), positive semidefinite.  For the losses of :mod:`~dlopt.algorithms.likelihoods` it equals the
        Gauss–Newton matrix.

    Source: Amari, Park and Fukumizu (2000); Martens, New insights and perspectives on the natural gradient method,
    section 9.
    """
    with torch.no_grad():
        roots = likelihood.square_root(model(inputs))
    rows = (roots.mT @ jacobian(model, inputs)).flatten(end_dim=1)
    return rows.mT @ rows / len(inputs)


def empirical_fisher(model: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss) -> Tensor:
    """F̂ = (1/n) Σ_i ∇ℓ_i ∇ℓ_iᵀ, with the targets of the data: the second moment of the sample gradients.

    Args:
        model: the network, small enough for a matrix of P² entries.
        inputs, targets: (n, …).
        loss: maps outputs and targets to the samples' mean loss.

    Returns:
        (P, P), positive semidefinite.
    """
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def sample_loss(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return loss(functional_call(model, parameters, (x.unsqueeze(0),)), y.unsqueeze(0))

    pieces = vmap(grad(sample_loss), in_dims=(None, 0, 0))(parameters, inputs, targets)
    rows = torch.cat([piece.flatten(start_dim=1) for piece in pieces.values()], dim=-1)
    return rows.mT @ rows / len(inputs)


def natural_gradient(matrix: Tensor, gradient: Tensor, damping: float = 0.0) -> Tensor:
    """(F + λI)⁻¹ ∇F(θ), the direction in which the model's predictions change least for the decrease of the loss.

    Raises:
        ValueError: λ < 0.
    """
    if damping < 0:
        raise ValueError(f"the damping λ must not be negative, as {damping} is.")
    eye = torch.eye(len(gradient), dtype=matrix.dtype, device=matrix.device)
    return torch.linalg.solve(matrix + damping * eye, gradient)
