"""Gradients at two inputs: formulas against each other, against simulation and against differentiation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dlopt.tricks import shattered_gradients as shattered


@pytest.mark.parametrize("beta", [0.1, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("depth", [1, 5, 40])
def test_the_closed_form_is_the_product(depth, beta):
    product = 1.0
    for layer in range(depth):
        ratio = beta**2 / (1 + beta**2 * layer)
        product *= (1 + ratio / 2) / (1 + ratio)
    assert shattered.predicted_correlation("normalized", depth, beta) == pytest.approx(product, rel=1e-9)


def test_the_closed_form_decays_like_one_over_beta_root_depth():
    for beta in (0.5, 1.0):
        values = [shattered.predicted_correlation("normalized", depth, beta) for depth in (10_000, 40_000)]
        assert values[0] / values[1] == pytest.approx(2, rel=1e-3)
    assert shattered.predicted_correlation("normalized", 10_000, 0.01) == pytest.approx(
        math.sqrt(0.5), rel=1e-3
    )


def test_without_normalization_the_correlation_is_a_power():
    assert shattered.predicted_correlation("plain", 3) == 1 / 8
    assert shattered.predicted_correlation("residual", 3) == 27 / 64
    assert shattered.predicted_correlation("normalized", 1) == pytest.approx(3 / 4)


@pytest.mark.parametrize("architecture", shattered.ARCHITECTURES)
@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_the_model_of_independent_activations_has_the_predicted_correlation(architecture, beta):
    found = [
        shattered.gradient_correlation(
            shattered.gradients(architecture, 4, 256, 24, beta=beta, independent=True, seed=seed)[1]
        )
        for seed in range(5)
    ]
    assert np.mean(found) == pytest.approx(shattered.predicted_correlation(architecture, 4, beta), abs=0.03)


def test_the_gradient_is_the_derivative_of_the_network_where_nothing_is_normalized():
    """Euler's theorem: a homogeneous network f(x) = v·h(x) satisfies f(x) = x·∇f(x)."""
    for architecture in ("plain", "residual"):
        output, slope = shattered.gradients(architecture, 3, 6, 4, seed=1)
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(4, 6, generator=generator, dtype=torch.float64)
        for _ in range(3):
            torch.randn(6, 6, generator=generator, dtype=torch.float64)
        v = torch.randn(6, generator=generator, dtype=torch.float64)
        torch.testing.assert_close((x * slope).sum(1), output @ v)


def test_the_gradient_through_frozen_normalization_is_the_derivative():
    output, slope = shattered.gradients("normalized", 2, 5, 7, beta=0.7, seed=2)
    generator = torch.Generator().manual_seed(2)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, weights, frozen = normal(7, 5), [], []
    h = x
    for _ in range(2):
        weights.append(math.sqrt(2 / 5) * normal(5, 5))
        frozen.append((h.mean(0), h.std(0, correction=0)))
        h = h + 0.7 * torch.relu((h - frozen[-1][0]) / frozen[-1][1]) @ weights[-1].T
    v = normal(5)
    x.requires_grad_()
    h = x
    for weight, (center, scale) in zip(weights, frozen, strict=True):
        h = h + 0.7 * torch.relu((h - center) / scale) @ weight.T
    (expected,) = torch.autograd.grad((h @ v).sum(), x)
    torch.testing.assert_close(output, h.detach())
    torch.testing.assert_close(slope, expected)


def test_the_kernel_agrees_with_wide_plain_networks_and_with_the_angle_of_signals():
    found = [
        shattered.gradient_correlation(shattered.gradients("plain", 4, 400, 16, seed=seed)[1])
        for seed in range(5)
    ]
    assert np.mean(found) == pytest.approx(shattered.kernel_correlation(4), abs=0.04)
    assert shattered.kernel_correlation(1) == 0.5
    assert shattered.kernel_correlation(2) == pytest.approx(0.5 * (1 - math.acos(1 / math.pi) / math.pi))
    assert shattered.kernel_correlation(7, cosine=1.0) == pytest.approx(1)


def test_the_kernel_falls_like_the_cube_of_the_depth():
    exponent = math.log2(shattered.kernel_correlation(8000) / shattered.kernel_correlation(4000))
    assert exponent == pytest.approx(-3, abs=0.05)


def test_correlation_is_the_mean_cosine_of_pairs():
    rows = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
    assert shattered.gradient_correlation(rows) == pytest.approx((0 + 2 * math.sqrt(0.5)) / 3)


def test_autocorrelation_is_one_at_lag_zero_and_zero_for_noise():
    noise = np.random.default_rng(0).standard_normal(20_000)
    found = shattered.autocorrelation(noise, 3)
    assert found[0] == pytest.approx(1)
    assert np.abs(found[1:]).max() < 0.05
    wave = np.sin(np.arange(10_000) * 2 * np.pi / 100)
    assert shattered.autocorrelation(wave, 50)[50] == pytest.approx(-1, abs=0.02)


def test_brownian_motion_has_independent_increments():
    path = shattered.brownian(20_000, seed=0)
    steps = np.diff(path)
    assert path.mean() == pytest.approx(0, abs=1e-9)
    assert path.std() == pytest.approx(1)
    assert abs(np.corrcoef(steps[1:], steps[:-1])[0, 1]) < 0.05


@pytest.mark.parametrize(
    ("depth", "skip", "remembers"), [(1, False, True), (24, False, False), (24, True, True)]
)
def test_along_a_line_the_gradients_of_a_deep_normalized_plain_network_are_white_noise(
    depth, skip, remembers
):
    positions = np.linspace(-2, 2, 256)
    slopes = [
        shattered.line_gradient(depth, 100, positions, normalization=True, skip=skip, seed=seed)
        for seed in range(5)
    ]
    assert np.mean(slopes[0] ** 2) == pytest.approx(1)
    nearby = np.median([shattered.autocorrelation(slope, 4)[4] for slope in slopes])
    assert nearby > 0.6 if remembers else abs(nearby) < 0.2


def test_the_gradient_along_a_line_is_a_derivative():
    """Of a piecewise linear function: between close positions differences and derivatives agree almost everywhere."""
    positions = np.linspace(-2, 2, 4001)
    one = shattered.line_gradient(1, 10, positions)
    assert len(np.unique(np.round(one, 9))) <= 11
    deeper = shattered.line_gradient(3, 10, positions)
    assert (np.abs(np.diff(deeper)) < 1e-9).mean() > 0.95


def test_another_architecture_is_refused():
    for call in (
        lambda: shattered.predicted_correlation("dense", 3),
        lambda: shattered.gradients("dense", 3, 4, 2),
    ):
        with pytest.raises(ValueError, match="unknown architecture 'dense'"):
            call()
