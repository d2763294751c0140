"""Gains against networks and closed forms, the toy ratio's exact law, Hessian blocks against autograd."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlopt import data
from dlopt.initialization import geometric_mean, kaiming_normal, lecun_normal, xavier_normal
from dlopt.models import ACTIVATIONS, FullyConnected
from dlopt.training import squared_error
from dlopt.tricks.variance_propagation import (
    RETAINED,
    VARIANCES,
    block_curvature,
    length_ratios,
    log_ratio_moments,
    mean_square_after,
    measured_gains,
    predicted_gains,
)  # fmt: skip

EXACT = {"dtype": torch.float64, "device": "cpu"}
WIDTHS = [40, 90, 60, 60, 120, 30]
some_widths = st.lists(st.integers(1, 300), min_size=3, max_size=8)


def doubled(variance):
    return lambda fan_in, fan_out: 2 * variance(fan_in, fan_out)


@pytest.mark.parametrize(
    ("activation", "scheme", "variance"),
    [
        ("linear", lecun_normal, VARIANCES["fan-in"]),
        ("linear", xavier_normal, VARIANCES["Xavier"]),
        ("linear", geometric_mean(1.0), VARIANCES["geometric"]),
        ("relu", kaiming_normal(), doubled(VARIANCES["fan-in"])),
        ("relu", kaiming_normal("fan_out"), doubled(VARIANCES["fan-out"])),
        ("relu", geometric_mean(), doubled(VARIANCES["geometric"])),
    ],
)
def test_networks_have_the_predicted_gains_on_average(activation, scheme, variance):
    net = FullyConnected(WIDTHS, activation, initialization=scheme, members=300, **EXACT)
    measured = measured_gains(net, data.gaussian(6, 40, **EXACT))
    for ours, theory in zip(measured, predicted_gains(WIDTHS, variance, activation), strict=True):
        assert ours.shape == (300, 5)
        assert ours.mean(axis=0) == pytest.approx(theory, rel=0.15)


def test_gains_by_hand_for_two_layers():
    forward, backward = predicted_gains((2, 3, 5), lambda fan_in, fan_out: 1 / (fan_in + fan_out), "relu")
    assert forward == pytest.approx([2 / 5, 2 / 5 * 3 / 8 / 2])
    assert backward == pytest.approx([5 / 8 / 2, 1])


def test_measured_gains_are_mean_squares_of_the_forward_pass_and_of_autograds_errors():
    net = FullyConnected([4, 6, 3], "tanh", **EXACT)
    x = data.gaussian(5, 4, **EXACT)
    forward, backward = measured_gains(net, x, seed=3)
    h = net.passes(x).preactivations
    assert forward == pytest.approx([(each.square().mean() / x.square().mean()).item() for each in h])
    assert forward.shape == backward.shape == (2,)
    assert backward[-1] == 1


@settings(max_examples=50)
@given(some_widths)
def test_fan_in_and_geometric_gains_telescope_to_ratios_of_widths(widths):
    fan_in, geometric = (predicted_gains(widths, VARIANCES[name]) for name in ("fan-in", "geometric"))
    assert fan_in.forward == pytest.approx(np.ones(len(widths) - 1))
    assert fan_in.backward == pytest.approx(widths[-1] / np.array(widths[1:]))
    assert geometric.forward == pytest.approx(np.sqrt(widths[0] / np.array(widths[1:])))


@settings(max_examples=50)
@given(some_widths)
def test_xavier_never_gains_more_than_the_geometric_mean(widths):
    xavier, geometric = (predicted_gains(widths, VARIANCES[name]) for name in ("Xavier", "geometric"))
    assert (xavier.forward <= geometric.forward * (1 + 1e-12)).all()
    assert (xavier.backward <= geometric.backward * (1 + 1e-12)).all()


def test_the_table_of_variances_is_that_of_the_schemes():
    schemes = {
        "fan-in": lecun_normal, "fan-out": kaiming_normal("fan_out", slope=1.0), "Xavier": xavier_normal,
        "geometric": geometric_mean(1.0),
    }  # fmt: skip
    for name, scheme in schemes.items():
        drawn = scheme((100, 700), torch.Generator().manual_seed(0))
        assert drawn.square().mean().item() == pytest.approx(VARIANCES[name](700, 100), rel=0.03)


def test_retained_shares_are_second_moments_forward_and_backward():
    for name, share in RETAINED.items():
        activation = ACTIVATIONS[name]
        for function in (activation.function, activation.derivative):
            assert mean_square_after(lambda t, f=function: f(torch.tensor(t)).numpy(), 1.0) == pytest.approx(
                share
            )


def test_mean_squares_by_closed_forms():
    assert mean_square_after(lambda t: t, 0.7) == pytest.approx(0.49, rel=1e-12)
    assert mean_square_after(np.sin, 1.3) == pytest.approx((1 - math.exp(-2 * 1.3**2)) / 2, rel=1e-12)
    assert mean_square_after(np.tanh, 1.0) == pytest.approx(0.394294, abs=1e-6)


def test_length_ratios_follow_their_exact_law():
    depths = np.arange(1, 9)
    logs = np.log(length_ratios(0.4, 6, 8, draws=20_000, seed=3))
    mean, deviation = log_ratio_moments(0.4, 6, depths)
    assert logs.shape == (20_000, 8)
    assert logs.mean(axis=0) == pytest.approx(mean, abs=0.03)
    assert logs.std(axis=0) == pytest.approx(deviation, rel=0.03)


def test_a_toy_ratio_scales_with_the_power_of_the_depth():
    one, three = (length_ratios(std, 5, 4, draws=3, seed=1) for std in (1.0, 3.0))
    assert three / one == pytest.approx(np.tile(3.0 ** np.arange(1, 5), (3, 1)))


def test_large_matrices_keep_lengths_up_to_the_stated_approximation():
    mean, deviation = log_ratio_moments(1 / math.sqrt(400), 400, 40)
    assert mean == pytest.approx(-40 / 800, rel=0.01)
    assert deviation == pytest.approx(math.sqrt(40 / 800), rel=0.01)


@pytest.mark.parametrize("activation", ["linear", "relu", "leaky_relu"])
def test_block_curvature_is_that_of_autograds_hessian(activation):
    net = FullyConnected([3, 4, 5, 2], activation, seed=1, **EXACT)
    x, y = data.gaussian(6, 3, **EXACT), data.gaussian(6, 2, seed=1, **EXACT)
    weights = [weight.detach() for weight in net.weights]

    def loss(weight, layer):
        parameters = {f"weights.{index}": each for index, each in enumerate(weights)}
        parameters[f"weights.{layer}"] = weight
        return squared_error(torch.func.functional_call(net, parameters, (x,)), y)

    ours = block_curvature(net, x)
    for layer, weight in enumerate(weights):
        hessian = torch.func.hessian(loss)(weight, layer).reshape(weight.numel(), weight.numel())
        assert ours[layer] == pytest.approx(
            torch.linalg.svdvals(hessian).square().mean().sqrt().item(), rel=1e-9
        )


def test_block_curvature_refuses_curved_activations():
    with pytest.raises(ValueError, match="also depend on the targets"):
        block_curvature(FullyConnected([3, 4, 2], "tanh", **EXACT), data.gaussian(2, 3, **EXACT))


def test_geometric_mean_balances_single_output_blocks_on_average():
    widths = [30, 120, 30, 30, 120, 60, 1]
    x = data.gaussian(1, 30, **EXACT)
    blocks = np.array(
        [block_curvature(FullyConnected(widths, "linear", initialization=geometric_mean(1.0), seed=s, **EXACT), x)
         for s in range(200)]
    )  # fmt: skip
    level = np.exp(np.log(blocks[:, :-1]).mean(axis=0))
    assert level.max() / level.min() < 1.25


@pytest.mark.cuda
def test_gains_on_the_gpu_are_those_on_the_cpu():
    results = []
    for device in ("cpu", "cuda"):
        net = FullyConnected([8, 12, 4], members=3, dtype=torch.float64, device=device)
        results.append(measured_gains(net, data.gaussian(5, 8, dtype=torch.float64, device=device)))
    for ours, theirs in itertools.starmap(zip, [results]):
        assert ours == pytest.approx(theirs, rel=1e-10)
