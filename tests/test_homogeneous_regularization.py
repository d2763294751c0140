"""ReLU networks with weight decay and their convex dual."""

from __future__ import annotations

import math

import pytest
import torch

from dlopt import runtime
from dlopt.landscape.homogeneous_regularization import DecayedRegression, Descent, zero_neurons


def random_tensor(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=runtime.generator(seed), dtype=torch.float64)


@pytest.fixture
def problem() -> DecayedRegression:
    return DecayedRegression(random_tensor(6, 2, seed=0), random_tensor(6, seed=1), 0.3)


@pytest.fixture
def state() -> Descent:
    return Descent(random_tensor(4, 9, seed=2), random_tensor(4, 9, 2, seed=3))


def test_the_steepest_direction_beats_a_fine_grid_and_attains_its_response(problem):
    residuals = random_tensor(20, 6, seed=4)
    direction, response = problem.steepest_direction(residuals)
    angles = torch.arange(20000, dtype=torch.float64) * 2 * math.pi / 20000
    grid = torch.stack([angles.cos(), angles.sin()], dim=-1)
    on_grid = (torch.relu(grid @ problem.inputs.T) @ residuals.T).abs().amax(dim=0)
    assert (response.abs() >= on_grid - 1e-12).all()
    assert (response.abs() <= on_grid * (1 + 1e-3)).all()
    attained = (torch.relu(direction @ problem.inputs.T) * residuals).sum(dim=-1)
    torch.testing.assert_close(attained, response)


def test_the_dual_value_is_a_lower_bound_of_every_network(problem, state):
    trained = problem.gradient_descent(state, step_size=0.02, steps=1500)
    nothing = torch.zeros_like(state.outputs), torch.zeros_like(state.weights)
    for network in (state, trained, nothing):
        bound = problem.value(*network) - problem.gap(*network)
        assert (problem.value(*trained).min() >= bound).all()


def test_the_gap_is_zero_where_the_penalty_keeps_all_neurons_off(problem):
    strong = DecayedRegression(problem.inputs, problem.targets, 100.0)
    nothing = torch.zeros(1, 2).to(problem.inputs), torch.zeros(1, 2, 2).to(problem.inputs)
    assert float(strong.gap(*nothing)) == pytest.approx(0, abs=1e-12)


def test_one_step_is_that_of_autograd(problem, state):
    a, w = state.outputs.clone().requires_grad_(), state.weights.clone().requires_grad_()
    residual = problem.targets - problem.prediction(a, w)
    loss = residual.square().sum() / 2 + problem.decay / 2 * (a.square().sum() + w.square().sum())
    by_output, by_weight = torch.autograd.grad(loss, (a, w))
    stepped = problem.gradient_descent(state, step_size=0.1, steps=1)
    torch.testing.assert_close(stepped.outputs, state.outputs - 0.1 * by_output)
    torch.testing.assert_close(stepped.weights, state.weights - 0.1 * by_weight)


def test_pruning_keeps_the_predictions_and_does_not_raise_the_value(problem, state):
    pruned = problem.prune(state)
    torch.testing.assert_close(problem.prediction(*pruned), problem.prediction(*state))
    assert (problem.value(*pruned) <= problem.value(*state) + 1e-10).all()
    assert ((pruned.outputs != 0).sum(dim=1) <= 6).all()


def test_waking_lowers_the_value_and_touches_zero_neurons_only(problem):
    state = Descent(torch.zeros(1, 3).to(problem.inputs), torch.zeros(1, 3, 2).to(problem.inputs))
    awake = problem.wake(state, below=1e-4, size=0.1)
    assert int(zero_neurons(awake, 1e-4).sum()) == 2
    assert float(problem.value(*awake)) < float(problem.value(*state))
    busy = Descent(torch.ones_like(state.outputs), torch.ones_like(state.weights))
    assert torch.equal(problem.wake(busy, below=1e-4, size=0.1).weights, busy.weights)
