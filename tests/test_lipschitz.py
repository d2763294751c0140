"""Certified constants: never below the Hessian at any point of their set, and exact where they claim to be."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import Polynomial

from dlopt.algorithms import lipschitz, objectives
from dlopt.algorithms.gradient_descent import descend, gradient_of

DOUBLE = torch.float64


def in_ball(count: int, dimension: int, radius: float, seed: int) -> torch.Tensor:
    """Points of the ball, half of them on its sphere."""
    draw = torch.Generator().manual_seed(seed)
    points = torch.randn(count, dimension, generator=draw, dtype=DOUBLE)
    points *= radius / points.norm(dim=1, keepdim=True)
    points[: count // 2] *= torch.rand(count // 2, 1, generator=draw, dtype=DOUBLE)
    return points


@settings(max_examples=40)
@given(depth=st.integers(1, 7), radius=st.floats(0.05, 4), seed=st.integers(0, 1000))
def test_the_chains_constant_bounds_the_hessian_on_the_ball(depth, radius, seed):
    largest = lipschitz.hessian_norm(objectives.scalar_chain, in_ball(60, depth, radius, seed)).max()
    assert largest <= lipschitz.scalar_chain_constant(radius, depth) * (1 + 1e-12)


@pytest.mark.parametrize("depth", range(1, 9))
@pytest.mark.parametrize("radius", [0.3, 1.0, 3.0])
def test_the_chains_constants_are_attained_on_the_diagonal_with_a_negative_product(depth, radius):
    point = torch.full((1, depth), radius / math.sqrt(depth), dtype=DOUBLE)
    point[0, 0] *= -1
    largest = lipschitz.hessian_norm(objectives.scalar_chain, point)
    assert largest.item() == pytest.approx(lipschitz.scalar_chain_constant(radius, depth).item())
    slope = gradient_of(objectives.scalar_chain)(point).norm()
    assert slope.item() == pytest.approx(lipschitz.scalar_chain_slope(radius, depth).item())


@settings(max_examples=30)
@given(depth=st.integers(1, 7), radius=st.floats(0.05, 4), seed=st.integers(0, 1000))
def test_the_chains_slope_bounds_the_gradient_on_the_ball(depth, radius, seed):
    slopes = gradient_of(objectives.scalar_chain)(in_ball(200, depth, radius, seed)).norm(dim=1)
    assert slopes.max() <= lipschitz.scalar_chain_slope(radius, depth) * (1 + 1e-12)


@settings(max_examples=25)
@given(radius=st.floats(0.1, 4), seed=st.integers(0, 1000))
def test_the_factorizations_constant_bounds_the_hessian_on_the_ball(radius, seed):
    target = torch.randn(2, 3, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)
    function = objectives.matrix_factorization(target, 2)
    largest = lipschitz.hessian_norm(function, in_ball(60, 10, radius, seed)).max()
    assert largest <= lipschitz.matrix_factorization_constant(radius, target) * (1 + 1e-12)


def test_for_one_by_one_matrices_the_factorization_is_the_chain_of_two():
    target = torch.ones(1, 1, dtype=DOUBLE)
    for radius in (0.5, 2.0):
        assert lipschitz.matrix_factorization_constant(radius, target).item() == pytest.approx(
            lipschitz.scalar_chain_constant(radius, 2).item()
        )


@settings(max_examples=25)
@given(radius=st.floats(0.1, 6), seed=st.integers(0, 1000), width=st.integers(1, 4))
def test_the_tanh_networks_constant_bounds_the_hessian_on_the_ball(radius, seed, width):
    draw = torch.Generator().manual_seed(seed)
    inputs = torch.randn(5, 2, generator=draw, dtype=DOUBLE)
    targets = torch.randn(5, generator=draw, dtype=DOUBLE)
    network = objectives.TanhNetwork(inputs, targets, width)
    largest = lipschitz.hessian_norm(network, in_ball(60, network.size, radius, seed)).max()
    assert largest <= lipschitz.tanh_network_constant(radius, inputs, targets, width)


@settings(max_examples=40)
@given(
    coefficients=st.lists(st.floats(-3, 3), min_size=1, max_size=7),
    ends=st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
)
def test_the_polynomials_constant_is_the_maximum_of_its_second_derivative(coefficients, ends):
    polynomial, (low, high) = Polynomial(coefficients), sorted(ends)
    grid = np.abs(polynomial.deriv(2)(np.linspace(low, high, 4001))).max()
    constant = lipschitz.polynomial_constant(polynomial, low, high)
    spacing = (high - low) / 4000
    slack = spacing**2 * np.abs(polynomial.deriv(4)(np.linspace(low, high, 101))).max() + 2e-9 * grid
    assert grid <= constant <= grid + slack


def test_the_polynomials_constant_finds_a_maximum_inside_the_interval():
    """F = (1 − w⁶)² has F'' = 132 w¹⁰ − 60 w⁴: on [−1, 1] largest at the ends, on [−0.8, 0.8] inside."""
    power = Polynomial([1, 0, 0, 0, 0, 0, -1]) ** 2
    assert lipschitz.polynomial_constant(power, -1, 1) == pytest.approx(72)
    inner = (240 / 1320) ** (1 / 6)
    assert lipschitz.polynomial_constant(power, -0.8, 0.8) == pytest.approx(60 * inner**4 - 132 * inner**10)


def test_an_estimate_never_exceeds_the_certificate_and_approaches_it():
    draw = torch.Generator().manual_seed(1)
    estimate = lipschitz.estimated_constant(objectives.scalar_chain, 1.7, 3, 4000, draw)
    certificate = lipschitz.scalar_chain_constant(1.7, 3)
    assert 0.95 * certificate < estimate <= certificate


def test_a_ridge_bounds_the_level_set_and_its_absence_is_refused():
    function = objectives.with_ridge(objectives.scalar_chain, 0.2)
    points = in_ball(2000, 5, 6.0, 3)
    level = torch.tensor(1.5, dtype=DOUBLE)
    inside = points[function(points) <= level]
    assert len(inside) > 10
    assert inside.norm(dim=1).max() <= lipschitz.level_radius(level, 0.2)
    with pytest.raises(ValueError, match="ridge"):
        lipschitz.level_radius(level, 0.0)


def test_a_chain_without_factors_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        lipschitz.scalar_chain_constant(1.0, 0)


@settings(max_examples=25)
@given(
    depth=st.integers(2, 7),
    seed=st.integers(0, 1000),
    factor=st.floats(0.1, 1.95),
    strength=st.floats(0.02, 0.5),
)
def test_a_constant_step_from_the_level_set_is_safe_in_every_dimension(depth, seed, factor, strength):
    """The theorem of the chapter: stay in the ball, never rise, keep the budget."""
    function = objectives.with_ridge(objectives.scalar_chain, strength)
    starts = torch.randn(10, depth, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)
    radius = lipschitz.level_radius(function(starts), strength)
    beta = lipschitz.scalar_chain_constant(radius, depth) + 2 * strength
    run = descend(function, starts, factor / beta, 60)
    spent = factor / beta * (1 - factor / 2) * run.gradient_norms[:-1].square().sum(dim=0)
    assert run.never_rises.all()
    assert (run.points.norm(dim=-1) <= radius * (1 + 1e-12)).all()
    assert (spent <= run.values[0] - run.values[-1] + 1e-9 * run.values[0]).all()
