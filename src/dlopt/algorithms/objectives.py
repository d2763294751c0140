"""Small functions on which gradient descent shows what it can and cannot do.

Each maps points of shape (…, d) to values of shape (…,), so that :func:`~dlopt.algorithms.gradient_descent.descend`
runs from many starts at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = [
    "Escape",
    "SpiralValley",
    "TanhNetwork",
    "matrix_factorization",
    "mexican_hat",
    "one_minus_sixth_power",
    "one_minus_sixth_power_gradient",
    "scalar_chain",
    "scalar_chain_hessian",
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


def scalar_chain_hessian(points: Tensor) -> Tensor:
    """∇²F of (13): P_i P_j + (P − 1) P_ij, with P the product, P_i and P_ij the product without w_i, without both.

    Args:
        points: w, shape (…, L).

    Returns:
        Shape (…, L, L).
    """
    count = points.shape[-1]
    without = points[..., None, :].expand(*points.shape, count).clone()
    without.diagonal(dim1=-2, dim2=-1).fill_(1.0)
    one_out = without.prod(dim=-1)
    two_out = without[..., None, :].expand(*without.shape, count).clone()
    two_out.diagonal(dim1=-2, dim2=-1).fill_(1.0)
    mixed = two_out.prod(dim=-1)
    mixed.diagonal(dim1=-2, dim2=-1).zero_()
    error = points.prod(dim=-1)[..., None, None] - 1
    return one_out[..., :, None] * one_out[..., None, :] + error * mixed


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


def with_ridge(function: Callable[[Tensor], Tensor], strength: float) -> Callable[[Tensor], Tensor]:
    """F(θ) + λ‖θ‖²: when F ≥ 0, its level set {· ≤ c} lies in the ball of radius √(c/λ)."""

    def regularized(points: Tensor) -> Tensor:
        return function(points) + strength * points.square().sum(dim=-1)

    return regularized


def mexican_hat(points: Tensor, amplitude: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """The hat of Absil, Mahony and Andrews: e^{−1/(1−r²)} (1 − a(r) sin(φ − 1/(1−r²))) inside the unit circle, else 0.

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
    if amplitude is None:
        share = 4 * squared**2 / (4 * squared**2 + gap**4)
    else:
        share = amplitude(squared.sqrt())
    angle = torch.atan2(points[..., 1], points[..., 0])
    inside = torch.exp(-1 / gap) * (1 - share * torch.sin(angle - 1 / gap))
    return torch.where(squared < 1, inside, 0.0)


@dataclass(frozen=True)
class SpiralValley:
    """F = ρ^p (1 − a sin(φ + c ln ρ)) with ρ = |1 − r|, in polar coordinates: a valley that winds around r = 1.

    F ≥ 0 vanishes on the whole circle r = 1 and nowhere else, and is twice continuously differentiable there for
    p > 2.  When a √(p² + c²) > p gradient descent follows the valley: φ grows like (c/p) ln t.  With c = 0 the walls do
    not wind, and it arrives.
    """

    power: float = 4.0
    winding: float = 12.0
    amplitude: float = 0.6

    def __call__(self, points: Tensor) -> Tensor:
        """F, shape (…, 2) to (…,)."""
        rho, angle = self._polar(points)
        return rho**self.power * (1 - self.amplitude * torch.sin(angle + self.winding * rho.log()))

    def gradient(self, points: Tensor) -> Tensor:
        """∇F in Cartesian coordinates, shape (…, 2)."""
        p, c, a = self.power, self.winding, self.amplitude
        rho, angle = self._polar(points)
        phase = angle + c * rho.log()
        r = torch.linalg.vector_norm(points, dim=-1)
        by_rho = rho ** (p - 1) * (p * (1 - a * phase.sin()) - a * c * phase.cos())
        by_angle = -(rho**p) * a * phase.cos()
        radial = torch.sign(r - 1) * by_rho / r
        tangential = by_angle / r**2
        x, y = points.unbind(dim=-1)
        return torch.stack([radial * x - tangential * y, radial * y + tangential * x], dim=-1)

    @staticmethod
    def _polar(points: Tensor) -> tuple[Tensor, Tensor]:
        r = torch.linalg.vector_norm(points, dim=-1)
        rho = (1 - r).abs().clamp(min=1e-300)
        return rho, torch.atan2(points[..., 1], points[..., 0])


@dataclass(frozen=True)
class TanhNetwork:
    """F(θ) = (1/n) Σ_i (vᵀ tanh(W x_i) − y_i)², one hidden layer of ``width`` units, as a function of θ = (vec W, v)."""

    inputs: Tensor
    """x_i in rows, shape (n, d_0)."""
    targets: Tensor
    """y_i, shape (n,)."""
    width: int

    @property
    def size(self) -> int:
        """Number of parameters, width · (d_0 + 1)."""
        return self.width * (self.inputs.shape[1] + 1)

    def __call__(self, points: Tensor) -> Tensor:
        """F, shape (…, size) to (…,)."""
        return self._pass(points)[2].square().mean(dim=-1)

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
    """A smooth F ≥ 0 with F(t) = 2/t, F'(t) = −t², F''(t) = t² at the integers t ≥ 2, flat valleys between them.

    F(w) = 2/w + ψ_t(w − t), t the integer nearest to w: ψ_t is the parabola with the missing slope and curvature,
    cut off smoothly beyond |w − t| = ½ t⁻³ and zero from t⁻³ on.  The step 1/|F''(w)| leads from each integer to the
    next.
    """

    def __call__(self, points: Tensor) -> Tensor:
        """F, shape (…, 1) to (…,); defined for w ≥ 3/2."""
        w = points[..., 0]
        t = w.detach().round()
        s = w - t
        slope, curvature = -(t**2) + 2 / t**2, t**2 - 4 / t**3
        return 2 / w + (slope * s + 0.5 * curvature * s**2) * _plateau(s * t**3)

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
