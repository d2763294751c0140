"""Wide residual networks: the recursions against wide networks and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dlopt.initialization import lecun_normal
from dlopt.models import Residual
from dlopt.tricks import mean_field_residual as mean_field


def test_relu_has_a_closed_form():
    """Eφ² = q/2, Eφ = √(q/2π) and Eφ'² = 1/2, with p_1 = p_0 + q/2 because the mean starts at zero."""
    found = mean_field.propagate("relu", 3, 0.8, start=2.0)
    p, m = 2.0, 0.0
    for layer in range(3):
        q = 0.64 * p
        p, m = p + 2 * m * math.sqrt(q / (2 * math.pi)) + q / 2, m + math.sqrt(q / (2 * math.pi))
        assert found.length[layer + 1] == pytest.approx(p, rel=1e-9)
        assert found.mean[layer + 1] == pytest.approx(m, rel=1e-9)
        assert found.log_gradient[layer + 1] == pytest.approx((layer + 1) * math.log(1 + 0.64 / 2), rel=1e-9)


def test_a_bias_enters_the_preactivations():
    found = mean_field.propagate("linear", 1, 0.5, sigma_b=2.0, start=3.0)
    assert found.length[1] == pytest.approx(3 + 0.25 * 3 + 4)


def test_a_wide_network_follows_the_recursion():
    width, blocks, sigma = 1000, 5, 0.9

    def scaled(shape, generator):
        return sigma * lecun_normal(shape, generator)

    network = Residual(
        [width] * (blocks + 2) + [1],
        "tanh",
        skip="outside",
        initialization=scaled,
        dtype=torch.float64,
        device="cpu",
    )
    with torch.no_grad():
        network.weights[0].copy_(torch.eye(width))
    x = torch.randn(8, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    lengths = [z.square().mean().item() for z in network.passes(x).postactivations[1:]]
    found = mean_field.propagate("tanh", blocks, sigma, start=lengths[0])
    np.testing.assert_allclose(lengths, found.length, rtol=0.05)


def test_the_gradient_of_a_wide_network_grows_as_predicted():
    width, blocks, sigma = 1000, 5, 1.1
    generator = torch.Generator().manual_seed(3)
    z = torch.randn(width, generator=generator, dtype=torch.float64, requires_grad=True)
    stream = z
    for _ in range(blocks):
        weight = (
            sigma / math.sqrt(width) * torch.randn(width, width, generator=generator, dtype=torch.float64)
        )
        stream = stream + torch.tanh(weight @ stream)
    readout = torch.randn(width, generator=generator, dtype=torch.float64)
    (slope,) = torch.autograd.grad(readout @ stream, z)
    growth = math.log(slope.square().sum() / readout.square().sum())
    assert growth == pytest.approx(mean_field.propagate("tanh", blocks, sigma).log_gradient[-1], rel=0.1)
