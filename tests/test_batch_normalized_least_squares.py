"""Gradient descent with a normalized neuron against automatic differentiation and the theory's limits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dlopt.tricks import batch_normalized_least_squares as least_squares

COVARIANCE = np.diag([1.0, 0.5, 0.2]) + 0.05
SOLUTION, START = np.array([1.0, -1.0, 2.0]), np.array([0.3, 1.0, 0.4])
G = COVARIANCE @ SOLUTION


def loss(a: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """J minus its minimum, from its definition."""
    covariance, g = torch.from_numpy(COVARIANCE), torch.from_numpy(G)
    return a**2 / 2 - a * (w @ g) / (w @ covariance @ w).sqrt() + g @ torch.linalg.solve(covariance, g) / 2


def test_the_excess_loss_is_the_definition_and_vanishes_at_the_solution():
    a, w = 0.7, START
    expected = loss(torch.tensor(a).double(), torch.from_numpy(w)).item()
    assert least_squares.excess_loss(np.array([a]), w[None], COVARIANCE, G)[0] == pytest.approx(expected)
    best = np.sqrt(SOLUTION @ COVARIANCE @ SOLUTION)
    assert least_squares.excess_loss(np.array([best]), 5 * SOLUTION[None], COVARIANCE, G)[0] < 1e-15


@pytest.mark.parametrize("eta_scale", [1.0, 0.4])
def test_its_iterates_are_those_of_gradient_descent_by_autograd(eta_scale):
    run = least_squares.descend(COVARIANCE, G, START, np.array([0.5, 3.0]), 4, eta_scale=eta_scale)
    for column, eta in enumerate((0.5, 3.0)):
        w = torch.from_numpy(START.copy())
        a = torch.tensor(START @ G / np.sqrt(START @ COVARIANCE @ START))
        for iteration in range(5):
            a.requires_grad_(), w.requires_grad_()
            value = loss(a, w)
            assert run.excess[iteration, column] == pytest.approx(value.item(), rel=1e-9)
            by_a, by_w = torch.autograd.grad(value, (a, w))
            a, w = (a - eta_scale * by_a).detach(), (w - eta * by_w).detach()


def test_a_step_acts_on_the_vector_of_best_length_as_the_effective_step_does():
    w, eta = START, 2.0
    sigma = np.sqrt(w @ COVARIANCE @ w)
    a = w @ G / sigma
    direction = a / sigma * (G - w @ G / sigma**2 * COVARIANCE @ w)
    best = w @ G / sigma**2 * w
    step = least_squares.effective_step(np.array([a]), w[None], COVARIANCE, G, np.array([eta]))[0]
    moved, plain = w + eta * direction, best + step * (G - COVARIANCE @ best)
    assert np.allclose(moved / np.linalg.norm(moved), plain / np.linalg.norm(plain))


def test_plain_descent_is_gradient_descent_and_stays_a_number_where_it_diverges():
    etas = np.array([0.5, 3.0])
    values = least_squares.plain_descend(COVARIANCE, G, START, etas, 5000)
    for column, eta in enumerate(etas):
        w = START
        for t in range(6):
            error = w - SOLUTION
            assert values[t, column] == pytest.approx(0.5 * error @ COVARIANCE @ error)
            w = w - eta * (COVARIANCE @ w - G)
    assert np.isfinite(values).all()
    assert values[-1, 1] > 1e100


def test_iterations_to_record_may_be_named():
    run = least_squares.descend(COVARIANCE, G, START, np.ones(1), 20, every=[0, 3, 20])
    everything = least_squares.descend(COVARIANCE, G, START, np.ones(1), 20)
    assert run.iterations.tolist() == [0, 3, 20]
    assert np.array_equal(run.excess, everything.excess[[0, 3, 20]])
    assert np.array_equal(run.effective, everything.effective[[0, 3, 20]])


def test_bad_input_gives_one_sentence():
    with pytest.raises(ValueError, match=r"must be in \(0, 1\], not 1.5"):
        least_squares.descend(COVARIANCE, G, START, np.ones(1), 1, eta_scale=1.5)
    with pytest.raises(ValueError, match="orthogonal to g"):
        least_squares.descend(np.eye(3), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), np.ones(1), 1)
