"""Hessian-free optimization: truncated Newton–CG with Gauss–Newton products and Levenberg–Marquardt damping."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.optim import Optimizer

from dlopt.curvature import GaussNewton

__all__ = ["HessianFree", "Truncated", "truncated_cg"]


class Truncated(NamedTuple):
    """What conjugate gradients left on the way to A x = b."""

    iterates: list[Tensor]
    """Some of the x_i, the last one included: those whose numbers grow by a factor of 1.3."""
    models: Tensor
    """φ(x_i) = ½ x_iᵀ A x_i − bᵀ x_i for i = 1, 2, …"""
    residuals: Tensor
    """‖A x_i − b‖ for i = 1, 2, …"""


def truncated_cg(
    product: Callable[[Tensor], Tensor],
    b: Tensor,
    start: Tensor,
    *,
    most: int = 250,
    tolerance: float = 5e-4,
) -> Truncated:
    """Conjugate gradients on φ(x) = ½ xᵀ A x − bᵀ x, stopped when φ itself hardly falls any more.

    It stops at i when, over the last k = max(10, ⌈i/10⌉) iterations, φ has fallen by less than k · tolerance · |φ|:
    the residual ‖A x − b‖, the usual criterion, may grow while φ falls, and it is φ that the step is meant to lower.

    Args:
        product: v ↦ A v, A symmetric and positive definite.
        b: (P,).
        start: x_0, (P,).
        most: iterations at most.
        tolerance: ε.

    Source: Martens, Deep learning via Hessian-free optimization (2010), section 4.4.
    """
    x, r = start, b - product(start)
    direction, squared = r, r @ r
    iterates, models, residuals, keep_next = [], [], [], 1.0
    for i in range(1, most + 1):
        if squared == 0:
            break
        image = product(direction)
        alpha = squared / (direction @ image)
        x = x + alpha * direction
        r = r - alpha * image
        previous, squared = squared, r @ r
        direction = r + squared / previous * direction
        models.append(-0.5 * (x @ (b + r)))
        residuals.append(squared.sqrt())
        if i >= keep_next:
            iterates.append(x)
            keep_next = max(1.3 * keep_next, i + 1)
        k = max(10, -(-i // 10))
        if i > k and models[-1] < 0 and models[-1] - models[-1 - k] > k * tolerance * models[-1]:
            break
    if not iterates or iterates[-1] is not x:
        iterates.append(x)
    return Truncated(iterates, torch.stack(models or [b.new_zeros(())]), torch.stack(residuals or [r.norm()]))


class HessianFree(Optimizer):
    """θ ← θ + α d, where d nearly minimizes M(d) = ∇Fᵀd + ½ dᵀ(G + λI)d and G is the Gauss–Newton matrix.

    No matrix is formed and none is approximated: G enters through products alone, which conjugate gradients ask for.
    That makes it a truncated Newton method; a quasi-Newton method would build an estimate of the Hessian or its
    inverse from gradients.

    A step: conjugate gradients from ``decay`` times the last solution; go back along their iterates while F falls;
    halve α until F has fallen by 1 % of what the slope promises; then compare the fall of F with that of M,
    ρ = (F(θ + d) − F(θ)) / M(d), and set λ ← 3/2 λ where ρ < ¼, λ ← 2/3 λ where ρ > ¾.

    Args:
        params: parameters or groups of them; all of them form one θ.
        damping: the first λ.
        decay: of the last solution, as the next start.
        most: iterations of conjugate gradients at most.
        tolerance: of :func:`truncated_cg`.

    ``state[first parameter]`` keeps λ as "damping", the last solution, and the work so far: "gradients",
    "products" with G, and "values", evaluations of F without a gradient.

    Raises:
        ValueError: λ < 0.

    Source: Martens, Deep learning via Hessian-free optimization (2010), without its preconditioner.
    """

    def __init__(
        self,
        params: Iterable,
        *,
        damping: float = 1.0,
        decay: float = 0.95,
        most: int = 250,
        tolerance: float = 5e-4,
    ) -> None:
        if damping < 0:
            raise ValueError(f"the damping λ must not be negative, as {damping} is.")
        super().__init__(params, {})
        self.decay, self.most, self.tolerance = decay, most, tolerance
        start = torch.zeros_like(parameters_to_vector(self._parameters()).detach())
        self.state[self._parameters()[0]] = {
            "damping": damping, "solution": start, "gradients": 0, "products": 0, "values": 0, "iterations": 0,
        }  # fmt: skip

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def step(self, closure: Callable[[], tuple[Tensor, Tensor]]) -> Tensor:
        """One step.

        Args:
            closure: computes the outputs z and from them F, convex in z, and returns (F, z) with their graphs.  It
                is called again to evaluate F, so it must be deterministic.

        Returns:
            F before the step.
        """
        parameters = self._parameters()
        state = self.state[parameters[0]]
        with torch.enable_grad():
            loss, outputs = closure()
            pieces = torch.autograd.grad(loss, parameters, retain_graph=True)
            gauss_newton = GaussNewton(loss, outputs, parameters)
        gradient = torch.cat([piece.flatten() for piece in pieces])

        def damped(v: Tensor) -> Tensor:
            state["products"] += 1
            return gauss_newton(v) + state["damping"] * v

        solved = truncated_cg(
            damped, -gradient, self.decay * state["solution"], most=self.most, tolerance=self.tolerance
        )
        theta = parameters_to_vector(parameters).detach()
        value = self._evaluator(closure, parameters, theta)
        direction, reached = _backtracked(solved.iterates, value)
        model = gradient @ direction + 0.5 * direction @ damped(direction)
        ratio = (reached - loss.detach()) / model
        state["damping"] *= 1.5 if ratio < 0.25 else 2 / 3 if ratio > 0.75 else 1.0
        alpha, slope = 1.0, gradient @ direction
        while reached > loss.detach() + 0.01 * alpha * slope and alpha > 1e-8:
            alpha /= 2
            reached = value(alpha * direction)
        _set(parameters, theta + alpha * direction if reached <= loss.detach() else theta)
        state["solution"] = solved.iterates[-1]
        state["gradients"] += 1
        state["iterations"] = len(solved.models)
        return loss.detach()

    def _evaluator(
        self, closure: Callable[[], tuple[Tensor, Tensor]], parameters: list[Tensor], theta: Tensor
    ) -> Callable[[Tensor], Tensor]:
        """d ↦ F(θ + d), counted."""

        @torch.no_grad()
        def value(direction: Tensor) -> Tensor:
            _set(parameters, theta + direction)
            self.state[parameters[0]]["values"] += 1
            return closure()[0]

        return value


def _backtracked(iterates: list[Tensor], value: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """The iterate at which F stops falling when one goes back from the last of them, and F there."""
    best, reached = iterates[-1], value(iterates[-1])
    for earlier in reversed(iterates[:-1]):
        candidate = value(earlier)
        if candidate >= reached:
            break
        best, reached = earlier, candidate
    return best, reached


@torch.no_grad()
def _set(parameters: list[Tensor], theta: Tensor) -> None:
    """θ into the parameters, in place."""
    vector_to_parameters(theta, parameters)
