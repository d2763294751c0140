"""Bad local minima of smooth networks, however wide: all neurons coincide.

    f(x) = Σ_i v_i φ(w_iᵀx),   F = 1/n Σ_s (f(x_s) - y_s)²,   w_1 = … = w_m = w_0,   v_i = 1/m

With the residuals r_s = φ(w_0ᵀx_s) - y_s let h(w) = Σ_s r_s φ(wᵀx_s).  If h vanishes at w_0 then, exactly,

    F(θ) - F(θ_0) = 2/n Σ_i v_i h(w_i) + 1/n Σ_s (f(x_s) - φ(w_0ᵀx_s))².

The second sum is never negative, and the first one is not while all v_i ≥ 0 and all h(w_i) ≥ 0.  So θ_0 is a local
minimum if w_0 is one of h, a function of one neuron's weights: if ∇h(w_0) = Σ r_s φ'(w_0ᵀx_s) x_s = 0 and

    ∇²h(w_0) = Σ_s r_s φ''(w_0ᵀx_s) x_s x_sᵀ ≻ 0.

That is all that has to be checked, for any width m, although the Hessian of F has m - 1 flat directions in v.
These conditions are linear in r, and are solved for any inputs whose features are independent.

Source: in the spirit of Ding, Li and Sun, "Sub-optimal local minima exist for neural networks with almost all
non-linear activations" (2019); the identity is ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dlopt import runtime
from dlopt.landscape.parameter_space import parameters_of
from dlopt.models import Activation, FullyConnected, as_activation

__all__ = ["THIRD_DERIVATIVE_BOUNDS", "CoincidingNeurons", "coinciding_neurons"]

THIRD_DERIVATIVE_BOUNDS = {
    "tanh": 2.0,
    "logistic": 1 / 8,
    "softplus": 1 / (6 * math.sqrt(3)),
    "erf": 4 / math.sqrt(math.pi),
    "sine": 1.0,
}
"""max_h ‖φ'''(h)‖, by the name of the activation."""


@dataclass(frozen=True)
class CoincidingNeurons:
    """Data, network and the one function that certifies it.

    Attributes:
        model: the network at the minimum θ_0: ``weights`` are (m, d) with equal rows and (1, m) with entries 1/m.
        inputs: x_s, (n, d).
        targets: y_s, (n, 1).
    """

    model: FullyConnected
    inputs: Tensor
    targets: Tensor

    @property
    def shared_weights(self) -> Tensor:
        """w_0, (d,)."""
        return self.model.weights[0][0].detach()

    @property
    def residuals(self) -> Tensor:
        """r_s = φ(w_0ᵀx_s) - y_s, (n,)."""
        return self.model.activation(self.inputs @ self.shared_weights) - self.targets[:, 0]

    @property
    def point(self) -> Tensor:
        """θ_0 as one vector, (P,): the rows of the first layer, then the second layer."""
        return parameters_of(self.model)

    @property
    def loss(self) -> float:
        """F(θ_0) = 1/n Σ_s r_s²."""
        return self.residuals.square().mean().item()

    def one_neuron_function(self, w: Tensor) -> Tensor:
        """h(w) = Σ_s r_s φ(wᵀx_s) at many w, (…, d): (…)."""
        return self.model.activation(w @ self.inputs.T) @ self.residuals

    def gradient_of_h(self) -> Tensor:
        """∇h(w_0) = Σ_s r_s φ'(w_0ᵀx_s) x_s, (d,): zero at a minimum."""
        _, first, _ = _derivatives(self.model.activation, self.inputs @ self.shared_weights)
        return (self.residuals * first) @ self.inputs

    def curvature_of_h(self) -> Tensor:
        """∇²h(w_0) = Σ_s r_s φ''(w_0ᵀx_s) x_s x_sᵀ, (d, d): positive definite at a certified minimum."""
        _, _, second = _derivatives(self.model.activation, self.inputs @ self.shared_weights)
        return (self.inputs.T * (self.residuals * second)) @ self.inputs

    def is_certified(self, *, tolerance: float = 1e-10) -> bool:
        """Whether h(w_0) = 0 and ∇h(w_0) = 0 up to rounding, ∇²h(w_0) ≻ 0 and all v_i > 0: a local minimum."""
        value = self.one_neuron_function(self.shared_weights).abs().item()
        slope = self.gradient_of_h().norm().item()
        smallest = torch.linalg.eigvalsh(self.curvature_of_h())[0].item()
        positive = bool((self.model.weights[1] > 0).all())
        return max(value, slope) < tolerance and smallest > tolerance and positive

    def radius(self) -> float:
        """ρ = 3 λ_min(∇²h(w_0)) / Σ_s ‖r_s‖ ‖x_s‖³ max ‖φ'''‖: F ≥ F(θ_0) where ‖w_i - w_0‖ ≤ ρ and v_i ≥ 0.

        By Taylor's theorem h(w_0 + u) ≥ ½ λ_min ‖u‖² - ⅙ ‖u‖³ Σ_s ‖r_s‖ ‖x_s‖³ max ‖φ'''‖.

        Raises:
            KeyError: the activation has no entry in :data:`THIRD_DERIVATIVE_BOUNDS`.
        """
        third = THIRD_DERIVATIVE_BOUNDS[self.model.activation.name]
        change = third * (self.residuals.abs() * self.inputs.norm(dim=1) ** 3).sum().item()
        return 3 * torch.linalg.eigvalsh(self.curvature_of_h())[0].item() / change

    def way_out(self, *, seed: int, spread: float = 1.0) -> Tensor:
        """Knots of a path from θ_0 on which the loss never rises, (4, P); with m ≥ n it ends at loss 0.

        1. v ← (1, 0, …, 0): the neurons coincide, so the function stays as it is.
        2. w_i ← random for i ≥ 2: these neurons have v_i = 0, so the function stays as it is.
        3. v ← least squares: the loss is convex in v, and a straight line to the minimizer goes down all the way.
        """
        w, v = (weight.detach() for weight in self.model.weights)
        alone = torch.zeros_like(v)
        alone[0, 0] = v.sum()
        draw = torch.randn(w.shape, generator=runtime.generator(seed), dtype=torch.float64).to(w)
        moved = torch.cat([w[:1], w[1:] + spread * draw[1:]])
        features = self.model.activation(self.inputs @ moved.T)
        missing = self.targets - features @ alone.T
        fitted = alone + torch.linalg.lstsq(features.cpu(), missing.cpu(), driver="gelsd").solution.T.to(v)
        stages = ((w, v), (w, alone), (moved, alone), (moved, fitted))
        return torch.stack([torch.cat([first.flatten(), second.flatten()]) for first, second in stages])


def coinciding_neurons(
    inputs: Tensor, width: int, activation: str | Activation = "tanh", *, shared_weights: Tensor
) -> CoincidingNeurons:
    """Targets for ``inputs``, and a network of any width at a local minimum with loss 1 for them.

    The residuals solve Σ r_s φ = 0, Σ r_s φ' x_s = 0, Σ r_s φ'' x_s x_sᵀ = I with the least norm, and are then
    scaled to a mean square of 1.

    Args:
        inputs: x_s, (n, d), n ≥ 1 + d + d(d + 1)/2, in double precision.
        width: m.
        activation: smooth, a name in :data:`dlopt.models.ACTIVATIONS` or an object.
        shared_weights: w_0, (d,).

    Raises:
        ValueError: the conditions on the residuals have no solution: too few samples, or special inputs.
    """
    phi = as_activation(activation)
    n, d = inputs.shape
    value, first, second = _derivatives(phi, inputs @ shared_weights)
    upper = torch.triu_indices(d, d, device=inputs.device)
    products = inputs[:, upper[0]] * inputs[:, upper[1]]
    conditions = torch.cat([value[:, None], first[:, None] * inputs, second[:, None] * products], dim=1).T
    wanted = torch.cat([inputs.new_zeros(1 + d), (upper[0] == upper[1]).to(inputs)])
    residuals = torch.linalg.pinv(conditions) @ wanted
    if (conditions @ residuals - wanted).abs().max() > 1e-8:
        raise ValueError(f"{n} samples in dimension {d} give no residuals that meet the conditions.")
    residuals = residuals * math.sqrt(n) / residuals.norm()
    model = FullyConnected((d, width, 1), phi, dtype=inputs.dtype, device=inputs.device)
    with torch.no_grad():
        model.weights[0].copy_(shared_weights.expand(width, d))
        model.weights[1].fill_(1 / width)
    return CoincidingNeurons(model, inputs, (value - residuals)[:, None])


def _derivatives(phi: Activation, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """φ(h), φ'(h) and φ''(h)."""
    h = h.detach().requires_grad_()
    with torch.enable_grad():
        first = phi.derivative(h)
        (second,) = torch.autograd.grad(first.sum(), h)
    return phi(h).detach(), first.detach(), second
