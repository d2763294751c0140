"""How deep linear networks learn: Saxe's exact mode dynamics, and gradient descent on a product of matrices.

With whitened inputs, (1/n) X Xᵀ = I, the mean squared error of a linear network is up to a constant

    F(W) = ½ ‖W^L ⋯ W^1 - T‖_F²,      T = (1/n) Y Xᵀ.

Saxe, McClelland, Ganguli: Exact solutions to the nonlinear dynamics of learning in deep linear neural networks
(2013).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from scipy import integrate
from torch import Tensor

__all__ = ["decoupled_start", "fewest_steps", "gradient", "mode_strength", "mode_time", "product"]


def product(weights: Sequence[Tensor]) -> Tensor:
    """W^L ⋯ W^1, for every member."""
    total = weights[0]
    for weight in weights[1:]:
        total = weight @ total
    return total


def gradient(weights: Sequence[Tensor], target: Tensor) -> tuple[list[Tensor], Tensor]:
    """∂F/∂W^l = (W^L ⋯ W^{l+1})ᵀ E (W^{l-1} ⋯ W^1)ᵀ with E = W^L ⋯ W^1 - T, for all l; and E.

    Args:
        weights: W^1, …, W^L, each (…, d_l, d_{l-1}).
        target: T, (d_L, d_0) or (…, d_L, d_0).
    """
    below = [None, *weights[:1]]
    for weight in weights[1:]:
        below.append(weight @ below[-1])
    residual = error = below[-1] - target
    gradients = []
    for layer in range(len(weights), 1, -1):
        gradients.append(error @ below[layer - 1].mT)
        error = weights[layer - 1].mT @ error
    return [error, *reversed(gradients)], residual


@torch.no_grad()
def fewest_steps(
    weights: Sequence[Tensor], target: Tensor, step_sizes: Tensor, *, tolerance: float, most: int
) -> Tensor:
    """Steps of gradient descent until ‖W^L ⋯ W^1 - T‖² ≤ tolerance ‖T‖², with the best of the step sizes.

    Args:
        weights: W^1, …, W^L, each (starts, d_l, d_{l-1}).
        target: T, (starts, d_L, d_0).
        step_sizes: η to choose from, (rates,); all of them run side by side.
        tolerance: the share of ‖T‖² at which T counts as fitted.
        most: steps after which one gives up.

    Returns:
        (starts,), infinite where no step size led there.
    """
    eta = step_sizes.to(weights[0]).view(-1, 1, 1)
    now = [weight.unsqueeze(1).expand(-1, len(step_sizes), -1, -1).clone() for weight in weights]
    goal = target.unsqueeze(1)
    size = goal.square().sum(dim=(-2, -1))
    steps = torch.full((len(target),), torch.inf, dtype=torch.float64, device=target.device)
    for step in range(most + 1):
        gradients, residual = gradient(now, goal)
        fitted = (residual.square().sum(dim=(-2, -1)) <= tolerance * size).any(dim=1)
        steps[fitted & steps.isinf()] = step
        if steps.isfinite().all():
            break
        for weight, slope in zip(now, gradients, strict=True):
            weight.sub_(eta * slope)
    return steps


def decoupled_start(target: Tensor, strength: float, depth: int, generator: torch.Generator) -> list[Tensor]:
    """W^1 = R_1 a Vᵀ, W^l = R_l a R_{l-1}ᵀ, W^L = U a R_{L-1}ᵀ with T = U S Vᵀ, a^L = strength, R_l random rotations.

    Then every mode of T is learned by itself, and the strength u_i of mode i, the i-th diagonal entry of
    Uᵀ W^L ⋯ W^1 V, follows τ du/dt = L u^{2 - 2/L} (s_i - u) under gradient flow with τ = 1.

    Args:
        target: T, (d, d).
        strength: u_i at the start, for all i.
        depth: L.
    """
    u, _, vh = torch.linalg.svd(target)
    scale = strength ** (1 / depth)
    frames = [vh.T]
    for _ in range(depth - 1):
        frames.append(torch.linalg.qr(torch.randn(target.shape, generator=generator, dtype=target.dtype))[0])
    frames.append(u)
    return [scale * after @ before.T for before, after in itertools.pairwise(frames)]


def mode_strength(t: np.ndarray, s: float, u0: float, tau: float = 1.0) -> np.ndarray:
    """u(t) = s e^{2st/τ} / (e^{2st/τ} - 1 + s/u_0), which solves τ du/dt = 2u(s - u): two layers.

    From Saxe et al., for whitened inputs and a start aligned with the target.
    """
    growth = np.exp(-2 * s * np.asarray(t, dtype=float) / tau)
    return s / (1 + (s / u0 - 1) * growth)


def mode_time(depth: int, s: float, start: float, end: float) -> float:
    """t with u(0) = start and u(t) = end for τ du/dt = L u^{2-2/L} (s - u), in units of τ/L.

    A stable step is of the order 1/L for deep networks whose layers have norm one, so this is the number of
    steps up to a factor that does not depend on depth.  It has the limit ∫ du / (u² (s - u)) as L → ∞.

    Raises:
        ValueError: the strength does not lead from start to end.
    """
    if min(start, end) <= 0 or (s - start) * (end - start) < 0 or (s - end) * (s - start) <= 0:
        raise ValueError(f"a mode with target {s} does not go from {start} to {end}.")
    return integrate.quad(lambda u: u ** (2 / depth - 2) / (s - u), start, end)[0]
