"""Random labels and a squared hinge: data that can be fitted, data that cannot, and the border between them.

A network must put every sample on its side with a margin, y_i f_θ(x_i) ≥ 1.  A sample that violates its constraint is
like two particles that overlap, and the loss is the elastic energy of all the overlaps.  Below a density of samples
per parameter all overlaps can be removed; above it the system is jammed.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dlopt import runtime
from dlopt.landscape.levenberg_marquardt import levenberg_marquardt

__all__ = ["HingeProblems", "Packed", "pack", "parameter_count", "random_hinge_problems"]


def parameter_count(d: int, width: int) -> int:
    """P = m (d + 2) + 1, for a hidden layer of m neurons with biases and one output with a bias."""
    return width * (d + 2) + 1


class HingeProblems:
    """F(θ) = Σ_i Δ_i², Δ_i = max(0, 1 − y_i f_θ(x_i)), for many data sets at once, as problems of least squares.

    The network is f_θ(x) = aᵀ tanh(W x + b) + c, with θ = (W, b, a, c).

    Args:
        inputs: x, (problems, n, d).
        labels: y of -1 and 1, (problems, n).
        width: m.
    """

    def __init__(self, inputs: Tensor, labels: Tensor, width: int) -> None:
        self.inputs, self.labels, self.width = inputs, labels, width
        self.size = parameter_count(inputs.shape[-1], width)

    def residual(self, theta: Tensor) -> Tensor:
        """The overlaps Δ, (problems, n), for θ of shape (problems, P)."""
        z, a, c = self._hidden(theta)
        return (1 - self.labels * ((z @ a[..., None])[..., 0] + c)).relu()

    def jacobian(self, theta: Tensor) -> Tensor:
        """∂Δ_i/∂θ, (problems, n, P): −y_i ∂f_θ(x_i)/∂θ where the constraint is violated, 0 elsewhere."""
        z, a, _ = self._hidden(theta)
        by_bias = (1 - z.square()) * a[:, None, :]
        by_weight = (by_bias[..., None] * self.inputs[:, :, None, :]).flatten(-2)
        by_theta = torch.cat([by_weight, by_bias, z, torch.ones_like(z[..., :1])], dim=-1)
        return -(self.labels * (self.residual(theta) > 0))[..., None] * by_theta

    def _hidden(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """tanh(W x + b), (problems, n, m), and a, (problems, m), and c, (problems, 1)."""
        m, d = self.width, self.inputs.shape[-1]
        w, b, a, c = theta.split([m * d, m, m, 1], dim=-1)
        return torch.tanh(self.inputs @ w.unflatten(-1, (m, d)).mT + b[:, None, :]), a, c

    def some(self, which: Tensor) -> HingeProblems:
        """The problems with these numbers."""
        return HingeProblems(self.inputs[which], self.labels[which], self.width)

    def starts(self, seed: int) -> Tensor:
        """θ, (problems, P): W from N(0, 1/d), a from N(0, 1/m), and zero biases."""
        m, d = self.width, self.inputs.shape[-1]
        std = torch.zeros(self.size, dtype=torch.float64)
        std[: m * d], std[m * d + m : -1] = d**-0.5, m**-0.5
        drawn = torch.randn(
            len(self.inputs), self.size, generator=runtime.generator(seed), dtype=torch.float64
        )
        return (std * drawn).to(self.inputs)


def random_hinge_problems(
    problems: int, n: int, d: int, width: int, *, seed: int, device: torch.device | str | None = None
) -> HingeProblems:
    """x from N(0, I_d) and y of -1 and 1 by fair coins, in double precision; the same data for every width."""
    generator = runtime.generator(seed)
    x = torch.randn(problems, n, d, generator=generator, dtype=torch.float64)
    y = 2.0 * torch.randint(2, (problems, n), generator=generator).double() - 1
    device = runtime.device() if device is None else device
    return HingeProblems(x.to(device), y.to(device), width)


class Packed(NamedTuple):
    """Where the searches ended."""

    energy: Tensor
    """F / n, (problems,): the mean squared overlap."""
    contacts: Tensor
    """N_Δ, the number of violated constraints, (problems,): 0 where the data are fitted."""


def pack(
    problems: HingeProblems, *, seed: int, rounds: int = 8, steps: int = 20, tolerance: float = 1e-5
) -> Packed:
    """Removes the overlaps by Levenberg–Marquardt, as far as it can from one random start for each problem.

    Args:
        problems: the data and the network.
        seed: of the starts.
        rounds, steps: each round takes so many steps on what is still jammed, and starts the damping anew.
        tolerance: overlaps below it do not count as violated.

    Source: Geiger et al., "The jamming transition as a paradigm to understand the loss landscape of deep neural
    networks" (2018), for the analogy; they descend by Adam, with ReLU.
    """
    theta = problems.starts(seed)
    for _ in range(rounds):
        jammed = (problems.residual(theta) > tolerance).any(dim=-1).nonzero()[:, 0]
        if len(jammed) == 0:
            break
        theta[jammed] = levenberg_marquardt(
            problems.some(jammed), theta[jammed], steps=steps, damping=1e-3
        ).theta
    overlap = problems.residual(theta)
    return Packed(overlap.square().mean(dim=-1), (overlap > tolerance).sum(dim=-1))
