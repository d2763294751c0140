"""Learning-rate schedules of section 5.1: the step size α_t as a function of the step t = 0, 1, ….

Each factory returns a plain function, which :func:`dlopt.algorithms.stochastic_gradient.sgd` and
:func:`dlopt.training.train` take as their step size.  :class:`DivideWhenStuck` alone has a state: it looks at losses.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = [
    "DivideWhenStuck", "Schedule", "constant", "cosine_restarts", "exponential", "inverse_power", "joined",
    "one_cycle", "step_decay", "triangular", "warmup",
]  # fmt: skip

Schedule = Callable[[int], float]
"""t = 0, 1, … to α_t."""


def constant(alpha: float) -> Schedule:
    """α_t = α."""
    return lambda t: alpha


def step_decay(alpha: float, every: int, factor: float = 0.1) -> Schedule:
    """α_t = α γ^⌊t/k⌋: divided by a constant every k steps, as in torch.optim.lr_scheduler.StepLR.

    Args:
        alpha: α.
        every: k, in steps.
        factor: γ; the survey's example divides by 10.
    """
    return lambda t: alpha * factor ** (t // every)


def exponential(alpha: float, factor: float) -> Schedule:
    """α_t = α γ^t, as in torch.optim.lr_scheduler.ExponentialLR."""
    return lambda t: alpha * factor**t


def inverse_power(alpha: float, power: float = 1.0, delay: float = 1.0) -> Schedule:
    """α_t = α / (1 + t/t_0)^p; p = 1 is the schedule of Robbins and Monro, p = ½ that of online learning.

    Args:
        alpha: α.
        power: p.
        delay: t_0, in steps; until then the step size is about α.
    """
    return lambda t: alpha / (1 + t / delay) ** power


def joined(first: Schedule, steps: int, then: Schedule) -> Schedule:
    """``first`` for so many steps, ``then`` from its own beginning, as in torch.optim.lr_scheduler.SequentialLR."""
    return lambda t: first(t) if t < steps else then(t - steps)


def warmup(schedule: Schedule, steps: int, share: float = 0.0) -> Schedule:
    """A straight line from ``share`` times the first step size of ``schedule`` to all of it, then ``schedule``.

    Args:
        schedule: what follows.
        steps: length of the line; its first point is t = 0, and at t = ``steps`` the schedule begins.
        share: 0 starts from rest, where the first step does nothing.

    Source: the gradual warmup of Goyal et al. 2017.
    """
    return joined(lambda t: schedule(0) * (share + (1 - share) * t / steps), steps, schedule)


def triangular(low: float, high: float, half: int) -> Schedule:
    """α_t = low + (high − low)(1 − |1 − (t mod 2s)/s|): up for s steps, down for s steps, without end.

    Args:
        low, high: the two thresholds.
        half: s; the period is 2s.

    Source: the policy "triangular" of Smith 2015 (CLR), who takes s to be 2 to 10 epochs.
    """
    return lambda t: low + (high - low) * (1 - abs(1 - (t % (2 * half)) / half))


def cosine_restarts(high: float, first: int, multiple: int = 1, low: float = 0.0) -> Schedule:
    """α_t = low + ½ (high − low)(1 + cos(π T_cur/T_i)): down a half cosine, and back up at once.

    The restarts come after T_0, T_0 (1 + m), T_0 (1 + m + m²), … steps.

    Args:
        high, low: the two thresholds.
        first: T_0, the length of the first descent.
        multiple: m = T_mult, by which each descent is longer than the one before.

    Raises:
        ValueError: T_0 or m is below 1: the descents would never reach t.

    Source: equation (5) of Loshchilov & Hutter 2016 (SGDR).
    """
    if first < 1 or multiple < 1:
        raise ValueError(
            f"descents need a first length and a multiple of 1 or more, not {first} and {multiple}."
        )

    def schedule(t: int) -> float:
        for i in itertools.count():
            length = first * multiple**i
            if t < length:
                return low + 0.5 * (high - low) * (1 + math.cos(math.pi * t / length))
            t -= length

    return schedule


def one_cycle(
    high: float,
    steps: int,
    *,
    rise: float = 0.3,
    first_share: float = 1 / 25,
    last_share: float = 4e-6,
    line: bool = False,
) -> Schedule:
    """Up once and down once over the whole run, ending far below where it began.

    Args:
        high: the largest step size, at the step ``rise · steps − 1``.
        steps: length of the run; at the step ``steps − 1`` the smallest step size is reached.
        rise: the share of the run that goes up.
        first_share, last_share: α_0 and α_{steps − 1} in units of ``high``.
        line: straight lines, as Smith and Topin draw them, instead of half cosines.

    The defaults are those of torch.optim.lr_scheduler.OneCycleLR.

    Source: Smith & Topin 2017 (1cycle).
    """
    top = rise * steps - 1

    def between(start: float, end: float, share: float) -> float:
        return end + (start - end) * (1 - share if line else 0.5 * (1 + math.cos(math.pi * share)))

    def schedule(t: int) -> float:
        if t <= top:
            return high * between(first_share, 1, t / top)
        return high * between(1, last_share, (t - top) / (steps - 1 - top))

    return schedule


class DivideWhenStuck:
    """Multiply α by γ after the loss has not improved for more than ``patience`` looks in a row.

    A look improves when the loss is below (1 − threshold) times the best one so far.  Members may be looked at
    together; each has its own α.  The rule is that of torch.optim.lr_scheduler.ReduceLROnPlateau.

    Args:
        alpha: α of every member at the start.
        factor: γ.
        patience: looks without improvement that are forgiven.
        threshold: the relative improvement that counts.
    """

    def __init__(
        self, alpha: float, factor: float = 0.1, patience: int = 10, threshold: float = 1e-4
    ) -> None:
        self.alpha = torch.tensor(alpha, dtype=torch.float64)
        self.factor, self.patience, self.threshold = factor, patience, threshold
        self._best = torch.tensor(math.inf, dtype=torch.float64)
        self._waited = torch.tensor(0)

    def __call__(self, losses: Tensor | float) -> Tensor:
        """Look at the losses, () or (members,), of loss functions that are not negative; α from here on."""
        losses = torch.as_tensor(losses, dtype=torch.float64)
        better = losses < (1 - self.threshold) * self._best
        self._best = torch.where(better, losses, self._best)
        self._waited = torch.where(better, 0, self._waited + 1)
        stuck = self._waited > self.patience
        self.alpha = torch.where(stuck, self.factor * self.alpha, self.alpha)
        self._waited = torch.where(stuck, 0, self._waited)
        return self.alpha
