"""SGD with the hinge loss on linearly separable data, for a network whose second layer is fixed.

    N(x) = v Σ_{i≤k} (φ(w_iᵀx) − φ(u_iᵀx)),   v = 1/√(2k),   loss max(0, 1 − y N(x)),

with φ(h) = h for h > 0 and α h otherwise: leaky ReLU for 0 < α ≤ 1, ReLU for α = 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from dlopt import runtime

__all__ = ["SeparableRun", "outputs", "separable_data", "separable_sgd", "update_bound"]


class SeparableRun(NamedTuple):
    """What a run of SGD did, one entry for each member."""

    updates: Tensor
    """Non-zero updates, (members,)."""
    loss: Tensor
    """Mean hinge loss at the end, (members,)."""
    weights: Tensor
    """(members, 2k, d): the w_i, then the u_i."""


def separable_data(members: int, n: int, d: int, *, margin: float, seed: int) -> tuple[Tensor, Tensor]:
    """Inputs (members, n, d) of length at most 1 and labels ±1, (members, n), with y x_1 ≥ ``margin``.

    So w* = e_1/``margin`` has y w*ᵀx ≥ 1 on all samples.
    """
    generator = runtime.generator(seed)
    x = torch.randn(members, n, d, generator=generator, dtype=torch.float64)
    labels = torch.sign(torch.rand(members, n, generator=generator, dtype=torch.float64) - 0.5)
    size = margin + 0.5 * torch.rand(members, n, generator=generator, dtype=torch.float64)
    rest = x[..., 1:] / x[..., 1:].norm(dim=-1, keepdim=True) * (1 - size**2).sqrt()[..., None]
    inputs = torch.cat([(labels * size)[..., None], rest], dim=-1)
    return inputs.to(runtime.device()), labels.to(runtime.device())


def outputs(inputs: Tensor, weights: Tensor, *, slope: float) -> Tensor:
    """N(x), (members, n), for inputs (members, n, d) and weights (members, 2k, d)."""
    h = inputs @ weights.mT
    return torch.where(h > 0, h, slope * h) @ _signs(weights)


def _signs(weights: Tensor) -> Tensor:
    """(v, …, v, −v, …, −v), (2k,)."""
    k = weights.shape[-2] // 2
    return torch.cat([weights.new_ones(k), -weights.new_ones(k)]) / math.sqrt(2 * k)


def separable_sgd(
    inputs: Tensor,
    labels: Tensor,
    start: Tensor,
    *,
    slope: float,
    step_size: float,
    passes: int,
    seed: int,
    noise: float = 0.0,
) -> SeparableRun:
    """One sample at a time, in a new random order in every pass, until a pass changes nothing.

    A sample with y N(x) < 1 changes weight i by η y v_i φ'(h_i + ε_i) x.  The noise ε_i, of the given size, is drawn
    for the neurons whose output has the label's sign, and it enters nowhere else.

    Args:
        inputs: (members, n, d).
        labels: ±1, (members, n).
        start: (members, 2k, d).
        slope: α.
        step_size: η.
        passes: at most so many passes over the data.
        seed: of orders and noise.
        noise: standard deviation of ε; 0 is plain SGD.

    Source: Brutzkus et al., SGD learns over-parameterized networks … (2018) for plain SGD; Wang, Giannakis and Chen,
    Learning ReLU networks on linearly separable data (2018) for the noise.
    """
    generator = runtime.generator(seed)
    weights, signs = start.clone(), _signs(start)
    updates = torch.zeros(len(start)).to(start)
    rows = torch.arange(len(start), device=start.device)
    for _ in range(passes):
        before = updates.clone()
        for index in torch.rand(labels.shape, generator=generator).argsort(dim=-1).T.to(start.device):
            x, y = inputs[rows, index], labels[rows, index]
            h = (weights @ x[..., None])[..., 0]
            active = y * (torch.where(h > 0, h, slope * h) @ signs) < 1
            if noise:
                drawn = torch.randn(h.shape, generator=generator, dtype=h.dtype).to(h)
                h = h + noise * drawn * (y[:, None] * signs > 0)
            slopes = torch.where(h > 0, 1.0, slope) * signs * (y * active)[:, None]
            weights += step_size * slopes[..., None] * x[:, None, :]
            updates += active
        if torch.equal(before, updates):
            break
    loss = torch.relu(1 - labels * outputs(inputs, weights, slope=slope)).mean(dim=-1)
    return SeparableRun(updates, loss, weights)


def update_bound(separator: float, start_norm: float, *, slope: float, step_size: float) -> float:
    """The largest t with η α t ≤ ‖w*‖ (R + √(R² + (2η + η²) t)): no run makes more updates, whatever its width.

    Args:
        separator: ‖w*‖ for a w* with y w*ᵀx ≥ 1 on all samples, which have length at most 1.
        start_norm: R, the Frobenius norm of all weights at the start.
        slope: α > 0.
        step_size: η.
    """
    progress, growth = step_size * slope, (2 * step_size + step_size**2) * separator**2
    # (p t − ‖w*‖R)² = ‖w*‖²R² + growth · t has the roots 0 and the one below.
    return (2 * progress * separator * start_norm + growth) / progress**2
