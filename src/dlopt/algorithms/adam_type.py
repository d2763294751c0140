"""The conditions under which Chen, Liu, Sun and Hong prove that Adam-type methods converge.

An Adam-type method takes the step α_t m_t / √v_t with m_t = β₁ m_{t−1} + (1 − β₁) g_t and any v_t that depends on
g_1, …, g_t.  Three sums over its run decide:

    A(T) = Σ_t ‖α_t g_t / √v_t‖²,   B(T) = Σ_t ‖α_t / √v_t − α_{t−1} / √v_{t−1}‖₁,   S(T) = Σ_t min_k α_t / √v_{t,k}.

The gradients vanish, with min_t E‖∇F(θ_t)‖² = O((1 + A + B)/S), if (1 + A + B)/S → 0; a third sum, of the squared
oscillations, is no larger than B up to a constant.

Source: the sufficient conditions of Chen, Liu, Sun and Hong (2018); section 5.4 of the survey.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from scipy.signal import lfilter
from torch import Tensor

__all__ = ["SCALES", "ConvergenceSums", "convergence_sums", "second_moments"]

SCALES = ("Adam", "AMSGrad", "AdaFom")
"""The methods whose v_t :func:`second_moments` knows."""


def second_moments(gradients: Tensor, method: str, beta2: float = 0.999) -> Tensor:
    """v_t of a method along given gradients, which need not come from it.

    Args:
        gradients: g_1, g_2, …, shape (steps, …).
        method: one of :data:`SCALES`: β₂ v_{t−1} + (1 − β₂) g_t², the largest of these so far, or the plain average.
        beta2: β₂.

    Returns:
        v_1, v_2, …, of the gradients' shape.

    Raises:
        ValueError: there is no such method.
    """
    if method not in SCALES:
        raise ValueError(f"there is no method {method!r}: choose one of {', '.join(SCALES)}.")
    squares = gradients.square()
    if method == "AdaFom":
        count = torch.arange(1, len(squares) + 1, dtype=squares.dtype)
        return squares.cumsum(dim=0) / count.view(-1, *[1] * (squares.ndim - 1))
    averages = torch.from_numpy(lfilter([1 - beta2], [1, -beta2], squares.numpy(), axis=0))
    return averages.cummax(dim=0).values if method == "AMSGrad" else averages


class ConvergenceSums(NamedTuple):
    """The three sums until every step T, each of shape (steps,)."""

    squared_steps: Tensor
    """A(T)."""
    oscillation: Tensor
    """B(T)."""
    effective_steps: Tensor
    """S(T)."""

    @property
    def ratio(self) -> Tensor:
        """(1 + A + B)/S, shape (steps,): convergence is proved where it tends to 0."""
        return (1 + self.squared_steps + self.oscillation) / self.effective_steps


def convergence_sums(gradients: Tensor, scales: Tensor, alphas: Tensor) -> ConvergenceSums:
    """A, B and S of a run.

    Args:
        gradients: g_t, shape (steps, d).
        scales: v_t, shape (steps, d).
        alphas: α_t, shape (steps,).

    Returns:
        The sums.
    """
    steps = alphas[:, None] / scales.sqrt()
    oscillation = torch.cat([steps.new_zeros(1), (steps[1:] - steps[:-1]).abs().sum(dim=1)])
    return ConvergenceSums(
        (steps * gradients).square().sum(dim=1).cumsum(dim=0),
        oscillation.cumsum(dim=0),
        steps.min(dim=1).values.cumsum(dim=0),
    )
