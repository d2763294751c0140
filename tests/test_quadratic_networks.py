"""Networks of quadratic neurons."""

from __future__ import annotations

import pytest
import torch
from scipy.optimize import minimize

from dlopt import runtime
from dlopt.landscape.paths import largest_rise, polygon
from dlopt.landscape.quadratic_networks import (
    QuadraticRegression,
    path_to_the_optimum,
    semidefinite_optimum,
    symmetric_optimum,
)


def random_tensor(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=runtime.generator(seed), dtype=torch.float64)


@pytest.fixture
def problem() -> QuadraticRegression:
    return QuadraticRegression(random_tensor(20, 3, seed=0), random_tensor(20, seed=1) + 1)


def test_the_matrix_is_the_network(problem):
    outputs, weights = random_tensor(4, seed=2), random_tensor(4, 3, seed=3)
    predictions = ((problem.inputs @ weights.T) ** 2) @ outputs
    torch.testing.assert_close(
        problem.residual(problem.matrix(outputs, weights)) + problem.targets, predictions
    )


def test_the_gradient_is_autograds(problem):
    outputs, weights = random_tensor(4, seed=4), random_tensor(4, 3, seed=5).requires_grad_()
    (expected,) = torch.autograd.grad(problem.value(problem.matrix(outputs, weights)), weights)
    torch.testing.assert_close(problem.gradient(outputs, weights.detach()), expected)


def test_a_neuron_without_output_stays_and_descent_lowers_the_loss(problem):
    outputs, start = torch.tensor([1.0, 0.0], dtype=torch.float64), random_tensor(2, 3, seed=6)
    end = problem.gradient_descent(outputs, start, step_size=0.01, steps=200, momentum=0.5)
    assert torch.equal(end[1], start[1])
    assert problem.value(problem.matrix(outputs, end)) < problem.value(problem.matrix(outputs, start))


def test_the_semidefinite_optimum_is_that_of_scipy_on_a_full_factor(problem):
    matrix = semidefinite_optimum(problem, steps=3000)
    assert torch.linalg.eigvalsh(matrix)[0] > -1e-10
    ones = torch.ones(3, dtype=torch.float64)

    def value(flat):
        return float(problem.value(problem.matrix(ones, torch.as_tensor(flat).reshape(3, 3))))

    best = min(minimize(value, random_tensor(9, seed=7 + k).numpy()).fun for k in range(3))
    assert abs(float(problem.value(matrix)) - best) < 1e-6


def test_the_symmetric_optimum_has_no_slope_and_is_symmetric(problem):
    matrix = symmetric_optimum(problem)
    torch.testing.assert_close(matrix, matrix.T)
    assert problem.slope(matrix).abs().max() < 1e-12


@pytest.mark.parametrize("degenerate", [False, True])
def test_the_path_leads_to_the_optimum_and_never_rises(problem, degenerate):
    outputs, weights = random_tensor(6, seed=8), random_tensor(6, 3, seed=9)
    if degenerate:
        weights = weights[:1].expand(6, 3)
    optimum = symmetric_optimum(problem)
    a, w = path_to_the_optimum(outputs, weights, optimum)
    assert torch.equal(a[0], outputs)
    torch.testing.assert_close(problem.matrix(a[-1], w[-1]), optimum)
    points = polygon(torch.cat([a, w.flatten(1)], dim=1), 10)
    losses = problem.value(problem.matrix(points[:, :6], points[:, 6:].unflatten(-1, (6, 3))))
    assert largest_rise(losses) < 1e-9 * losses[0]
    assert (len(a) > 2) == degenerate


def test_too_few_neurons_are_refused(problem):
    with pytest.raises(ValueError, match="neurons"):
        path_to_the_optimum(random_tensor(5, seed=10), random_tensor(5, 3, seed=11), torch.eye(3))
