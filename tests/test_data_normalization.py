"""Normalized data against scikit-learn, and the count of steps against gradient descent itself."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from dlopt.tricks.data_normalization import condition_number, descent_steps, hessian, normalized


def data(n: int = 40, d: int = 4) -> np.ndarray:
    return np.random.default_rng(0).normal(1, np.geomspace(1, 0.1, d), (n, d))


def test_normalized_features_are_scikit_learns_up_to_the_norm():
    assert np.allclose(normalized(data()) * np.sqrt(40), StandardScaler().fit_transform(data()))
    uncentered = normalized(data(), center=False)
    assert np.allclose(np.linalg.norm(uncentered, axis=0), 1)
    assert np.allclose(uncentered * np.linalg.norm(data(), axis=0), data())


def test_the_hessian_is_that_of_the_mean_squared_error():
    rng = np.random.default_rng(1)
    y, w, v = rng.standard_normal(40), rng.standard_normal(4), rng.standard_normal(4)
    loss = lambda w: np.mean((y - data() @ w) ** 2)  # noqa: E731
    assert loss(w + v) + loss(w - v) - 2 * loss(w) == pytest.approx(v @ hessian(data()) @ v)


def test_the_condition_number_is_the_ratio_of_the_extreme_eigenvalues():
    assert condition_number(np.diag([5.0, 2.0, 0.5])) == pytest.approx(10)


@pytest.mark.parametrize("step", [None, 0.3])
def test_the_count_of_steps_is_that_of_gradient_descent(step):
    matrix = hessian(normalized(data())) * 20
    error = start = np.array([1.0, -2.0, 0.5, 1.0])
    eta = step or 1 / np.linalg.eigvalsh(matrix)[-1]
    steps = 0
    while error @ matrix @ error > 1e-5 * (start @ matrix @ start):
        error, steps = error - eta * matrix @ error, steps + 1
    assert descent_steps(matrix, start, 1e-5, step) == steps


def test_bad_input_gives_one_sentence():
    with pytest.raises(ValueError, match="a constant feature"):
        normalized(np.column_stack([data(), np.ones(40)]))
    with pytest.raises(ValueError, match=r"the limit is 0\.5"):
        descent_steps(np.diag([4.0, 1.0]), np.ones(2), 0.1, step=0.5)
