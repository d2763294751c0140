"""Local entropy, which prefers wide valleys, and Entropy-SGD, which descends it.

    G(x; γ) = −(1/β) log ∫ exp(−β (f(y) + γ/2 (x − y)²)) dy

is a smoothed loss: small where much of the neighborhood of x, of the size 1/√(βγ), is low.  Its gradient is
γ (x − ⟨y⟩), with ⟨y⟩ the mean of the density under the integral.  In one dimension we integrate; for a network
Entropy-SGD estimates ⟨y⟩ by stochastic gradient Langevin dynamics.

Source: Chaudhari et al., Entropy-SGD: Biasing gradient descent into wide valleys (2017), where β = 1 and the sign is
the opposite.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from dlopt import runtime
from dlopt.training import Loss

__all__ = ["entropy_sgd", "local_entropy_loss", "switching_scope"]


def local_entropy_loss(
    function: Callable[[Tensor], Tensor], x: Tensor, gamma: float, *, beta: float, grid: Tensor
) -> Tensor:
    """G(x; γ) on a line, by the rectangle rule, of the shape of x, (points,).

    Args:
        function: f, entry by entry.
        x: where to evaluate, (points,).
        gamma: γ > 0.
        beta: β > 0, an inverse temperature.
        grid: equally spaced y, fine against 1/√(β(k + γ)) and wide enough to hold what counts, (m,).
    """
    exponent = -beta * (function(grid) + gamma / 2 * (x[:, None] - grid) ** 2)
    return -(exponent.logsumexp(dim=-1) + (grid[1] - grid[0]).log()) / beta


def switching_scope(sharp: float, wide: float, difference: float, beta: float) -> float:
    """γ* = (k_s − k_w e^{2βΔ})/(e^{2βΔ} − 1): below it the wide minimum, higher by Δ, is the lower one in G.

    At the center of a parabola of value v and curvature k, G = v + (1/2β) log(k + γ) plus a constant; the two wells
    are equal in G where log((k_s + γ)/(k_w + γ)) = 2βΔ.  Not positive: the wide one is never the lower.

    Args:
        sharp: k_s.
        wide: k_w < k_s.
        difference: Δ > 0, the value at the wide minimum less that at the sharp one.
        beta: β.
    """
    odds = math.exp(2 * beta * difference)
    return (sharp - wide * odds) / (odds - 1)


def entropy_sgd(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    *,
    loss: Loss,
    outer_steps: int,
    inner_steps: int,
    step_size: float,
    inner_step_size: float,
    gamma: float,
    noise: float,
    batch_size: int,
    averaging: float = 0.25,
    seed: int = 0,
) -> None:
    """x ← x − ηγ(x − μ), in place, with μ a running mean of Langevin steps that start at y = x:

        y ← y − η' (∇F_batch(y) − γ(x − y)) + √η' ε ξ,   μ ← (1 − α) μ + α y.

    One outer step costs ``inner_steps`` mini-batch gradients.  Members draw batches and noise of their own.

    Args:
        model: with or without members.
        inputs: (n, d_0).
        targets: as ``loss`` takes them.
        loss: maps outputs and targets to the mean loss, a scalar or (members,).
        outer_steps: how many x.
        inner_steps: L, how many y for each x.
        step_size: ηγ, the share of the way to μ that x goes: 1 jumps there.
        inner_step_size: η'.
        gamma: γ, the pull of x on y.
        noise: ε, of the Langevin steps.
        batch_size: samples in a mini-batch, drawn with replacement.
        averaging: α, the weight of the newest y; 0.25 as the paper's 1 − 0.75.
        seed: of batches and noise.
    """
    generator = runtime.generator(seed)
    members = getattr(model, "members", None)
    size = (batch_size,) if members is None else (members, batch_size)
    parameters = list(model.parameters())
    for _ in range(outer_steps):
        x = [parameter.detach().clone() for parameter in parameters]
        mean = [point.clone() for point in x]
        for _ in range(inner_steps):
            batch = torch.randint(len(inputs), size, generator=generator).to(inputs.device)
            gradients = torch.autograd.grad(loss(model(inputs[batch]), targets[batch]).sum(), parameters)
            with torch.no_grad():
                for y, g, point, mu in zip(parameters, gradients, x, mean, strict=True):
                    xi = torch.randn(y.shape, generator=generator, dtype=y.dtype).to(y.device)
                    pull = g - gamma * (point - y)
                    y.add_(pull, alpha=-inner_step_size).add_(xi, alpha=math.sqrt(inner_step_size) * noise)
                    mu.lerp_(y, averaging)
        with torch.no_grad():
            for parameter, point, mu in zip(parameters, x, mean, strict=True):
                parameter.copy_(torch.lerp(point, mu, step_size))
