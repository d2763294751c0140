"""The path of a wide network to zero loss."""

from __future__ import annotations

import pytest
import torch

from dlopt.landscape import wide_network_path
from dlopt.landscape.parameter_space import losses, parameters_of, set_parameters
from dlopt.landscape.paths import largest_rise, polygon
from dlopt.models import FullyConnected
from dlopt.training import squared_error

GENERATOR = torch.Generator().manual_seed(2)
INPUTS = torch.randn(10, 3, generator=GENERATOR, dtype=torch.float64)
TARGETS = torch.randn(10, 2, generator=GENERATOR, dtype=torch.float64)


def network(activation="tanh", width=12, seed=0):
    return FullyConnected((3, 5, width, 2), activation, dtype=torch.float64, device="cpu", seed=seed)


def profile(model, knots, per_segment=50):
    return losses(model, polygon(knots, per_segment), INPUTS, TARGETS, squared_error)


@pytest.mark.parametrize("activation", ["tanh", "relu", "swish"])
def test_after_the_perturbation_the_loss_never_rises_and_ends_at_zero(activation):
    model = network(activation, width=30)
    set_parameters(model, torch.zeros_like(parameters_of(model)))
    knots = wide_network_path.path_to_zero(model, INPUTS, TARGETS, perturbation=0.5, seed=0)
    values = profile(model, knots)[50:]
    assert largest_rise(values) < 1e-13
    assert values[-1] < 1e-20


def test_the_first_step_has_the_size_it_is_told_and_leaves_the_last_layer():
    model = network()
    knots = wide_network_path.path_to_zero(model, INPUTS, TARGETS, perturbation=1e-3, seed=0)
    torch.testing.assert_close(knots[0], parameters_of(model))
    moved = (knots[1] - knots[0]) / 1e-3
    assert 0.8 < moved[:-24].std() < 1.2
    assert (moved[-24:] == 0).all()
    assert (knots[2][:-24] == knots[1][:-24]).all()


def test_too_narrow_a_network_does_not_reach_zero():
    model = network(width=6)
    knots = wide_network_path.path_to_zero(model, INPUTS, TARGETS, perturbation=0.1, seed=0)
    values = profile(model, knots)[50:]
    assert largest_rise(values) < 1e-13
    assert values[-1] > 1e-2


def test_the_model_is_left_as_it_was():
    model = network()
    before = parameters_of(model)
    wide_network_path.path_to_zero(model, INPUTS, TARGETS, perturbation=1.0, seed=0)
    assert torch.equal(before, parameters_of(model))


def test_the_last_hidden_layer_is_what_the_last_layer_multiplies():
    model = network()
    features = wide_network_path.last_hidden(model, INPUTS)
    torch.testing.assert_close(features @ model.weights[-1].mT, model(INPUTS))


def coinciding(activation):
    model = network(activation)
    with torch.no_grad():
        model.weights[1].copy_(model.weights[1][:1].expand_as(model.weights[1]))
    return model


def dead():
    model = network("relu")
    with torch.no_grad():
        model.weights[1].copy_(-model.weights[1].abs())
    return model


@pytest.mark.parametrize("model", [coinciding("tanh"), coinciding("swish"), coinciding("relu"), dead()])
def test_flat_then_down_needs_no_perturbation(model):
    knots = wide_network_path.flat_then_down(model, INPUTS, TARGETS, spread=1.0, seed=3)
    values = profile(model, knots)
    torch.testing.assert_close(values[:101], values[:1].expand(101))
    assert largest_rise(values) < 1e-12
    assert values[-1] < 1e-20


def test_a_perturbation_does_not_wake_dead_units():
    knots = wide_network_path.path_to_zero(dead(), INPUTS, TARGETS, perturbation=1e-6, seed=0)
    values = profile(dead(), knots)
    assert values[-1] > 0.99 * values[0] > 0


def test_flat_then_down_with_too_few_units_ends_above_zero():
    model = network(width=7)
    values = profile(model, wide_network_path.flat_then_down(model, INPUTS, TARGETS, spread=1.0, seed=3))
    assert largest_rise(values) < 1e-12
    assert values[-1] > 1e-2
