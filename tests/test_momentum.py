"""Every form of momentum against torch.optim.SGD, step by step, and against the recurrence of three numbers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlopt.algorithms.finite_sums import LinearModel
from dlopt.algorithms.momentum import (
    Momentum,
    averaged_steps,
    heavy_ball_steps,
    momentum_sgd,
    nesterov_steps,
    sutskever_steps,
)
from dlopt.algorithms.random_problems import least_squares
from dlopt.algorithms.sampling import with_replacement
from dlopt.algorithms.stochastic_gradient import sgd

STEPS = 60
PROBLEM = least_squares(30, 4, noise=0.3, seed=1)
ORDER = with_replacement(30, STEPS, seed=2)
START = torch.ones(4, dtype=torch.float64)


def gradient(t: int, theta: torch.Tensor) -> torch.Tensor:
    return PROBLEM.sample_gradients(theta)[ORDER[0, t, 0]]


def torch_iterates(**arguments) -> torch.Tensor:
    theta = START.clone().requires_grad_()
    optimizer = torch.optim.SGD([theta], **arguments)
    iterates = [theta.detach().clone()]
    for t in range(STEPS):
        theta.grad = gradient(t, theta.detach())
        optimizer.step()
        iterates.append(theta.detach().clone())
    return torch.stack(iterates)


def recurrence(method: Momentum) -> torch.Tensor:
    """The recurrence as it is written in the module's docstring."""
    before, y, last = START, START, torch.zeros_like(START)
    iterates = [START]
    for t in range(STEPS):
        g = gradient(t, y)
        y, before = y + method.beta * (y - before) - method.newest * g + method.previous * last, y
        last = g
        iterates.append(y)
    return torch.stack(iterates)


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)


betas = pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])


@betas
def test_the_surveys_average_is_heavy_ball_and_torchs_sgd(beta):
    survey = averaged_steps(gradient, START, 0.1, beta, STEPS)
    close(survey, heavy_ball_steps(gradient, START, 0.1 * (1 - beta), beta, STEPS))
    close(survey, torch_iterates(lr=0.1 * (1 - beta), momentum=beta))
    close(survey, recurrence(Momentum.averaged(0.1, beta)))
    close(survey, recurrence(Momentum.heavy_ball(0.1 * (1 - beta), beta)))


@betas
def test_nesterov_in_two_sequences_is_sutskevers_velocity_and_torchs_look_ahead(beta):
    thetas, ys = nesterov_steps(gradient, START, 0.02, beta, STEPS)
    close(thetas, sutskever_steps(gradient, START, 0.02, beta, STEPS))
    close(ys, recurrence(Momentum.nesterov(0.02, beta)))
    close(ys, torch_iterates(lr=0.02, momentum=beta, nesterov=beta > 0))


def test_torchs_dampening_spares_the_first_gradient_and_then_follows_the_recurrence():
    damped = torch_iterates(lr=0.1, momentum=0.8, dampening=0.8)
    method = Momentum.torch_sgd(0.1, 0.8, dampening=0.8)
    assert method == Momentum.averaged(0.1, 0.8)
    torch.testing.assert_close(damped[1], START - 0.1 * gradient(0, START))
    for t in range(1, STEPS):
        follows = damped[t] + 0.8 * (damped[t] - damped[t - 1]) - method.newest * gradient(t, damped[t])
        close(damped[t + 1], follows)


@given(eta=st.floats(0.001, 0.05), beta=st.floats(0.0, 0.95), nesterov=st.booleans())
@settings(max_examples=25)
def test_translated_to_torch_and_back_a_method_is_itself(eta, beta, nesterov):
    method = Momentum.nesterov(eta, beta) if nesterov else Momentum.heavy_ball(eta, beta)
    arguments = method.as_torch_sgd()
    back = Momentum.torch_sgd(**arguments)
    for one, other in zip(
        (method.beta, method.newest, method.previous), (back.beta, back.newest, back.previous), strict=True
    ):
        assert one == pytest.approx(other, rel=1e-12)
    if not nesterov:
        assert Momentum.averaged(**method.as_averaged()).newest == pytest.approx(eta)


def test_what_a_form_cannot_express_is_refused():
    with pytest.raises(ValueError, match="no dampening"):
        Momentum.torch_sgd(0.1, 0.9, dampening=0.5, nesterov=True)
    with pytest.raises(ValueError, match="b = 0"):
        Momentum.nesterov(0.1, 0.9).as_averaged()
    with pytest.raises(ValueError, match="takes in no gradient"):
        Momentum.heavy_ball(0.1, 1.0).as_averaged()
    with pytest.raises(ValueError, match=r"torch.optim.SGD has b = 0"):
        Momentum(0.9, 0.1, 0.08).as_torch_sgd()


@pytest.mark.parametrize("loss", ["squared", "logistic", "squared hinge"])
@pytest.mark.parametrize("batch", [1, 5])
def test_the_compiled_loop_takes_the_steps_of_the_recurrence(loss, batch):
    targets = PROBLEM.targets if loss == "squared" else PROBLEM.targets.sign()
    problem = LinearModel(PROBLEM.inputs, targets, loss, 0.05)
    order = with_replacement(30, STEPS, batch, members=2, seed=3)
    method = Momentum(0.8, 0.03, 0.01)
    run = momentum_sgd(problem, START, method, order, every=1)
    for member in range(2):
        before, y, last = START, START, torch.zeros(4, dtype=torch.float64)
        for t in range(STEPS):
            g = problem.sample_gradients(y)[order[member, t]].mean(dim=0)
            y, before, last = y + 0.8 * (y - before) - 0.03 * g + 0.01 * last, y, g
        close(run.iterates[-1, member], y)
    assert run.gradient_evaluations[-1] == STEPS * batch


def test_without_memory_it_is_sgd():
    ours = momentum_sgd(PROBLEM, START, Momentum.gradient_descent(0.05), ORDER, every=10)
    theirs = sgd(PROBLEM, START, 0.05, ORDER, every=10)
    close(ours.iterates, theirs.iterates)
