"""SGD with momentum in the forms in which it is written, and the one recurrence behind them.

The survey, Polyak, Nesterov, Sutskever and PyTorch write momentum with different letters and different step sizes.
Let y_t be the point at which the gradient g_t is taken.  Every form then obeys

    y_{t+1} = y_t + β (y_t − y_{t−1}) − a g_t + b g_{t−1},   y_{−1} = y_0,   g_{−1} = 0,

and two forms are the same method exactly when their (β, a, b) are equal.  :class:`Momentum` is this triple.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np
import torch
from torch import Tensor

from dlopt.algorithms.compiled import array, arrays, batch_gradient, indices
from dlopt.algorithms.finite_sums import LinearModel, Run
from dlopt.algorithms.stochastic_gradient import recorded_run

__all__ = [
    "Momentum",
    "averaged_steps",
    "heavy_ball_steps",
    "momentum_sgd",
    "nesterov_steps",
    "sutskever_steps",
]

Gradient = Callable[[int, Tensor], Tensor]
"""The gradient of step t at a point: (t, θ) to ∇F_{i_t}(θ)."""

Parameter = Tensor | float
"""A number, or a tensor with one for every method of a grid."""


@dataclass(frozen=True)
class Momentum:
    """y_{t+1} = y_t + β (y_t − y_{t−1}) − a g_t + b g_{t−1}: a method, or a grid of them if the three are tensors."""

    beta: Parameter
    """β, how much of the last move is repeated."""
    newest: Parameter
    """a, the step along the gradient just taken."""
    previous: Parameter = 0.0
    """b, how much of the gradient before it is taken back."""

    @classmethod
    def gradient_descent(cls, eta: Parameter) -> Momentum:
        """y − η g: no memory."""
        return cls(0.0 * eta, eta)

    @classmethod
    def heavy_ball(cls, eta: Parameter, beta: Parameter) -> Momentum:
        """θ_{t+1} = θ_t − η g_t + β (θ_t − θ_{t−1}), Polyak 1964; y = θ."""
        return cls(beta, eta)

    @classmethod
    def averaged(cls, alpha: Parameter, beta: Parameter) -> Momentum:
        """m_t = β m_{t−1} + (1 − β) g_t, θ_{t+1} = θ_t − α m_t: section 5.3 of the survey; y = θ."""
        return cls(beta, alpha * (1 - beta))

    @classmethod
    def nesterov(cls, eta: Parameter, beta: Parameter) -> Momentum:
        """θ_{t+1} = y_t − η g_t, y_{t+1} = θ_{t+1} + β (θ_{t+1} − θ_t)."""
        return cls(beta, (1 + beta) * eta, beta * eta)

    @classmethod
    def torch_sgd(
        cls, lr: Parameter, momentum: Parameter = 0.0, dampening: Parameter = 0.0, nesterov: bool = False
    ) -> Momentum:
        """``torch.optim.SGD`` with the same arguments; y is the parameter that it holds.

        It damps every gradient but the first, so with ``dampening`` the first step is longer than the recurrence's.

        Raises:
            ValueError: Nesterov's form with dampening, which PyTorch refuses too.
        """
        if nesterov and dampening != 0:
            raise ValueError("Nesterov momentum takes no dampening.")
        return cls.nesterov(lr, momentum) if nesterov else cls(momentum, lr * (1 - dampening))

    def as_averaged(self) -> dict[str, Parameter]:
        """The survey's α and β.

        Raises:
            ValueError: the method looks at two gradients, or β is 1.
        """
        self._check_single()
        if self.beta == 1:
            raise ValueError("an average with β = 1 takes in no gradient.")
        return {"alpha": self.newest / (1 - self.beta), "beta": self.beta}

    def as_torch_sgd(self) -> dict[str, Parameter | bool]:
        """The arguments of ``torch.optim.SGD`` that give these iterates from the first step on.

        Raises:
            ValueError: ``torch.optim.SGD`` has no such method.
        """
        if self.previous == 0:
            return {"lr": self.newest, "momentum": self.beta, "dampening": 0.0, "nesterov": False}
        lr = self.newest - self.previous
        if abs(self.previous - self.beta * lr) > 1e-12 * abs(lr):
            raise ValueError("torch.optim.SGD has b = 0 or, with nesterov, a = (1 + β) η and b = β η.")
        return {"lr": lr, "momentum": self.beta, "dampening": 0.0, "nesterov": True}

    def _check_single(self) -> None:
        if self.previous != 0:
            raise ValueError("this form has b = 0: it looks at one gradient only.")


def averaged_steps(gradient: Gradient, start: Tensor, alpha: float, beta: float, steps: int) -> Tensor:
    """The survey's SGD with momentum: m_t = β m_{t−1} + (1 − β) g_t and θ_{t+1} = θ_t − α m_t, with m_{−1} = 0.

    Args:
        gradient: (t, θ) to g_t.
        start: θ_0, shape (d,).
        alpha, beta: α and β.
        steps: how many.

    Returns:
        θ_0, …, θ_steps, shape (steps + 1, d).
    """
    theta, m, iterates = start, torch.zeros_like(start), [start]
    for t in range(steps):
        m = beta * m + (1 - beta) * gradient(t, theta)
        theta = theta - alpha * m
        iterates.append(theta)
    return torch.stack(iterates)


def heavy_ball_steps(gradient: Gradient, start: Tensor, eta: float, beta: float, steps: int) -> Tensor:
    """θ_{t+1} = θ_t − η g_t + β (θ_t − θ_{t−1}) with θ_{−1} = θ_0; arguments and result as in averaged_steps.

    Source: Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.
    """
    before, theta, iterates = start, start, [start]
    for t in range(steps):
        theta, before = theta - eta * gradient(t, theta) + beta * (theta - before), theta
        iterates.append(theta)
    return torch.stack(iterates)


def nesterov_steps(
    gradient: Gradient, start: Tensor, eta: float, beta: float, steps: int
) -> tuple[Tensor, Tensor]:
    """Two sequences: θ_{t+1} = y_t − η g_t with g_t taken at y_t, and y_{t+1} = θ_{t+1} + β (θ_{t+1} − θ_t).

    Returns:
        θ_t and y_t, shape (steps + 1, d) each, from θ_0 = y_0 = start.
    """
    theta, y, thetas, ys = start, start, [start], [start]
    for t in range(steps):
        moved = y - eta * gradient(t, y)
        y, theta = moved + beta * (moved - theta), moved
        thetas.append(theta)
        ys.append(y)
    return torch.stack(thetas), torch.stack(ys)


def sutskever_steps(gradient: Gradient, start: Tensor, eta: float, beta: float, steps: int) -> Tensor:
    """Nesterov's method with a velocity: v_{t+1} = β v_t − η ∇F_{i_t}(θ_t + β v_t) and θ_{t+1} = θ_t + v_{t+1}.

    Returns:
        θ_0, …, θ_steps, shape (steps + 1, d).

    Source: Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum in deep learning",
    2013.
    """
    theta, v, iterates = start, torch.zeros_like(start), [start]
    for t in range(steps):
        v = beta * v - eta * gradient(t, theta + beta * v)
        theta = theta + v
        iterates.append(theta)
    return torch.stack(iterates)


def momentum_sgd(
    problem: LinearModel, start: Tensor, method: Momentum, order: Tensor, *, every: int | None = None
) -> Run:
    """Any method of the form above on mini-batches, for all members of ``order`` from one start, compiled.

    Args:
        problem: the finite sum.
        start: y_0, shape (d,) or (members, d).
        method: (β, a, b), each a number.
        order: the samples of each step, shape (members, steps, batch); see :mod:`dlopt.algorithms.sampling`.
        every: record every so many steps; an epoch when absent.

    Returns:
        The run of the y_t, with members on the second axis.

    Raises:
        ValueError: the order names a sample that is not there.
    """
    members, _, batch = order.shape
    every = every or max(1, problem.samples // batch)
    y = array(start.expand(members, problem.dimension)).copy()
    triple = float(method.beta), float(method.newest), float(method.previous)
    iterates = _momentum(*arrays(problem), y, *triple, indices(order, problem.samples), every)
    return recorded_run(problem, iterates, batch * every)


@numba.njit
def _momentum(inputs, targets, loss, ridge, y, beta, newest, previous, order, every):
    members, steps, _ = order.shape
    d = inputs.shape[1]
    recorded = np.empty((steps // every + 1, members, d))
    recorded[0] = y
    gradient = np.empty(d)
    for member in range(members):
        carried = np.zeros(d)  # β (y_t − y_{t−1}) + b g_{t−1}
        for t in range(steps):
            batch_gradient(inputs, targets, loss, ridge, y[member], order[member, t], gradient)
            for k in range(d):
                move = carried[k] - newest * gradient[k]
                y[member, k] += move
                carried[k] = beta * move + previous * gradient[k]
            if (t + 1) % every == 0:
                recorded[(t + 1) // every, member] = y[member]
    return recorded
