"""Accelerated gradient descent with a clock, and what restarting the clock does."""

from __future__ import annotations

import pytest
import torch

from dlopt.algorithms import random_problems
from dlopt.algorithms.finite_sums import Quadratic
from dlopt.algorithms.restarted_acceleration import accelerated


@pytest.fixture(scope="module")
def quadratic():
    return random_problems.quadratic(torch.logspace(-4, 0, 30, dtype=torch.float64), seed=1)


@pytest.fixture(scope="module")
def starts():
    return torch.randn(4, 30, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_a_step_is_a_gradient_step_from_the_extrapolated_point_with_momentum_k_over_k_plus_3(
    quadratic, starts
):
    run = accelerated(quadratic, starts, 0.9, 6)
    for t in range(1, 6):
        before, now, after = run.iterates[t - 1 : t + 2]
        y = now + (t - 1) / (t + 2) * (now - before)
        torch.testing.assert_close(after, y - 0.9 * quadratic.gradient(y))
    assert run.gradient_evaluations.tolist() == [30 * t for t in range(7)]


def test_without_restarts_nesterovs_bound_is_kept(quadratic, starts):
    run = accelerated(quadratic, starts, 1.0, 2000)
    t = torch.arange(2001.0).double().unsqueeze(1)
    assert (run.values <= 2 * starts.square().sum(dim=-1) / (t + 1) ** 2).all()


def test_a_fixed_restart_is_the_method_run_anew_from_where_it_is(quadratic, starts):
    whole = accelerated(quadratic, starts, 1.0, 60, restart=20)
    theta = starts
    for _ in range(3):
        theta = accelerated(quadratic, theta, 1.0, 20).iterates[-1]
    torch.testing.assert_close(whole.iterates[-1], theta, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("rule", ["function", "gradient"])
def test_adaptive_restarts_are_the_rule_applied_by_hand(quadratic, starts, rule):
    """One member at a time: stop at the first step that the rule names, begin anew, and so on."""
    run = accelerated(quadratic, starts, 1.0, 900, restart=rule)
    for member in range(2):
        theta = y = starts[member]
        k, restarts = 0, 0
        for t in range(900):
            gradient = quadratic.gradient(y)
            new = y - gradient
            if rule == "function":
                again = quadratic.value(new) > quadratic.value(theta)
            else:
                again = gradient @ (new - theta) > 0
            y, k = (new, 0) if again else (new + k / (k + 3) * (new - theta), k + 1)
            theta, restarts = new, restarts + int(again)
            torch.testing.assert_close(run.iterates[t + 1, member], theta, rtol=1e-9, atol=1e-12)
        assert restarts >= 1


def test_there_is_no_other_rule(quadratic, starts):
    with pytest.raises(ValueError, match="restart must be"):
        accelerated(quadratic, starts, 1.0, 5, restart="never")
    with pytest.raises(ValueError, match="restart must be"):
        accelerated(quadratic, starts, 1.0, 5, restart=0)


@pytest.mark.cuda
def test_on_a_gpu_it_takes_the_same_steps(quadratic, starts):
    moved = Quadratic(quadratic.hessian.cuda(), quadratic.minimizer.cuda(), quadratic.samples)
    there = accelerated(moved, starts.cuda(), 1.0, 300, restart="gradient")
    here = accelerated(quadratic, starts, 1.0, 300, restart="gradient")
    torch.testing.assert_close(there.values.cpu(), here.values, rtol=1e-6, atol=1e-12)
