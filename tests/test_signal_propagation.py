"""The infinite-width theory against closed forms, SciPy's quadrature, autograd and networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special

from dlopt.initialization import gaussian, scaled_gaussian
from dlopt.models import ACTIVATIONS, FullyConnected
from dlopt.tricks import signal_propagation as sp

Q = np.geomspace(1e-6, 1e4, 21)


def hard_tanh_second_moment(q):
    k = 1 / np.sqrt(q)
    outside = 2 * special.ndtr(-k)
    return q * (1 - outside - 2 * k * np.exp(-(k**2) / 2) / np.sqrt(2 * np.pi)) + outside


def relu_correlation(c):
    return (np.sqrt(1 - c**2) + (np.pi - np.arccos(c)) * c) / np.pi


class TestExpectations:
    @pytest.mark.parametrize(
        ("name", "closed"),
        [
            ("linear", lambda q: q),
            ("relu", lambda q: q / 2),
            ("quadratic", lambda q: 3 * q**2),
            ("erf", lambda q: 2 / np.pi * np.arcsin(2 * q / (1 + 2 * q))),
            ("hard_tanh", hard_tanh_second_moment),
        ],
    )
    def test_the_second_moment_is_the_closed_form_from_tiny_to_huge_variances(self, name, closed):
        assert np.allclose(sp.variance_map(Q, name, 1.0), closed(Q), rtol=2e-12, atol=0)

    @pytest.mark.parametrize(
        ("name", "closed"),
        [
            ("relu", lambda q: np.full_like(q, 0.5)),
            ("erf", lambda q: 4 / np.pi / np.sqrt(1 + 4 * q)),
            ("hard_tanh", lambda q: special.erf(1 / np.sqrt(2 * q))),
            ("sine", lambda q: (1 + np.exp(-2 * q)) / 2),
        ],
    )
    def test_the_derivatives_second_moment_is_the_closed_form(self, name, closed):
        q = Q[Q <= 50] if name == "sine" else Q
        assert np.allclose(sp.derivative_moment(q, name), closed(q), rtol=1e-10)

    def test_the_fourth_moment_of_hard_tanhs_derivative_is_its_second(self):
        assert np.allclose(sp.derivative_moment(Q, "hard_tanh", 4), sp.derivative_moment(Q, "hard_tanh"))

    @pytest.mark.parametrize("name", sorted(ACTIVATIONS))
    def test_every_activation_agrees_with_scipy(self, name):
        phi = ACTIVATIONS[name]
        for q in (0.3, 7.0):
            value, _ = integrate.quad(
                lambda x, q=q: (
                    phi(torch.tensor(q**0.5 * x, dtype=torch.float64)).item() ** 2 * np.exp(-(x**2) / 2)
                ),
                -12, 12, points=[-(q**-0.5), 0, q**-0.5], epsrel=1e-12, limit=400,
            )  # fmt: skip
            assert np.isclose(sp.variance_map(q, name, 1.0), value / np.sqrt(2 * np.pi), rtol=1e-11)

    def test_gauss_hermite_is_exact_for_polynomials_and_sums_to_one(self):
        nodes, weights = sp.gauss_hermite(6)
        assert np.isclose(weights.sum(), 1)
        assert np.isclose(weights @ nodes**10, 945)
        assert not np.isclose(weights @ nodes**12, 10395)

    def test_shapes_are_those_of_the_variances(self):
        q = np.ones((3, 1, 5))
        assert sp.gaussian_expectation(torch.tanh, q).shape == (3, 1, 5)
        assert sp.gaussian_expectation(torch.tanh, 1.0).shape == ()
        assert sp.variance_map(np.ones((4, 1)), "hard_tanh", np.ones(3)).shape == (4, 3)

    def test_more_variances_than_a_block_holds_give_what_each_gives_alone(self):
        q = np.geomspace(0.01, 10, 1000)
        for name in ("tanh", "hard_tanh"):
            together = sp.variance_map(q, name, 1.0)
            assert np.allclose(
                together[[0, 300, 999]], [sp.variance_map(q[i], name, 1.0) for i in (0, 300, 999)]
            )

    @settings(max_examples=25)
    @given(c=st.floats(-1, 1), q=st.floats(0.01, 20))
    def test_pairs_have_the_closed_forms_of_relu_and_erf(self, c, q):
        assert np.isclose(
            sp.pair_expectation(torch.relu, q, c), q / 2 * relu_correlation(c), rtol=1e-10, atol=1e-12
        )
        erf = 2 / np.pi * np.arcsin(2 * q * c / (1 + 2 * q))
        assert np.isclose(sp.pair_expectation(torch.erf, q, c), erf, rtol=1e-10, atol=1e-12)

    def test_a_pair_with_two_kinks_agrees_with_a_brute_force_grid(self):
        x = np.linspace(-8, 8, 4001)
        density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) * (x[1] - x[0])
        first = np.clip(1.3 * x, -1, 1)
        second = np.clip(1.3 * (0.6 * x[:, None] + 0.8 * x), -1, 1)
        grid = (first * density) @ second @ density
        pair = sp.pair_expectation(ACTIVATIONS["hard_tanh"], 1.69, 0.6, kinks=(-1.0, 0.0, 1.0))
        assert np.isclose(pair, grid, rtol=1e-5)

    @pytest.mark.parametrize("call", [
        lambda: sp.gaussian_expectation(torch.tanh, -1.0),
        lambda: sp.gaussian_expectation(torch.tanh, np.nan),
        lambda: sp.pair_expectation(torch.tanh, 1.0, 1.1),
        lambda: sp.gauss_hermite(0),
        lambda: sp.variance_map(1.0, "sigmoidal", 1.0),
        lambda: sp.variance_trajectory(1.0, "tanh", 1.0, depth=0),
    ])  # fmt: skip
    def test_what_makes_no_sense_is_refused_in_one_sentence(self, call):
        with pytest.raises(ValueError, match=r"\.$"):
            call()


class TestMaps:
    def test_the_slope_of_the_variance_map_is_its_derivative(self):
        for name in ("tanh", "relu", "gelu", "sine"):
            step = 1e-5
            ends = sp.variance_map([0.8 - step, 0.8 + step], name, 1.4, 0.2)
            assert np.isclose(sp.variance_slope(0.8, name, 1.4), np.diff(ends)[0] / (2 * step), rtol=1e-7)

    def test_a_trajectory_is_the_map_again_and_again_with_the_bias(self):
        path = sp.variance_trajectory(2.0, "relu", [1.0, 2.0], 0.5, depth=4)
        assert path.shape == (4, 2)
        assert np.allclose(path[:, 0], [2, 1.25, 0.875, 0.6875])

    @settings(max_examples=20)
    @given(sigma_w=st.floats(0.3, 3.0), sigma_b=st.floats(0.05, 1.0))
    def test_a_fixed_point_is_fixed_and_attracts(self, sigma_w, sigma_b):
        q = sp.fixed_point("tanh", sigma_w, sigma_b)
        assert np.isclose(sp.variance_map(q, "tanh", sigma_w, sigma_b), q, rtol=1e-10)
        assert 0 <= sp.variance_slope(q, "tanh", sigma_w) < 1

    def test_relus_fixed_point_is_the_closed_form(self):
        assert np.isclose(sp.fixed_point("relu", 1.0, 0.5), 0.25 / (1 - 0.5))
        assert np.isinf(sp.fixed_point("relu", 1.5, 0.5))
        assert np.isnan(sp.fixed_point("relu", 2**0.5))
        assert sp.fixed_point("relu", 1.4) == 0

    def test_chi_is_the_slope_of_the_correlation_map_at_one(self):
        for name, sigma_w, q in (("tanh", 1.7, 0.9), ("gelu", 1.4, 0.7), ("hard_tanh", 1.5, 2.0)):
            fixed_bias = q - float(sp.variance_map(q, name, sigma_w))
            c = 1 - np.array([1e-3, 5e-4])
            covariance = (
                sigma_w**2 * sp.pair_expectation(ACTIVATIONS[name], q, c, kinks=(-1.0, 0.0, 1.0)) + fixed_bias
            )
            slopes = (1 - covariance / q) / (1 - c)
            extrapolated = 2 * slopes[1] - slopes[0] if name != "hard_tanh" else slopes[1]
            assert np.isclose(
                extrapolated, sp.chi(q, name, sigma_w), rtol=1e-4 if name != "hard_tanh" else 0.03
            )

    def test_the_correlation_map_sends_equal_inputs_to_equal_inputs_and_counts_the_bias(self):
        assert np.isclose(sp.correlation_map(1.0, 0.7, "tanh", 1.3, 0.4), 1)
        expected = 0.16 / sp.variance_map(0.7, "tanh", 1.3, 0.4)
        assert np.isclose(sp.correlation_map(0.0, 0.7, "tanh", 1.3, 0.4), expected)
        c = np.linspace(-0.9, 0.9, 7)
        assert np.allclose(sp.correlation_map(c, 2.0, "relu", 2**0.5), relu_correlation(c))


class TestEdge:
    def test_on_the_edge_chi_is_one_and_the_variance_is_fixed(self):
        q = np.geomspace(1e-3, 5, 9)
        sigma_w, variance = sp.critical_sigmas(q, "tanh")
        assert np.allclose(sp.chi(q, "tanh", sigma_w), 1)
        assert np.allclose(sp.variance_map(q, "tanh", sigma_w, variance**0.5), q)

    def test_critical_weights_agree_with_the_published_digits_for_tanh(self):
        assert np.allclose(sp.critical_sigma_w([0, 0.3, 0.05**0.5], "tanh"), [1, 1.39558, 1.32701], atol=2e-5)

    def test_relus_edge_is_one_point(self):
        assert np.isclose(sp.critical_sigma_w(0.0, "relu"), 2**0.5)
        assert np.isnan(sp.critical_sigma_w(0.1, "relu"))

    def test_the_depth_scale_is_the_number_of_layers_to_a_factor_e(self):
        assert np.isclose(sp.depth_scale(0.9), -1 / np.log(0.9))
        assert np.isclose(0.9 ** sp.depth_scale(0.9), np.exp(-1))
        assert np.isinf(sp.depth_scale(1.0))

    def test_a_wide_network_does_as_the_theory_says_forward_and_back(self):
        sigma_w, sigma_b, width, depth = 1.8, 0.3, 600, 5
        q = float(sp.fixed_point("tanh", sigma_w, sigma_b))
        ratios, variances = [], []
        for seed in range(3):
            net = FullyConnected(
                [width] * (depth + 1), "tanh", initialization=scaled_gaussian(sigma_w), bias=gaussian(sigma_b),
                seed=seed, device="cpu",
            )  # fmt: skip
            x = torch.full((1, width), ((q - sigma_b**2) / sigma_w**2) ** 0.5)
            h = net.passes(x).preactivations
            errors = torch.autograd.grad(
                h[-1], h, torch.randn(1, width, generator=torch.Generator().manual_seed(seed))
            )
            ratios.append((errors[0].square().sum() / errors[-1].square().sum()).item() ** (1 / (depth - 1)))
            variances += [layer.square().mean().item() for layer in h]
        assert abs(np.mean(ratios) / sp.chi(q, "tanh", sigma_w) - 1) < 0.1
        assert abs(np.mean(variances) / q - 1) < 0.1
