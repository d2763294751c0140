"""A ReLU student that learns a ReLU teacher of the same kind: f_W(x) = Σ_i φ(w_iᵀx), outputs fixed at one.

With inputs from N(0, I) the expected loss and its gradient are closed forms (:mod:`dlopt.arc_cosine`); with n samples
the loss is F(W) = (1/2n) Σ (f_W(x_j) − y_j)².  One neuron is the case k = 1, a network with identity skips the case
that W is I plus something small.
"""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from dlopt import runtime
from dlopt.arc_cosine import population_gradient

__all__ = [
    "distance_to_teacher", "norm_deficit", "outputs", "population_descent", "sample_descent", "sample_gradient",
    "stochastic_descent",
]  # fmt: skip


def outputs(inputs: Tensor, weights: Tensor) -> Tensor:
    """f_W(x) = Σ_i φ(w_iᵀx), (…, n), for inputs (…, n, d) and weights (…, k, d)."""
    return torch.relu(inputs @ weights.mT).sum(dim=-1)


def sample_gradient(
    inputs: Tensor, targets: Tensor, weights: Tensor, *, slope_at_zero: float = 1.0
) -> Tensor:
    """∂F/∂w_i = (1/n) Σ_j (f_W(x_j) − y_j) φ'(w_iᵀx_j) x_j, (…, k, d).

    Args:
        inputs: (…, n, d).
        targets: (…, n).
        weights: W, (…, k, d).
        slope_at_zero: φ'(0); 1 lets a neuron leave w = 0, PyTorch's 0 does not.
    """
    h = inputs @ weights.mT
    slopes = torch.heaviside(h, h.new_tensor(slope_at_zero))
    residual = torch.relu(h).sum(dim=-1) - targets
    return (slopes * residual[..., None]).mT @ inputs / inputs.shape[-2]


def sample_descent(
    inputs: Tensor,
    targets: Tensor,
    start: Tensor,
    *,
    step_size: float,
    steps: int,
    slope_at_zero: float = 1.0,
) -> Tensor:
    """Gradient descent on F; the whole path, (steps + 1, …, k, d).  Arguments as in :func:`sample_gradient`."""
    path = [start]
    for _ in range(steps):
        gradient = sample_gradient(inputs, targets, path[-1], slope_at_zero=slope_at_zero)
        path.append(path[-1] - step_size * gradient)
    return torch.stack(path)


def population_descent(
    start: Tensor, teacher: Tensor, *, step_size: float, steps: int, every: int = 1
) -> Tensor:
    """Gradient descent on the expected loss; every ``every``-th point, (1 + steps // every, …, k, d).

    Args:
        start: W, (…, k, d); leading axes hold independent runs.
        teacher: V, (m, d).
        step_size: η.
        steps: how many.
        every: which points are kept; the start always is.

    Source: Tian, An analytical formula of population gradient for two-layered ReLU network (2017).
    """
    weights, path = start, [start]
    for step in range(1, steps + 1):
        weights = weights - step_size * population_gradient(weights, teacher)
        if step % every == 0:
            path.append(weights)
    return torch.stack(path)


def stochastic_descent(
    start: Tensor, teacher: Tensor, *, step_size: float, batch: int, steps: int, every: int, seed: int
) -> Tensor:
    """SGD with fresh inputs from N(0, I) in every step; every ``every``-th point, (1 + steps // every, …, k, d).

    Args:
        start: W, (…, k, d); every run sees the same inputs.
        teacher: V, (m, d).
        step_size: η; it falls linearly to zero.
        batch: inputs for one step.
        steps, every: as in :func:`population_descent`.
        seed: of the inputs.
    """
    generator = runtime.generator(seed)
    weights, path = start, [start]
    for step in range(1, steps + 1):
        inputs = torch.randn(batch, start.shape[-1], generator=generator, dtype=start.dtype).to(start)
        gradient = sample_gradient(inputs, outputs(inputs, teacher), weights)
        weights = weights - step_size * (1 - (step - 1) / steps) * gradient
        if step % every == 0:
            path.append(weights)
    return torch.stack(path)


def distance_to_teacher(weights: Tensor, teacher: Tensor) -> Tensor:
    """min over orders π of ‖W − π V‖_F, (…,), for weights (…, k, d) and teacher (k, d): neurons have no names."""
    squares = (weights[..., :, None, :] - teacher[None, :, :]).square().sum(dim=-1)
    flat = squares.reshape(-1, *squares.shape[-2:]).cpu().numpy()
    totals = [matrix[linear_sum_assignment(matrix)].sum() for matrix in flat]
    return torch.tensor(totals, dtype=weights.dtype, device=weights.device).sqrt().reshape(squares.shape[:-2])


def norm_deficit(weights: Tensor, teacher: Tensor) -> Tensor:
    """g = Σ_j ‖v_j‖ − Σ_i ‖w_i‖, (…,): what the student lacks in total length.

    Source: the potential function, up to the sign, of Li and Yuan, Convergence analysis of two-layer neural networks
    with ReLU activation (2017).
    """
    return teacher.norm(dim=-1).sum(dim=-1) - weights.norm(dim=-1).sum(dim=-1)
