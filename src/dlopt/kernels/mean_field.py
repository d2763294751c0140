"""One hidden layer as a crowd of particles, and the partial differential equation of infinitely many.

With f(x) = 1/m Σ_j σ(x, w_j) and the loss 1/(2n) Σ_i r_i², r_i = f(x_i) - y_i, gradient descent with the step
size ε m moves every neuron in the field that all of them make,

    dw_j/dt = v(w_j),   v(w) = -1/n Σ_i r_i ∂σ(x_i, w)/∂w.

The share ρ of the neurons at w then follows the continuity equation ∂ρ/∂t = -∂/∂w (ρ v), with f(x) = ∫ σ(x, w) ρ(dw).
Here w is one number, a threshold, so that the equation can be solved on a grid.

Sources: Mei, Montanari and Nguyen, "A mean field view of the landscape of two-layers neural networks" (2018);
Sirignano and Spiliopoulos, "Mean field analysis of neural networks" (2018); Rotskoff and Vanden-Eijnden (2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dlopt import runtime

__all__ = ["Threshold", "continuity_equation", "velocity", "walk"]


@dataclass(frozen=True)
class Threshold:
    """σ(x, w) = tanh(κ (x - w)): a soft step at the threshold w."""

    gain: float = 2.0
    """κ."""

    def __call__(self, x: Tensor, w: Tensor) -> Tensor:
        """σ(x_i, w_j), for shapes that broadcast."""
        return torch.tanh(self.gain * (x - w))

    def derivative(self, x: Tensor, w: Tensor) -> Tensor:
        """∂σ(x_i, w_j)/∂w."""
        return -self.gain * (1 - self(x, w) ** 2)


def velocity(neuron: Threshold, x: Tensor, residuals: Tensor, w: Tensor) -> Tensor:
    """v(w) = -1/n Σ_i r_i ∂σ(x_i, w)/∂w, (m,), for x and r of shape (n,) and w of shape (m,)."""
    return -residuals @ neuron.derivative(x[:, None], w) / len(x)


def walk(
    neuron: Threshold,
    x: Tensor,
    y: Tensor,
    start: Tensor,
    *,
    step: float,
    time: float,
    seed: int | None = None,
) -> Tensor:
    """The particles w_j at a time t, (crowds, m), after ⌈t/step⌉ steps of gradient descent or of SGD.

    Args:
        neuron: σ.
        x, y: the samples, (n,) each.
        start: w_j(0), (crowds, m): independent crowds, which move side by side.
        step: ε, the time that one step takes; the step size in the parameters is ε m.
        time: t.
        seed: None for gradient descent.  Otherwise each crowd draws one sample a step, with replacement.
    """
    w = start.clone()
    steps = math.ceil(time / step - 1e-9)
    chosen = (
        torch.arange(len(x)).expand(steps, 1, -1)
        if seed is None
        else torch.from_numpy(runtime.numpy_generator(seed).integers(len(x), size=(steps, len(w), 1)))
    )
    for rows in chosen.to(x.device):
        values = neuron(x[rows].unsqueeze(-1), w.unsqueeze(1))  # (crowds, samples, m)
        residuals = values.mean(dim=-1, keepdim=True) - y[rows].unsqueeze(-1)
        w += step * neuron.gain * (residuals * (1 - values**2)).mean(dim=1)
    return w


def continuity_equation(
    neuron: Threshold,
    x: Tensor,
    y: Tensor,
    edges: Tensor,
    density: Callable[[np.ndarray], np.ndarray],
    times: list[float],
    courant: float = 0.5,
) -> Tensor:
    """ρ at the given times by finite volumes: the mass of every cell, (times, cells).

    What leaves a cell through an edge enters its neighbor: with the velocity v at the edge and the density of the
    cell that the flow comes from (*upwind*), so masses stay positive and add up to one.  No mass leaves the grid.

    Args:
        neuron: σ.
        x, y: the samples, (n,) each.
        edges: of the cells, equally spaced, (cells + 1,).
        density: the distribution function P(w_j(0) ≤ w) of the start.
        times: increasing.
        courant: the fraction of a cell that the fastest flow crosses in a step; at most 1.

    Raises:
        ValueError: a Courant number outside (0, 1].
    """
    if not 0 < courant <= 1:
        raise ValueError(f"the Courant number must be in (0, 1], not {courant}.")
    mass = torch.from_numpy(np.diff(density(edges.cpu().numpy()))).to(edges)
    mass = mass / mass.sum()
    table = neuron(x[:, None], (edges[1:] + edges[:-1]) / 2)  # σ at the centers
    size = (edges[1] - edges[0]).item()
    inner = edges[1:-1]
    now, snapshots = 0.0, []
    for time in times:
        while now < time:
            v = velocity(neuron, x, table @ mass - y, inner)
            step = min(courant * size / v.abs().max().item(), time - now)
            flux = step / size * (v.clamp(min=0) * mass[:-1] + v.clamp(max=0) * mass[1:])
            mass = mass.clone()
            mass[:-1] -= flux
            mass[1:] += flux
            now += step
        snapshots.append(mass)
    return torch.stack(snapshots)
