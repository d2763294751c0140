"""Is this point a local minimum?  What derivatives prove, and what perturbations only suggest.

A vanishing gradient and a positive definite Hessian prove a strict local minimum; a negative eigenvalue proves that
there is none.  A singular Hessian proves nothing in either direction: there a separate argument is needed, as in
:mod:`dlopt.landscape.coinciding_neurons` and :mod:`dlopt.landscape.piecewise_linear_minima`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.functional import hessian

from dlopt import runtime

__all__ = ["Certificate", "certify", "perturbation_test", "polish"]

Scalar = Callable[[Tensor], Tensor]
"""F: a point (P,) ↦ a scalar tensor, twice differentiable."""


@dataclass(frozen=True)
class Certificate:
    """What first and second derivatives say about a point.

    Attributes:
        verdict: "strict minimum", "saddle" (negative curvature, so no minimum; a maximum counts here too),
            "degenerate" (no negative curvature, but flat directions: derivatives up to the second do not decide) or
            "not critical".
        loss: F(θ).
        gradient_norm: ‖∇F(θ)‖.
        smallest: smallest eigenvalue μ of ∇²F(θ).
        largest: its largest eigenvalue.
    """

    verdict: str
    loss: float
    gradient_norm: float
    smallest: float
    largest: float

    @property
    def distance(self) -> float:
        """2‖∇F‖/μ: at a strict minimum, an exact critical point lies no further away.

        It holds as long as the Hessian's Lipschitz constant around θ is at most :attr:`lipschitz_allowed`.

        Source: Kantorovich's theorem on Newton's method.
        """
        return 2 * self.gradient_norm / self.smallest if self.smallest > 0 else float("inf")

    @property
    def lipschitz_allowed(self) -> float:
        """μ²/(2‖∇F‖): how fast the Hessian may change before :attr:`distance` is no longer proved."""
        return self.smallest**2 / (2 * self.gradient_norm) if self.gradient_norm > 0 else float("inf")


def certify(loss: Scalar, point: Tensor, *, tolerance: float = 1e-8, flat: float = 1e-8) -> Certificate:
    """The verdict of gradient and Hessian on ``point``.

    Args:
        loss: F, twice differentiable near the point.
        point: θ, (P,), in double precision; P backward passes and a P × P eigenvalue problem.
        tolerance: a gradient with a larger norm is "not critical".
        flat: eigenvalues of at most ``flat`` · max(1, max abs λ) in absolute value count as zero.

    Raises:
        ValueError: the point is not a vector.
    """
    if point.ndim != 1:
        raise ValueError(f"a point is one vector, not a tensor of shape {tuple(point.shape)}.")
    variable = point.detach().clone().requires_grad_()
    value = loss(variable)
    (gradient,) = torch.autograd.grad(value, variable)
    eigenvalues = torch.linalg.eigvalsh(hessian(loss, point.detach()))
    smallest, largest = eigenvalues[0].item(), eigenvalues[-1].item()
    norm = gradient.norm().item()
    zero = flat * max(1.0, abs(smallest), abs(largest))
    if norm > tolerance:
        verdict = "not critical"
    elif smallest < -zero:
        verdict = "saddle"
    elif smallest > zero:
        verdict = "strict minimum"
    else:
        verdict = "degenerate"
    return Certificate(verdict, value.item(), norm, smallest, largest)


def polish(loss: Scalar, point: Tensor, *, steps: int) -> Tensor:
    """θ ← θ - ∇²F(θ)⁻¹ ∇F(θ): Newton's steps from a point near a nondegenerate critical point, (P,).

    They bring the gradient down to rounding; they are drawn to saddles as well, so the end must be certified.
    """
    point = point.detach().clone()
    for _ in range(steps):
        variable = point.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(variable), variable)
        point = point - torch.linalg.solve(hessian(loss, point), gradient)
    return point


@torch.no_grad()
def perturbation_test(losses: Scalar, point: Tensor, radii: Sequence[float], count: int, seed: int) -> Tensor:
    """max_u (F(θ) - F(θ + r u)) over random unit vectors u: the largest decrease found at each radius, (radii,).

    Evidence, not proof: a positive value refutes a local minimum at that radius, a negative one says only that
    no descent was met.  In many dimensions random directions miss a narrow way down almost surely.

    Args:
        losses: F at many points as one batch, (k, P) ↦ (k,).
        point: θ, (P,).
        radii: r, each tried with its own directions.
        count: directions for each radius.
        seed: of the directions.
    """
    shape = (len(radii), count, len(point))
    directions = torch.randn(shape, generator=runtime.generator(seed), dtype=torch.float64).to(point)
    directions = directions / directions.norm(dim=-1, keepdim=True)
    here = losses(point.unsqueeze(0))[0]
    return torch.stack(
        [here - losses(point + radius * unit).min() for radius, unit in zip(radii, directions, strict=True)]
    )
