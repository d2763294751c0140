"""Jacobians against torch.func, and the laws of infinite width against closed forms and each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dlopt.initialization import gaussian, orthogonal, scaled_gaussian
from dlopt.models import FullyConnected, Residual
from dlopt.tricks import isometry
from dlopt.tricks.signal_propagation import derivative_moment

pytestmark = pytest.mark.usefixtures("on_the_cpu")


def inputs(n: int = 3, d: int = 5) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("last_activation", [True, False])
@pytest.mark.parametrize("activation", ["tanh", "relu", "swish"])
def test_the_ordered_product_is_the_jacobian_of_torch_func(activation, last_activation):
    network = FullyConnected(
        [5, 9, 7, 4], activation, bias=gaussian(0.3), members=2, seed=3, dtype=torch.float64
    )
    found = isometry.jacobians(network, inputs(), last_activation=last_activation)
    assert found.shape == (2, 3, 4, 5)
    for m in range(2):
        single = network.member(m)
        outer = network.activation if last_activation else lambda h: h

        def function(x, single=single, outer=outer):
            return outer(single(x.unsqueeze(0))[0])

        for n, x in enumerate(inputs()):
            assert torch.allclose(found[m, n], torch.func.jacrev(function)(x), atol=1e-12)
        alone = isometry.jacobians(single, inputs(), last_activation=last_activation)
        assert torch.allclose(alone, found[m], atol=1e-13)


def test_singular_values_are_those_of_the_jacobians_largest_first():
    network = FullyConnected([5, 9, 4], "tanh", dtype=torch.float64)
    found = isometry.singular_values(network, inputs())
    assert found.shape == (3, 4)
    assert torch.allclose(found, torch.linalg.svdvals(isometry.jacobians(network, inputs())))
    assert (found.diff(dim=-1) <= 0).all()


@pytest.mark.parametrize("activation", ["linear", "relu", "tanh", "hard_tanh", "erf"])
@pytest.mark.parametrize("q", [0.05, 1.0, 4.0])
def test_the_moments_of_the_slopes_are_gaussian_expectations(activation, q):
    slopes = isometry.slope_distribution(activation, q, points=4000)
    assert slopes.weights.sum() == pytest.approx(1)
    for k in (1, 2):
        assert slopes.moment(k) == pytest.approx(float(derivative_moment(q, activation, 2 * k)), rel=2e-3)


def test_relative_variances_of_the_known_cases():
    linear, relu = (isometry.slope_distribution(name, 1.0) for name in ("linear", "relu"))
    expected = {"orthogonal": (0, 16), "gaussian": (16, 32)}
    for ensemble, (for_linear, for_relu) in expected.items():
        assert isometry.relative_variance(linear, 16, ensemble) == pytest.approx(for_linear, abs=1e-9)
        assert isometry.relative_variance(relu, 16, ensemble) == pytest.approx(for_relu)


def test_the_mean_square_is_chi_to_the_depth():
    slopes = isometry.slope_distribution("relu", 1.0)
    assert isometry.mean_square(slopes, 7, math.sqrt(2)) == pytest.approx(1)
    assert isometry.mean_square(slopes, 3, 2.0) == pytest.approx(8)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_the_moments_of_the_fuss_catalan_law_are_the_fuss_catalan_numbers(depth):
    x, density = isometry.fuss_catalan_density(depth, points=200_000)
    assert x[0] == pytest.approx(isometry.fuss_catalan_edge(depth), rel=1e-6)
    for k in (1, 2, 3):
        number = math.comb((depth + 1) * k, k) / (depth * k + 1)
        assert -np.trapezoid(x**k * density, x) == pytest.approx(number, rel=1e-3)


def test_one_gaussian_matrix_has_the_marchenko_pastur_law():
    x, density = isometry.fuss_catalan_density(1)
    assert isometry.fuss_catalan_edge(1) == 4
    assert density == pytest.approx(np.sqrt((4 - x) / x) / (2 * math.pi), rel=1e-9)


def test_the_density_of_gaussian_products_is_fuss_catalans():
    x, density = isometry.fuss_catalan_density(3, points=60)
    inside = slice(5, 40)
    s, expected = np.sqrt(x), 2 * np.sqrt(x) * density
    slopes = isometry.slope_distribution("linear", 1.0)
    found = isometry.singular_value_density(s[inside], slopes, 3, 1.0, "gaussian", blur=1e-6)
    assert found == pytest.approx(expected[inside], rel=1e-2)


@pytest.mark.parametrize(
    ("activation", "q", "ensemble", "sigma_w", "mass"),
    [
        ("tanh", 0.1, "orthogonal", 1.1, 1.0),
        ("erf", 0.3, "orthogonal", 1.0, 1.0),
        ("relu", 1.0, "orthogonal", 1.3, 0.5),
    ],
)
def test_the_density_has_the_mean_and_the_variance_of_the_formulas(activation, q, ensemble, sigma_w, mass):
    slopes, depth = isometry.slope_distribution(activation, q), 6
    mean = isometry.mean_square(slopes, depth, sigma_w)
    s = np.geomspace(1e-4, 6, 600) * math.sqrt(mean)
    density = isometry.singular_value_density(s, slopes, depth, sigma_w, ensemble, blur=1e-5)
    moments = [np.trapezoid(density * s**k, s) for k in (0, 2, 4)]
    assert moments[0] == pytest.approx(mass, rel=0.1)
    assert moments[1] == pytest.approx(mean, rel=0.03)
    relative = isometry.relative_variance(slopes, depth, ensemble)
    assert moments[2] / moments[1] ** 2 - 1 == pytest.approx(relative, rel=0.1)


@pytest.mark.parametrize("start", [orthogonal, scaled_gaussian])
def test_wide_networks_have_the_predicted_variance(start):
    network = FullyConnected(
        [300] * 9, "relu", initialization=start(math.sqrt(2)), members=4, dtype=torch.float64
    )
    x = torch.randn(1, 300, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    square = isometry.singular_values(network, x).square()
    ensemble = "orthogonal" if start is orthogonal else "gaussian"
    predicted = isometry.relative_variance(isometry.slope_distribution("relu", 1.0), 8, ensemble)
    assert (square.var(-1) / square.mean(-1) ** 2).mean().item() == pytest.approx(predicted, rel=0.2)


def test_what_is_no_variance_and_no_ensemble_is_refused():
    with pytest.raises(ValueError, match="q must be positive"):
        isometry.slope_distribution("tanh", 0.0)
    with pytest.raises(ValueError, match="ensemble must be one of orthogonal, gaussian"):
        isometry.relative_variance(isometry.slope_distribution("tanh", 1.0), 3, "uniform")


@pytest.mark.cuda
def test_jacobians_on_the_gpu_are_those_on_the_cpu():
    there, here = (
        FullyConnected([5, 9, 4], "tanh", members=2, dtype=torch.float64, device=d) for d in ("cuda", "cpu")
    )
    found = isometry.jacobians(there, inputs().cuda()).cpu()
    assert torch.allclose(found, isometry.jacobians(here, inputs()), atol=1e-12)


@pytest.mark.parametrize("options", [{"skip": "inside"}, {"skip": None, "normalization": "layer"}])
def test_networks_whose_jacobian_is_no_such_product_are_refused(options):
    with pytest.raises(ValueError, match="without skip connections"):
        isometry.jacobians(Residual([5, 6, 6, 4], **options), inputs().float())
