"""The spectrum of residual Jacobians: the law against its own equation, and Jacobians against differentiation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dlopt import runtime
from dlopt.initialization import lecun_normal, orthogonal
from dlopt.models import ACTIVATIONS
from dlopt.tricks import residual_isometry as isometry


@pytest.mark.parametrize("c", [0.05, 0.25, 1.0, 5.0])
class TestLaw:
    def test_it_is_a_density_symmetric_in_the_logarithm(self, c):
        x, density = isometry.log_density(c)
        assert np.trapezoid(density, x) == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(x, -x[::-1], atol=1e-12)
        np.testing.assert_allclose(density, density[::-1])
        assert (np.diff(x) > 0).all()

    def test_its_first_moments_are_those_of_free_probability(self, c):
        """E σ² = e^c, and E σ⁴ = e^{2c} (1 + 2c), which the S-transform e^{-c(1+2z)} gives."""
        x, density = isometry.log_density(c)
        assert np.trapezoid(np.exp(2 * x) * density, x) == pytest.approx(math.exp(c), rel=1e-5)
        assert np.trapezoid(np.exp(4 * x) * density, x) == pytest.approx(
            math.exp(2 * c) * (1 + 2 * c), rel=1e-5
        )

    def test_it_solves_the_equation_of_the_resolvent(self, c):
        """G(z) = (zG - 1) exp(c (1 - 2zG)) for z off the spectrum, G by integrating the density."""
        x, density = isometry.log_density(c)
        z = 1.5 + 2.0j
        g = np.trapezoid(density / (z - np.exp(2 * x)), x)
        assert g == pytest.approx((z * g - 1) * np.exp(c * (1 - 2 * z * g)), rel=1e-4)

    def test_its_edges_are_the_extreme_singular_values(self, c):
        x, _ = isometry.log_density(c)
        assert x[-1] == pytest.approx(math.log(isometry.largest_singular_value(c)), rel=1e-6)

    def test_its_median_is_one(self, c):
        low, median, high = isometry.quantiles(c, np.array([0.1, 0.5, 0.9]))
        assert median == pytest.approx(0, abs=1e-4)
        assert low == pytest.approx(-high, rel=1e-3)


def test_a_small_c_gives_a_semicircle_of_radius_root_two_c():
    """J ≈ I + X, and the singular values of I + X are 1 + those of the symmetric part, of variance c/2 each."""
    x, density = isometry.log_density(0.001)
    assert np.trapezoid(x**2 * density, x) == pytest.approx(0.001 / 2, rel=0.01)
    assert x[-1] == pytest.approx(math.sqrt(2 * 0.001), rel=0.01)


def test_the_law_needs_a_positive_c():
    with pytest.raises(ValueError, match="must be positive"):
        isometry.log_density(0.0)


@pytest.mark.parametrize("form", ["residual", "stale", "plain"])
@pytest.mark.parametrize("activation", ["tanh", "elu", "relu"])
def test_the_jacobian_is_the_derivative_of_the_network(form, activation):
    """The scales are part of the network and constant in the derivative: read them off, then differentiate."""
    phi, width, depth = ACTIVATIONS[activation], 7, 3
    found = isometry.jacobian(activation, lecun_normal, c=0.5, depth=depth, width=width, form=form, seed=2)
    generator = runtime.generator(2)
    start = torch.randn(width, generator=generator, dtype=torch.float64)
    weights = [lecun_normal((width, width), generator) for _ in range(depth)]
    target = 1.0 if form == "plain" else 0.5 / depth

    def scale(slopes):
        """By bisection, not by the module's iteration."""
        low, high = 1e-6, 1e3
        for _ in range(200):
            middle = math.sqrt(low * high)
            below = middle**2 * slopes(middle).square().mean() < target
            low, high = (middle, high) if below else (low, middle)
        return low

    scales, z = [], start
    for weight in weights:
        if form == "stale":
            scales.append(math.sqrt(target / phi.derivative(z).square().mean()))
            z = z + scales[-1] * weight @ phi(z)
        else:
            scales.append(scale(lambda s, h=weight @ z: phi.derivative(s * h)))
            branch = phi(scales[-1] * weight @ z)
            z = branch if form == "plain" else z + branch

    def network(z):
        for weight, s in zip(weights, scales, strict=True):
            branch = s * weight @ phi(z) if form == "stale" else phi(s * weight @ z)
            z = branch if form == "plain" else z + branch
        return z

    torch.testing.assert_close(found, torch.func.jacrev(network)(start), rtol=1e-6, atol=1e-9)


def test_the_mean_square_of_the_singular_values_is_that_of_the_law():
    for scheme in (lecun_normal, orthogonal()):
        found = [
            isometry.jacobian("linear", scheme, c=1.0, depth=40, width=80, seed=seed).square().sum() / 80
            for seed in range(4)
        ]
        assert float(sum(found) / 4) == pytest.approx((1 + 1 / 40) ** 40, rel=0.1)


def test_another_form_is_refused():
    with pytest.raises(ValueError, match="form must be"):
        isometry.jacobian("relu", lecun_normal, c=1.0, depth=2, width=3, form="skip")
