"""Lengths in finite ReLU networks: recursions against networks that are drawn, and samplers against both."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dlopt.tricks import finite_width as fw

WIDTHS = (9, 6, 12, 5, 8)


pytestmark = pytest.mark.usefixtures("on_the_cpu")


@pytest.fixture(scope="module")
def drawn():
    """Squares of lengths and empirical variances of 100,000 small networks, by law of the weights."""
    return {
        law: fw.simulated_lengths(WIDTHS, 100_000, law=law, variance=1.8, seed=3, device="cpu")
        for law in fw.LAWS
    }


def standard_errors(sample, expected):
    return np.abs(sample.mean(axis=0) - expected) / (sample.std(axis=0) / len(sample) ** 0.5 + 1e-12)


@pytest.mark.parametrize("law", fw.LAWS.values(), ids=fw.LAWS.keys())
class TestAgainstNetworks:
    def test_a_law_has_mean_zero_variance_one_and_its_kurtosis(self, law):
        w = law.draw((400_000,), torch.Generator().manual_seed(0))
        assert abs(w.mean()) < 0.01
        assert abs(w.square().mean() - 1) < 0.01
        assert abs((w**4).mean() - law.kurtosis) < 0.06

    def test_the_mean_length_is_the_gain_to_the_power_of_the_layer(self, law, drawn):
        assert standard_errors(drawn[law.name], fw.expected_lengths(WIDTHS, gain=0.9)).max() < 4.5

    def test_the_second_moment_is_the_recursions(self, law, drawn):
        exact = fw.second_moments(WIDTHS, gain=0.9, kurtosis=law.kurtosis)
        assert standard_errors(drawn[law.name] ** 2, exact).max() < 4.5

    def test_the_expected_empirical_variance_is_the_closed_form(self, law, drawn):
        exact = fw.expected_empirical_variance(WIDTHS, gain=0.9, kurtosis=law.kurtosis)
        assert standard_errors(fw.empirical_variance(drawn[law.name][:, 1:]), exact) < 4.5


def test_gaussian_weights_have_the_constant_five():
    exact = np.cumprod([1.0, *(1.21 * (1 + 5 / d) for d in WIDTHS[1:])])
    assert np.allclose(fw.second_moments(WIDTHS, gain=1.1), exact)


def test_an_input_with_one_nonzero_entry_has_another_fourth_moment():
    one_hot = fw.second_moments((4, 6), kurtosis=1.0, input_fourth=4.0)
    flat = fw.second_moments((4, 6), kurtosis=1.0)
    assert np.allclose([flat[1], one_hot[1]], [1 - 1 / 6 + (6 - 1) / 6, 1 - 1 / 6 + (6 - 4) / 6])


def test_factors_have_the_law_of_networks():
    lengths = fw.simulated_lengths([5] * 7, 20_000, seed=1)[:, -1]
    factors = fw.length_factors([5] * 7, 20_000, seed=2).prod(axis=1)
    assert stats.ks_2samp(lengths, factors).statistic < 0.025
    assert np.isclose(fw.length_factors([5] * 7, 10, gain=1.5), 1.5 * fw.length_factors([5] * 7, 10)).all()


def test_tilted_factors_have_the_reweighted_law():
    plain = fw.length_factors([7, 7], 400_000, seed=1)[:, 0]
    tilted = fw.length_factors([7, 7], 400_000, tilted=1, seed=2)[:, 0]
    for power in (0.5, 1.0):
        expected = (plain ** (2 + power)).mean() / (plain**2).mean()
        assert abs((tilted**power).mean() / expected - 1) < 0.02


def test_only_the_first_layers_are_tilted():
    tilted = fw.length_factors([7] * 4, 100_000, tilted=np.repeat([0, 1, 3], [0, 100_000, 0]), seed=1)
    means = tilted.mean(axis=0)
    assert means[0] > 1.5
    assert np.abs(means[1:] - 1).max() < 0.02


@settings(max_examples=8)
@given(width=st.integers(4, 40), depth=st.integers(2, 60), gain=st.floats(0.7, 1.3))
def test_importance_sampling_is_right_and_its_terms_are_bounded(width, depth, gain):
    widths = [width] * (depth + 1)
    lengths, weights = fw.importance_sample(widths, 20_000, gain=gain, seed=5)
    moments = fw.second_moments(widths, gain=gain)[1:]
    terms = fw.empirical_variance(lengths) * weights
    assert terms.max() <= moments.mean() * (1 + 1e-12)
    exact = fw.expected_empirical_variance(widths, gain=gain)
    assert abs(terms.mean() - exact) < 5 * terms.std() / 20_000**0.5 + 1e-9 * exact


def test_importance_sampling_gives_the_mean_length_too():
    lengths, weights = fw.importance_sample([10] * 9, 100_000, seed=6)
    assert np.abs((lengths * weights[:, None]).mean(axis=0) - 1).max() < 0.08


def test_the_empirical_variance_is_that_of_the_survey():
    lengths = np.array([[1.0, 2.0, 6.0], [1.0, 1.0, 1.0]])
    assert np.allclose(fw.empirical_variance(lengths), [41 / 3 - 9, 0])


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_the_logarithm_of_a_factor_has_its_mean_and_variance(activation):
    variance = {"relu": 2.0, "linear": 1.0}[activation]
    lengths = fw.simulated_lengths([12, 12], 200_000, activation=activation, variance=variance, seed=4)[:, 1]
    logs = np.log(lengths[lengths > 0])
    mean, spread = fw.log_factor_moments(12, activation)
    assert abs(logs.mean() - mean) < 0.01
    assert abs(logs.var() / spread - 1) < 0.03
    mean, spread = fw.log_factor_moments(1000, activation)
    constant = {"relu": 5, "linear": 2}[activation]
    assert np.isclose(1000 * spread, constant, rtol=0.01)
    assert np.isclose(1000 * mean, -constant / 2, rtol=0.01)


def test_random_networks_are_the_same_for_the_same_seed():
    assert np.array_equal(fw.simulated_lengths(WIDTHS, 5, seed=1), fw.simulated_lengths(WIDTHS, 5, seed=1))
    assert not np.array_equal(
        fw.simulated_lengths(WIDTHS, 5, seed=1), fw.simulated_lengths(WIDTHS, 5, seed=2)
    )


@pytest.mark.parametrize("call", [
    lambda: fw.second_moments([5]),
    lambda: fw.expected_lengths([5, 0]),
    lambda: fw.length_factors([[5, 5]], 3),
    lambda: fw.simulated_lengths([5], 3),
    lambda: fw.log_factor_moments(5, "tanh"),
    lambda: fw.log_factor_moments(0),
])  # fmt: skip
def test_what_makes_no_network_is_refused_in_one_sentence(call):
    with pytest.raises(ValueError, match=r"\.$"):
        call()


@pytest.mark.cuda
def test_cuda_computes_what_the_cpu_does():
    here, there = (fw.simulated_lengths(WIDTHS, 50, seed=1, device=device) for device in ("cpu", "cuda"))
    assert np.allclose(here, there)
