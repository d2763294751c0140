"""Lengths in residual networks: exact moments against enumeration, closed forms and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlopt.tricks import residual_propagation as propagation


def test_the_chain_is_the_product_of_one_plus_each_branch():
    weights = np.array([[2.0, 3.0], [0.5, -1.0]])
    assert propagation.chain_ratio(weights) == pytest.approx((1 + 6) * (1 - 0.5))
    assert propagation.chain_ratio(np.ones((7, 4, 3))).tolist() == [2.0**4] * 7


def test_the_second_moment_of_the_chain_is_exact_for_coin_flips():
    """Weights ±√c have variance c; all 2^L networks can be enumerated."""
    depth, c = 8, 0.3
    signs = np.array(np.meshgrid(*[[-1.0, 1.0]] * depth)).reshape(depth, -1).T
    ratios = propagation.chain_ratio(math.sqrt(c) * signs[..., None])
    assert np.mean(ratios**2) == pytest.approx(propagation.chain_second_moment(c, depth), rel=1e-12)


@given(depth=st.integers(1, 1000), layers=st.integers(1, 6))
def test_the_product_of_scaled_factors_has_variance_one_over_depth(depth, layers):
    scale = propagation.branch_scale(depth, layers)
    assert (scale**2) ** layers == pytest.approx(1 / depth)


@pytest.mark.parametrize(("depth", "layers"), [(0, 1), (1, 0)])
def test_a_scale_needs_a_branch_and_a_layer(depth, layers):
    with pytest.raises(ValueError, match="must be 1 or more"):
        propagation.branch_scale(depth, layers)


@pytest.mark.parametrize("width", [3, 10])
def test_the_residual_moments_are_those_of_simulated_networks(width):
    eta = [0.3, 0.6, 0.2]
    exact = propagation.residual_moments(eta, width)
    lengths = propagation.simulated_lengths(eta, width, 200_000, seed=1)
    np.testing.assert_allclose(lengths.mean(axis=0), exact.mean, rtol=0.01)
    np.testing.assert_allclose((lengths**2).mean(axis=0), exact.second, rtol=0.03)
    assert lengths[:, 1:].var(axis=1).mean() == pytest.approx(exact.empirical_variance, rel=0.05)


def test_simulation_by_matrices_has_the_same_moments_as_the_shortcut():
    """The simulation draws W z instead of W; here the matrices are drawn."""
    rng, width, eta = np.random.default_rng(0), 6, 0.7
    z = np.ones(width)
    lengths = []
    for _ in range(40_000):
        w = rng.standard_normal((width, width)) * math.sqrt(2 / width)
        v = rng.standard_normal((width, width)) * math.sqrt(1 / width)
        lengths.append(np.mean((z + eta * v @ np.maximum(w @ z, 0)) ** 2))
    exact = propagation.residual_moments([eta], width)
    assert np.mean(lengths) == pytest.approx(exact.mean[1], rel=0.02)
    assert np.mean(np.square(lengths)) == pytest.approx(exact.second[1], rel=0.04)


def test_plain_moments_are_those_of_kaiming_networks():
    rng, width = np.random.default_rng(0), 8
    z = np.ones((200_000, width))
    for _ in range(2):
        h = np.sqrt(2 * (z**2).mean(axis=1, keepdims=True)) * rng.standard_normal(z.shape)
        z = np.maximum(h, 0)
    lengths = (z**2).mean(axis=1)
    exact = propagation.plain_moments(2, width)
    assert lengths.mean() == pytest.approx(exact.mean[2], rel=0.02)
    assert np.mean(lengths**2) == pytest.approx(exact.second[2], rel=0.05)


def test_the_empirical_variance_of_constant_lengths_is_zero():
    moments = propagation.LengthMoments(np.ones(5), np.ones(5))
    assert moments.empirical_variance == pytest.approx(0)
    assert moments.relative_spread.tolist() == [0.0] * 5


@settings(max_examples=50)
@given(eta=st.lists(st.floats(0, 1), min_size=1, max_size=30), width=st.sampled_from([1, 2, 20, 1000]))
def test_without_the_first_failure_there_is_not_the_second(eta, width):
    squares = np.square(eta)
    spread = propagation.residual_moments(eta, width).relative_spread[-1]
    bound = np.exp((4 * squares / width + squares**2 * (7 / width + 10 / width**2)).sum()) - 1
    assert -1e-12 <= spread <= bound * (1 + 1e-9) + 1e-12


def test_modules_that_end_in_relu_add_up():
    linear, relu = (
        propagation.simulated_lengths([0.1] * 50, 50, 50, module=module)[:, -1].mean()
        for module in ("linear", "relu")
    )
    assert relu > 3 * linear


def test_another_module_is_refused():
    with pytest.raises(ValueError, match="'linear' or 'relu'"):
        propagation.simulated_lengths([0.1], 3, 2, module="tanh")
