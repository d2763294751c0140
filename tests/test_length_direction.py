"""The direction's descent against finite differences, plain gradient descent and its guarantee."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from dlopt.tricks import length_direction

COVARIANCE = np.diag([2.0, 1.0, 0.3]) + 0.1
U, W = np.array([1.0, 0.5, -1.0]), np.array([0.4, 1.0, 0.3])


def test_the_gradient_is_that_of_the_quotient_and_orthogonal_to_the_direction():
    gradient = length_direction.gradient(W, COVARIANCE, U)
    expected = approx_fprime(W, lambda w: length_direction.rayleigh(w, COVARIANCE, U), 1e-7)
    assert np.allclose(gradient, expected, atol=1e-5)
    assert abs(gradient @ W) < 1e-13


def test_the_quotient_ignores_the_length_and_is_least_at_the_solution():
    best = np.linalg.solve(COVARIANCE, U)
    lowest = length_direction.rayleigh(best, COVARIANCE, U)
    assert length_direction.rayleigh(-3 * W, COVARIANCE, U) == pytest.approx(
        length_direction.rayleigh(W, COVARIANCE, U)
    )
    assert lowest == pytest.approx(-U @ best)
    assert lowest < length_direction.rayleigh(W, COVARIANCE, U)


def test_a_step_leads_in_the_direction_of_plain_gradient_descent_from_the_best_length():
    moved = W - length_direction.step_size(W, COVARIANCE, U) * length_direction.gradient(W, COVARIANCE, U)
    best = W @ U / (W @ COVARIANCE @ W) * W
    plain = best - (COVARIANCE @ best - U) / np.linalg.eigvalsh(COVARIANCE)[-1]
    assert np.allclose(moved / np.linalg.norm(moved), plain / np.linalg.norm(plain))


@given(seed=st.integers(0, 1000))
@settings(max_examples=30)
def test_each_step_keeps_the_guarantee(seed):
    start = np.random.default_rng(seed).standard_normal(3)
    excess = length_direction.descend(COVARIANCE, U, start, 30)
    assert excess[0] == pytest.approx(
        length_direction.rayleigh(start, COVARIANCE, U) + U @ np.linalg.solve(COVARIANCE, U)
    )
    assert (excess[1:] <= length_direction.guaranteed_factor(COVARIANCE) * excess[:-1] + 1e-14).all()


def test_the_guarantee_is_of_the_condition_number():
    assert length_direction.guaranteed_factor(np.diag([4.0, 1.0])) == pytest.approx((1 - 0.25) ** 2)


def test_a_start_without_a_gradient_is_refused():
    with pytest.raises(ValueError, match="orthogonal to u"):
        length_direction.descend(np.eye(2), np.array([1.0, 0]), np.array([0, 1.0]), 1)
