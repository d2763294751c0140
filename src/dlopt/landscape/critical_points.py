"""Critical points of a loss, of every index: zeros of its gradient, found without going downhill.

Descent finds minima only.  To find saddles one minimizes ‖∇F‖², which knows no up and down.  That function has local
minima of its own where ∇F is not zero but lies in the kernel of the Hessian: gradient-flat points, which are no
critical points and must be sorted out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import grad, jacrev, vmap

from dlopt.landscape.levenberg_marquardt import levenberg_marquardt

__all__ = ["Found", "GradientEquations", "find_critical_points"]

Function = Callable[[Tensor], Tensor]
"""F: maps one point (P,) to a number, by operations that torch.func differentiates twice."""


class GradientEquations:
    """∇F(θ) = 0 as a problem of least squares: the residual is the gradient, its Jacobian the Hessian.

    Args:
        function: F.
    """

    def __init__(self, function: Function) -> None:
        self.residual = vmap(grad(function))
        self.jacobian = vmap(jacrev(grad(function)))


class Found(NamedTuple):
    """Where the search from each start ended."""

    points: Tensor
    """θ, (starts, P)."""
    values: Tensor
    """F(θ), (starts,)."""
    gradient_norms: Tensor
    """‖∇F(θ)‖, (starts,): zero to rounding at a critical point."""
    flatness: Tensor
    """‖∇²F ∇F‖ / ‖∇F‖, (starts,): zero at a gradient-flat point."""
    eigenvalues: Tensor
    """Of the Hessian, ascending, (starts, P)."""

    def index(self, tolerance: float = 1e-6) -> Tensor:
        """The share of eigenvalues below -tolerance, (starts,): 0 at a minimum, 1 at a maximum."""
        return (self.eigenvalues < -tolerance).double().mean(dim=-1)


def find_critical_points(
    function: Function, starts: Tensor, *, rounds: int = 6, steps: int = 25, tolerance: float = 1e-8
) -> Found:
    """Minimizes ½ ‖∇F‖² from every start by Levenberg–Marquardt, θ ← θ − (H² + μI)⁻¹ H ∇F, on all starts at once.

    After each round the starts with ‖∇F‖ < ``tolerance`` are left where they are and the others go on.

    Args:
        function: F.
        starts: (starts, P), double precision.
        rounds, steps: each round takes so many steps.
        tolerance: what counts as zero.

    Source: Dauphin et al., "Identifying and attacking the saddle point problem in high-dimensional non-convex
    optimization" (2014), whose critical points Newton's method found; Frye et al., "Critical point-finding methods
    reveal gradient-flat regions of deep network losses" (2021), for what else such a search may find.
    """
    equations = GradientEquations(function)
    points = starts.clone()
    searching = torch.arange(len(starts), device=starts.device)
    for number in range(rounds):
        ends = levenberg_marquardt(
            equations, points[searching], steps=steps, damping=1e-2 if number == 0 else 1e-4
        )
        points[searching] = ends.theta
        searching = searching[ends.value.sqrt() >= tolerance]
        if len(searching) == 0:
            break
    gradients, hessians = equations.residual(points), equations.jacobian(points)
    norms = gradients.norm(dim=-1)
    flatness = (hessians @ gradients[..., None])[..., 0].norm(dim=-1) / norms
    return Found(points, vmap(function)(points), norms, flatness, torch.linalg.eigvalsh(hessians))
