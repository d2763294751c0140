"""A path between two networks with one hidden layer that uses half of the neurons at a time.

f(x) = Σ_j a_j φ(w_jᵀx) with the last entry of x equal to 1 for the bias.  The loss is convex in a, and a neuron with
a_j = 0 may be moved anywhere at no cost.  So the first network hands over to one half of its neurons, the other half
moves to where the second network has its neurons, takes over, and then the first half moves as well.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["half_width_knots", "hidden", "mean_squared_error", "train", "with_bias"]


def with_bias(inputs: Tensor) -> Tensor:
    """(x, 1), (n, d + 1)."""
    return torch.cat([inputs, torch.ones_like(inputs[:, :1])], dim=1)


def hidden(weights: Tensor, inputs: Tensor) -> Tensor:
    """φ(w_jᵀx_i) for ReLU, (…, n, m), for w_j as rows, (…, m, d)."""
    return torch.relu(inputs @ weights.mT)


def mean_squared_error(points: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
    """F = (1/n) Σ_i (f(x_i) − y_i)², (…,), for points θ = (a, W), flattened, (…, m + m d)."""
    m = points.shape[-1] // (inputs.shape[1] + 1)
    outputs, weights = points[..., :m], points[..., m:].unflatten(-1, (m, -1))
    predictions = (hidden(weights, inputs) @ outputs[..., None])[..., 0]
    return (predictions - targets).square().mean(dim=-1)


def train(start: Tensor, inputs: Tensor, targets: Tensor, *, steps: int, step_size: float) -> Tensor:
    """Adam (PyTorch's) on F from every start, (…, P), with the step size falling to 0 linearly."""
    points = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([points], lr=step_size)
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    for _ in range(steps):
        optimizer.zero_grad()
        mean_squared_error(points, inputs, targets).sum().backward()
        optimizer.step()
        falling.step()
    return points.detach()


def _refit(weights: Tensor, kept: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
    """The best a that is 0 outside ``kept``, (m,)."""
    features = hidden(weights, inputs)[:, kept]
    outputs = weights.new_zeros(len(weights))
    outputs[kept] = torch.linalg.pinv(features, rtol=1e-10) @ targets
    return outputs


def half_width_knots(first: Tensor, second: Tensor, kept: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
    """The knots of the path, (6, P): on each straight piece the loss is constant or convex.

    Args:
        first: θ = (a, W) of the first network, flattened, (P,).
        second: θ of the second, (P,).
        kept: which neurons carry the first network half-way, (m,), boolean; the others carry the second.
        inputs: (n, d), the last column 1.
        targets: y, (n,).

    Returns:
        The path rises above its ends no higher than the loss at two of the knots: those where one half of either
        network, refitted, stands alone.

    Source: the idea of Freeman and Bruna, "Topology and geometry of half-rectified network optimization" (2016).
    """
    m = len(kept)
    w_first, w_second = (point[m:].unflatten(0, (m, -1)) for point in (first, second))
    mixed = torch.where(kept[:, None], w_first, w_second)
    a_first = _refit(w_first, kept, inputs, targets)
    a_second = _refit(w_second, ~kept, inputs, targets)
    stations = [
        (first[:m], w_first),
        (a_first, w_first),
        (a_first, mixed),
        (a_second, mixed),
        (a_second, w_second),
        (second[:m], w_second),
    ]
    return torch.stack([torch.cat([a, w.flatten()]) for a, w in stations])
