"""Minima that are flat, proved by their activation patterns, and paths that leave them without a rise."""

import pytest
import torch

from dlopt.data import gaussian
from dlopt.landscape import piecewise_linear_minima as piecewise
from dlopt.landscape.certificates import perturbation_test
from dlopt.landscape.elimination import cubic_hinge
from dlopt.landscape.parameter_space import losses, parameters_of
from dlopt.landscape.paths import largest_rise, polygon
from dlopt.models import FullyConnected
from dlopt.training import squared_error

INPUTS = gaussian(15, 2, seed=0, dtype=torch.float64)
TARGETS = gaussian(15, 1, seed=1, dtype=torch.float64)


def loss_at(model: FullyConnected, points: torch.Tensor) -> torch.Tensor:
    return losses(model, points, INPUTS, TARGETS, squared_error).detach()


def no_way_down(model: FullyConnected) -> bool:
    points = perturbation_test(lambda p: loss_at(model, p), parameters_of(model), [1e-3, 1e-2], 500, 2)
    return bool(points.max() < 1e-14)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_the_affine_minimum_has_the_value_of_least_squares_and_is_certified(activation):
    model = piecewise.affine_minimum(INPUTS, TARGETS, 5, activation, margin=0.7, seed=3)
    columns = torch.cat([INPUTS, torch.ones(15, 1, dtype=torch.float64)], dim=1)
    best = squared_error(columns @ torch.linalg.lstsq(columns, TARGETS).solution, TARGETS)
    found = piecewise.certify_pattern(model, INPUTS, TARGETS)
    assert found.is_minimum
    assert found.patterns == 1
    assert found.loss == pytest.approx(float(best))
    assert float(model.passes(INPUTS).preactivations[0].detach().min()) == pytest.approx(0.7)
    assert no_way_down(model)


def test_dead_neurons_are_a_minimum_at_the_variance_of_the_targets():
    model = piecewise.dead_minimum(INPUTS, TARGETS, 4, margin=0.5)
    found = piecewise.certify_pattern(model, INPUTS, TARGETS)
    assert found.is_minimum
    assert found.loss == pytest.approx(float(TARGETS.var(correction=0)))
    assert float(model.passes(INPUTS).preactivations[0].detach().max()) == pytest.approx(-0.5)


def test_the_zigzag_is_a_minimum_but_not_with_a_kink_moved_past_a_sample():
    model, inputs, targets = piecewise.zigzag_minimum()
    assert piecewise.certify_pattern(model, inputs, targets).is_minimum
    with torch.no_grad():
        model.biases[0][0] -= 1.0
    assert not piecewise.certify_pattern(model, inputs, targets).is_minimum


def test_a_point_that_is_not_the_best_of_its_pattern_is_refused():
    model = FullyConnected((2, 4, 1), bias=True, seed=5, dtype=torch.float64)
    assert not piecewise.certify_pattern(model, INPUTS, TARGETS).is_minimum


def test_within_the_radius_the_pattern_stays():
    model = piecewise.affine_minimum(INPUTS, TARGETS, 5, seed=6)
    radius = piecewise.certify_pattern(model, INPUTS, TARGETS).radius
    h = model.passes(INPUTS).preactivations[0].detach()
    lengths = (1 + INPUTS.square().sum(dim=1, keepdim=True)).sqrt()
    sample, neuron = divmod(int((h / lengths).argmin()), 5)
    step = torch.cat([INPUTS[sample], torch.ones(1, dtype=torch.float64)]) / lengths[sample]
    for factor, sign in ((0.999, 1), (1.001, -1)):
        moved = h[:, neuron] - factor * radius * (INPUTS @ step[:2] + step[2])
        assert float(moved[sample]) * sign > 0


def test_on_a_kink_every_pattern_has_to_pass():
    line = torch.tensor([[-1.0], [0.0], [1.0], [2.0], [3.0]], dtype=torch.float64)
    model = FullyConnected((1, 1, 1), bias=True, dtype=torch.float64)
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), (1.0, 1.0, -1.0, 0.0), strict=True):
            parameter.fill_(value)
        output = model(line)
    kept = torch.tensor([[1.0], [-1.0], [0.0], [0.0], [0.0]], dtype=torch.float64)
    lost = torch.tensor([[0.0], [-1.0], [1.0], [0.0], [0.0]], dtype=torch.float64)
    at_a_minimum = piecewise.certify_pattern(model, line, output - kept)
    assert (at_a_minimum.is_minimum, at_a_minimum.patterns) == (True, 2)
    assert not piecewise.certify_pattern(model, line, output - lost).is_minimum
    with torch.no_grad():
        model.weights[0].zero_()
        model.biases[0].zero_()
    with pytest.raises(ValueError, match="too many"):
        piecewise.certify_pattern(model, line.repeat(3, 1), output.repeat(3, 1))


def test_the_test_holds_for_every_convex_loss():
    corners = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]], dtype=torch.float64)
    labels = corners.prod(dim=1, keepdim=True)
    model = piecewise.affine_minimum(corners, labels, 3, seed=7)
    assert piecewise.certify_pattern(model, corners, labels, cubic_hinge).is_minimum
    assert not piecewise.certify_pattern(model, corners, corners[:, :1], cubic_hinge).is_minimum


@pytest.mark.parametrize("width", [3, 40])
@pytest.mark.parametrize("kind", ["affine", "leaky", "dead"])
def test_the_way_out_is_level_then_falls_and_reaches_zero_if_the_network_is_wide(kind, width):
    model = {
        "affine": lambda: piecewise.affine_minimum(INPUTS, TARGETS, width, seed=8),
        "leaky": lambda: piecewise.affine_minimum(INPUTS, TARGETS, width, "leaky_relu", seed=8),
        "dead": lambda: piecewise.dead_minimum(INPUTS, TARGETS, width, seed=8),
    }[kind]()
    values = loss_at(model, polygon(piecewise.way_out(model, INPUTS, TARGETS, seed=9), 20))
    start = float(loss_at(model, parameters_of(model).unsqueeze(0))[0])
    torch.testing.assert_close(values[:61], torch.full((61,), start, dtype=torch.float64))
    assert float(largest_rise(values)) < 1e-12
    assert float(values[-1]) < (0.999 * start if width == 3 else 1e-18)


def test_there_is_no_such_way_for_neurons_that_see_some_of_the_samples():
    model = FullyConnected((2, 4, 1), bias=True, seed=10, dtype=torch.float64)
    with pytest.raises(ValueError, match="some of the samples"):
        piecewise.way_out(model, INPUTS, TARGETS, seed=0)
