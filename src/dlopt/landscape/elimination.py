"""One more neuron, and no bad local minimum is left; but there may be no minimum at all.

The network f gets exponential neurons that lead from the input straight to the outputs, one for each, and a penalty:

    F̃(θ, a, w, b) = 1/n Σ_s ℓ(f(x_s) + g(x_s), y_s) + λ ‖a‖²,   g_k(x) = a_k exp(w_kᵀx + b_k).

At a critical point a = 0: the derivatives in a_k and in b_k vanish together only then, since λ > 0.  There the
derivative in a_k is the residual signal 1/n Σ_s ∂ℓ_s/∂f_k exp(w_kᵀx_s + b_k), and (w, b) may move without changing
the loss: at a local minimum the signal is zero for all w nearby, hence for all w, hence ∂ℓ_s/∂f = 0 for every x_s.

Source: Liang, Sun, Lee and Srikant, "Adding one neuron can eliminate all bad local minima" (2018); Kawaguchi and
Kaelbling, "Elimination of all bad local minima in deep learning" (2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["WithExponentialNeurons", "cubic_hinge", "residual_signal", "valley_descent", "valley_scale"]


def cubic_hinge(outputs: Tensor, labels: Tensor) -> Tensor:
    """1/n Σ_s max(0, 1 - y_s f(x_s))³, for outputs (…, n, 1) and labels (n, 1) of -1 and 1: (…).

    A smooth version of the hinge loss: twice differentiable, and every critical point of one sample has loss 0.
    """
    return (1 - labels * outputs).clamp(min=0).pow(3).sum(dim=-1).mean(dim=-1)


class WithExponentialNeurons(nn.Module):
    """f(x) + a exp(Wx + b): a network and one exponential neuron for each of its outputs.

    Args:
        network: f, (n, d) ↦ (n, K).
        amplitudes: a, (K,).
        weights: W, (K, d).
        biases: b, (K,).
    """

    def __init__(self, network: nn.Module, amplitudes: Tensor, weights: Tensor, biases: Tensor) -> None:
        super().__init__()
        self.network = network
        self.amplitudes, self.weights, self.biases = map(nn.Parameter, (amplitudes, weights, biases))

    def forward(self, x: Tensor) -> Tensor:
        """(n, K)."""
        return self.network(x) + self.amplitudes * torch.exp(x @ self.weights.T + self.biases)

    def penalty(self) -> Tensor:
        """‖a‖²."""
        return self.amplitudes.square().sum()


def residual_signal(
    loss: Callable[[Tensor, Tensor], Tensor],
    outputs: Tensor,
    targets: Tensor,
    inputs: Tensor,
    weights: Tensor,
) -> Tensor:
    """∂F̃/∂a_k at a = 0 and b = 0: Σ_s ∂F/∂f_k(x_s) exp(wᵀx_s), for many w, (count, K).

    Args:
        loss: F of outputs (n, K) and targets, a mean over the samples.
        outputs: f(x_s), (n, K).
        targets: as ``loss`` takes them.
        inputs: x_s, (n, d).
        weights: w, (count, d).
    """
    outputs = outputs.detach().requires_grad_()
    (slopes,) = torch.autograd.grad(loss(outputs, targets), outputs)
    return torch.exp(weights @ inputs.T) @ slopes


def valley_descent(
    step_size: Callable[[float, float], float], *, gap: float, penalty: float, steps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient descent on F̃(a, b) = (c - a eᵇ)² + λ a² from (0.1, 0): its infimum 0 is at b = ∞.

    This is the modified problem where the network itself cannot move: its output is stuck at distance c from the best
    output for one input, which may carry several labels.  Their variance is a constant that is left out.

    Args:
        step_size: η from (a, b).
        gap: c.
        penalty: λ.
        steps: number of steps.

    Returns:
        The time Σ η, b and F̃ after each step, each (steps,).
    """
    a, b, time = 0.1, 0.0, 0.0
    rows = []
    for _ in range(steps):
        height = math.exp(b)
        residual = gap - a * height
        eta = step_size(a, b)
        a, b = a + 2 * eta * (height * residual - penalty * a), b + 2 * eta * a * height * residual
        time += eta
        rows.append((time, b, (gap - a * math.exp(b)) ** 2 + penalty * a**2))
    return tuple(torch.tensor(rows, dtype=torch.float64).T)


def valley_scale(time: Tensor, *, gap: float, penalty: float) -> Tensor:
    """b(t) ≈ ½ log(4 λ c² t): how gradient flow goes to infinity in the valley of :func:`valley_descent`.

    There c - a eᵇ ≈ λ a e⁻ᵇ, so that db/dt = 2 λ a² ≈ 2 λ c² e⁻²ᵇ.
    """
    return 0.5 * torch.log(4 * penalty * gap**2 * time)
