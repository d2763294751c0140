"""Small functions on which gradient descent shows what it can and cannot do.

Each maps points of shape (…, d) to values of shape (…,), so that :func:`~dlopt.algorithms.gradient_descent.descend`
runs from many starts at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

__all__ = [
    "Escape",
    "SpiralValley",
    "TanhNetwork",
    "cosine_sum",
    "fully_connected_loss",
    "matrix_factorization",
    "mexican_hat",
    "one_minus_sixth_power",
    "one_minus_sixth_power_gradient",
    "scalar_chain",
    "separable_logistic",
    "separable_logistic_gradient",
    "seventh_power",
    "seventh_power_curvature",
    "seventh_power_gradient",
    "with_ridge",
]


def scalar_chain(points: Tensor) -> Tensor:
    """F(w) = ½ (w_1 w_2 ⋯ w_L − 1)², equation (13); shape (…, L) to (…,)."""
    return 0.5 * (points.prod(dim=-1) - 1).square()


def seventh_power(points: Tensor) -> Tensor:
    """F(w) = (w⁷ − 1)², the survey's Figure 2; shape (…, 1) to (…,)."""
    return (points[..., 0] ** 7 - 1).square()


def seventh_power_gradient(points: Tensor) -> Tensor:
    """F'(w) = 14 w⁶ (w⁷ − 1), shape (…, 1)."""
    return 14 * points**6 * (points**7 - 1)


def seventh_power_curvature(points: Tensor) -> Tensor:
    """F''(w) = 182 w¹² − 84 w⁵, which is negative for 0 < w < (6/13)^{1/7}; shape (…, 1) to (…,)."""
    w = points[..., 0]
    return 182 * w**12 - 84 * w**5


def one_minus_sixth_power(points: Tensor) -> Tensor:
    """F(w) = (1 − w⁶)², the exercise of Appendix A; shape (…, 1) to (…,)."""
    return (1 - points[..., 0] ** 6).square()


def one_minus_sixth_power_gradient(points: Tensor) -> Tensor:
    """F'(w) = 12 w⁵ (w⁶ − 1), shape (…, 1)."""
    return 12 * points**5 * (points**6 - 1)


def separable_logistic(examples: Tensor) -> Callable[[Tensor], Tensor]:
    """F(w) = (1/n) Σ_i log(1 + exp(−a_iᵀw)): logistic regression on a_i = y_i x_i, the rows of ``examples``."""

    def function(points: Tensor) -> Tensor:
        return torch.nn.functional.softplus(-points @ examples.T).mean(dim=-1)

    return function


def separable_logistic_gradient(examples: Tensor) -> Callable[[Tensor], Tensor]:
    """∇F(w) = −(1/n) Σ_i a_i / (1 + exp(a_iᵀw)) of :func:`separable_logistic`, shape (…, d)."""

    def gradient(points: Tensor) -> Tensor:
        return -torch.sigmoid(-points @ examples.T) @ examples / len(examples)

    return gradient


def matrix_factorization(target: Tensor, rank: int) -> Callable[[Tensor], Tensor]:
    """F(X, Y) = ½ ‖XY − M‖², (4) up to its factor, with θ = (vec X, vec Y) of length ``rank`` · (rows + columns)."""
    rows, columns = target.shape

    def function(points: Tensor) -> Tensor:
        left = points[..., : rows * rank].unflatten(-1, (rows, rank))
        right = points[..., rows * rank :].unflatten(-1, (rank, columns))
        return 0.5 * (left @ right - target).square().sum(dim=(-2, -1))

    return function


def cosine_sum(amplitudes: Tensor, frequencies: Tensor, phases: Tensor) -> Callable[[Tensor], Tensor]:
    """F(θ) = Σ_k a_k (1 + cos(ω_kᵀθ + φ_k)) ≥ 0, whose Hessian lies between ∓Σ_k a_k ω_k ω_kᵀ everywhere.

    Args:
        amplitudes: a_k > 0, shape (terms,).
        frequencies: ω_k in rows, shape (terms, d).
        phases: φ_k, shape (terms,).
    """

    def function(points: Tensor) -> Tensor:
        return (amplitudes * (1 + torch.cos(points @ frequencies.T + phases))).sum(dim=-1)

    return function


def fully_connected_loss(
    inputs: Tensor, targets: Tensor, widths: Sequence[int]
) -> Callable[[Tensor], Tensor]:
    """(3) for a ReLU network without biases, as a function of θ = (vec W¹, …, vec W^L).

    Args:
        inputs: x_i in rows, shape (n, d_0).
        targets: y_i in rows, shape (n, d_L).
        widths: d_0, …, d_L.
    """
    shapes = [(after, before) for before, after in pairwise(widths)]

    def function(points: Tensor) -> Tensor:
        parts = points.split([rows * columns for rows, columns in shapes], dim=-1)
        signal = inputs
        for index, (part, shape) in enumerate(zip(parts, shapes, strict=True)):
            signal = (signal.relu() if index else signal) @ part.unflatten(-1, shape).transpose(-1, -2)
        return (signal - targets).square().sum(dim=-1).mean(dim=-1)

    return function


def with_ridge(function: Callable[[Tensor], Tensor], strength: float) -> Callable[[Tensor], Tensor]:
    """F(θ) + λ‖θ‖²: when F ≥ 0, its level set {· ≤ c} lies in the ball of radius √(c/λ)."""

    def regularized(points: Tensor) -> Tensor:
        return function(points) + strength * points.square().sum(dim=-1)

    return regularized


def mexican_hat(points: Tensor, amplitude: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """The hat of Absil, Mahony and Andrews: e^{−1/(1−r²)} (1 − a(r) sin(φ − 1/(1−r²))) for r < 1, and 0 elsewhere.

    With a(r) = 4r⁴/(4r⁴ + (1−r²)⁴) the spiral φ = 1/(1−r²) is a curve of steepest descent, so that the descent winds
    around the circle of minimizers for ever.

    Args:
        points: shape (…, 2).
        amplitude: another a, for comparison.

    Returns:
        Shape (…,).
    """
    squared = points.square().sum(dim=-1)
    gap = (1 - squared).clamp(min=torch.finfo(points.dtype).tiny)
    share = 4 * squared**2 / (4 * squared**2 + gap**4) if amplitude is None else amplitude(squared.sqrt())
    angle = torch.atan2(points[..., 1], points[..., 0])
    inside = torch.exp(-1 / gap) * (1 - share * torch.sin(angle - 1 / gap))
    return torch.where(squared < 1, inside, 0.0)


@dataclass(frozen=True)
class SpiralValley:
    """F = ρ^p (1 − a sin(φ + c ln ρ)) for r > 1, with ρ = r − 1, and 0 on the disk r ≤ 1: a valley winding inward.

    F ≥ 0 is twice continuously differentiable for p > 2, grows without bound, and has no stationary point outside the
    disk.  When a √(p² + c²) > p gradient descent follows the valley down, and φ + c ln ρ settles, so that φ grows
    without bound as ρ → 0.  With c = 0 the valley runs straight inward.
    """

    power: float = 2.25
    winding: float = 5.0
    amplitude: float = 0.45

    def __call__(self, points: Tensor) -> Tensor:
        """F, shape (…, 2) to (…,)."""
        _, rho, angle = self._polar(points)
        return rho**self.power * (1 - self.amplitude * torch.sin(angle + self.winding * rho.log()))

    def gradient(self, points: Tensor) -> Tensor:
        """∇F, as the complex number e^{iφ} (∂F/∂r + (i/r) ∂F/∂φ); shape (…, 2)."""
        p, c, a = self.power, self.winding, self.amplitude
        r, rho, angle = self._polar(points)
        phase = angle + c * rho.log()
        cosine, height = a * phase.cos(), rho**p
        along_r = height / rho * (p - p * a * phase.sin() - c * cosine)
        along_angle = -height * cosine / r
        return torch.view_as_real(torch.view_as_complex(points) / r * torch.complex(along_r, along_angle))

    def floor(self, distances: Tensor) -> Tensor:
        """Points of the valley at ρ = ``distances``, shape (starts,) to (starts, 2): where its course is steady.

        There p (1 − a sin ψ) = a c cos ψ with ψ = φ + c ln ρ; of the two solutions, the stable one.
        """
        p, c, a = self.power, self.winding, self.amplitude
        phase = math.atan2(p, c) + math.acos(p / (a * math.hypot(p, c)))
        angle = phase - c * distances.log()
        return (1 + distances)[:, None] * torch.stack([angle.cos(), angle.sin()], dim=-1)

    @staticmethod
    def _polar(points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """r, ρ and φ; ρ is kept from 0, where its powers vanish all the same."""
        z = torch.view_as_complex(points)
        r = z.abs()
        return r, (r - 1).clamp(min=1e-100), z.angle()


@dataclass(frozen=True)
class TanhNetwork:
    """F(θ) = (1/n) Σ_i (vᵀ tanh(W x_i) − y_i)², one hidden layer, as a function of θ = (vec W, v)."""

    inputs: Tensor
    """x_i in rows, shape (n, d_0)."""
    targets: Tensor
    """y_i, shape (n,)."""
    width: int

    @property
    def size(self) -> int:
        """Number of parameters, width · (d_0 + 1)."""
        return self.width * (self.inputs.shape[1] + 1)

    @property
    def dimension(self) -> int:
        """The same, as the solvers of :mod:`~dlopt.algorithms.finite_sums` call it."""
        return self.size

    @property
    def samples(self) -> int:
        """n."""
        return len(self.targets)

    def value(self, points: Tensor) -> Tensor:
        """F, shape (…, size) to (…,)."""
        return self._pass(points)[2].square().mean(dim=-1)

    __call__ = value

    def gradient(self, points: Tensor) -> Tensor:
        """∇F by equation (11), shape (…, size)."""
        last, hidden, error = self._pass(points)
        signal = 2 * error / len(self.targets)
        for_last = (signal[..., None] * hidden).sum(dim=-2)
        back = signal[..., None] * last[..., None, :] * (1 - hidden.square())
        for_first = back.transpose(-1, -2) @ self.inputs
        return torch.cat([for_first.flatten(start_dim=-2), for_last], dim=-1)

    def _pass(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """v, tanh(W x_i) of shape (…, n, width), and the errors of shape (…, n)."""
        split = self.width * self.inputs.shape[1]
        first = points[..., :split].unflatten(-1, (self.width, -1))
        last = points[..., split:]
        hidden = torch.tanh(self.inputs @ first.transpose(-1, -2))
        return last, hidden, (hidden * last[..., None, :]).sum(dim=-1) - self.targets


class Escape:
    """F = B + Σ_t ψ_t ≥ 0 with F(t) = B(t), F'(t) = −t², F''(t) = t² at every integer t ≥ 2: steeper and steeper.

    B(w) = √(w² + 4) − w is convex, positive and decreasing, about 2/w far out.  ψ_t is the parabola in w − t that
    adds the missing slope and curvature, cut off smoothly: whole up to |w − t| = ½ t⁻³, zero from t⁻³ on, never below
    −1/t.
    The step 1/|F''| leads from each integer to the next, and the steps Σ t⁻² sum to a finite number.
    """

    def __call__(self, points: Tensor) -> Tensor:
        """F, shape (…, 1) to (…,)."""
        w = points[..., 0]
        root = (w**2 + 4).sqrt()
        t = w.detach().round().clamp(min=2)
        at = (t**2 + 4).sqrt()
        slope, curvature = 1 - t / at - t**2, t**2 - 4 / at**3
        s = w - t
        return root - w + (slope * s + 0.5 * curvature * s**2) * _plateau(s * t**3)

    def curvature(self, points: Tensor) -> Tensor:
        """|F''|, shape (…, 1) to (…,)."""
        with torch.enable_grad():
            leaf = points.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self(leaf).sum(), leaf, create_graph=True)
            (second,) = torch.autograd.grad(slope.sum(), leaf)
        return second[..., 0].abs()


def _plateau(u: Tensor) -> Tensor:
    """A twice continuously differentiable plateau: 1 for |u| ≤ ½, 0 for |u| ≥ 1, a quintic between."""
    x = (2 * u.abs() - 1).clamp(0, 1)
    return 1 - x**3 * (10 - 15 * x + 6 * x**2)
