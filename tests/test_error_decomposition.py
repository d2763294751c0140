"""The three errors of polynomial regression."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from dlopt.introduction import error_decomposition as ed

SAMPLE = ed.draw(50, noise=0.3, seed=0)


def test_the_quadrature_agrees_with_adaptive_integration():
    coefficients = np.array([0.3, -1.0, 0.5, 2.0])
    integral, _ = integrate.quad(
        lambda x: (np.polynomial.polynomial.polyval(x, coefficients) - ed.target(x)) ** 2 / 2,
        -1,
        1,
        epsabs=1e-13,
    )
    assert ed.risk(coefficients) == pytest.approx(integral, rel=1e-10)


def test_legendre_features_are_orthonormal():
    nodes, weights = np.polynomial.legendre.leggauss(40)
    phi = ed.legendre_features(nodes, 15)
    np.testing.assert_allclose(phi.T @ (weights[:, None] / 2 * phi), np.eye(16), atol=1e-12)


def test_no_polynomial_beats_the_best_in_class():
    best = ed.risk(ed.best_in_class(4))
    for seed in range(5):
        nudge = 1e-3 * np.random.default_rng(seed).standard_normal(5)
        assert ed.risk(ed.best_in_class(4) + nudge) > best


def test_the_closed_form_is_gradient_descent():
    phi = ed.monomials(SAMPLE.x, 6)
    step_size = 0.5 * ed.largest_step(SAMPLE, 6)
    coefficients = np.zeros(7)
    for _ in range(200):
        coefficients -= step_size * 2 / 50 * phi.T @ (phi @ coefficients - SAMPLE.y)
    np.testing.assert_allclose(ed.gradient_descent(SAMPLE, 6, 200), coefficients, atol=1e-10)


def test_gradient_descent_tends_to_the_empirical_minimizer():
    gap = ed.gradient_descent(SAMPLE, 4, 1e6) - ed.gradient_descent(SAMPLE, 4, math.inf)
    assert np.abs(gap).max() < 1e-9


def test_gradient_descent_is_stable_up_to_the_largest_step_only():
    below, above = (ed.gradient_descent(SAMPLE, 3, 1000, relative_step=step) for step in (0.99, 1.01))
    assert ed.training_risk(below, SAMPLE) < ed.training_risk(np.zeros(4), SAMPLE)
    assert ed.training_risk(above, SAMPLE) > 1e3


@settings(max_examples=40)
@given(
    degree=st.integers(1, 15),
    steps=st.one_of(st.integers(0, 10_000), st.just(math.inf)),
    seed=st.integers(0, 1000),
    features=st.sampled_from([ed.monomials, ed.legendre_features]),
)
def test_the_three_errors_sum_to_the_risk(degree, steps, seed, features):
    sample = ed.draw(50, noise=0.3, seed=seed)
    fit = ed.gradient_descent(sample, degree, steps, features=features)
    total = ed.risk(fit, features)
    assert abs(sum(ed.decompose(sample, degree, fit, features)) - total) <= 1e-9 * max(1.0, total)


def test_each_error_is_the_difference_of_risks_that_defines_it():
    fit = ed.gradient_descent(SAMPLE, 7, 100)
    errors = ed.decompose(SAMPLE, 7, fit)
    best, erm = ed.risk(ed.best_in_class(7)), ed.risk(ed.empirical_minimizer(SAMPLE, 7))
    assert errors.representation == pytest.approx(best, abs=1e-10)
    assert errors.generalization == pytest.approx(erm - best, abs=1e-10)
    assert errors.optimization == pytest.approx(ed.risk(fit) - erm, abs=1e-10)


def test_a_sweep_places_what_decompose_returns():
    swept = ed.sweep([SAMPLE], [2, 5], [10, math.inf])
    fit = ed.gradient_descent(SAMPLE, 5, 10)
    assert tuple(swept.errors[0, 0, 1]) == ed.decompose(SAMPLE, 5, fit)
    assert swept.training[0, 0, 1] == ed.training_risk(fit, SAMPLE)
    assert swept.errors[0, 1, 0, 1] == pytest.approx(0, abs=1e-12)
