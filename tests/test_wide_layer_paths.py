"""Nguyen's paths: between random networks, a convex loss stays below the higher end."""

import itertools

import pytest
import torch
from torch.nn import functional

from dlopt.landscape import parameter_space, paths, wide_layer_paths
from dlopt.landscape.weight_matrices import join, split
from dlopt.models import Activation, FullyConnected
from dlopt.training import squared_error

N, SLOPE = 6, 0.2
LEAKY = Activation(
    "leaky", lambda h: functional.leaky_relu(h, SLOPE), lambda h: torch.where(h > 0, 1.0, SLOPE)
)
SHAPES = [(4, 12, 3), (4, 12, 5, 3), (4, 13, 6, 4, 2)]


def problem(widths, seed):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    inputs = torch.cat([normal(N, widths[0] - 1), torch.ones(N, 1, dtype=torch.float64)], dim=1)
    start, end = ([normal(b, a) for a, b in itertools.pairwise(widths)] for _ in range(2))
    return inputs, normal(N, widths[-1]), start, end


@pytest.mark.parametrize("widths", SHAPES)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_loss_never_exceeds_that_of_the_higher_end(widths, seed):
    inputs, targets, start, end = problem(widths, seed)
    points = wide_layer_paths.path(start, end, inputs, slope=SLOPE, steps=10)
    model = FullyConnected(widths, LEAKY, dtype=torch.float64, device="cpu")
    losses = parameter_space.losses(model, points, inputs, targets, squared_error)
    torch.testing.assert_close(points[0], join(start))
    torch.testing.assert_close(points[-1], join(end))
    assert paths.excess(losses) < 1e-10 * losses.max()
    line = parameter_space.losses(model, paths.polygon(points[[0, -1]], 10), inputs, targets, squared_error)
    assert paths.largest_rise(line) > 0.1


def test_the_first_layer_is_exchanged_without_a_change_in_any_output():
    widths = SHAPES[1]
    inputs, _, start, end = problem(widths, 2)
    knots = wide_layer_paths.exchange_first_layer(start, end, inputs, SLOPE)
    model = FullyConnected(widths, LEAKY, dtype=torch.float64, device="cpu")
    outputs = parameter_space.outputs(model, paths.polygon(knots, 4), inputs)
    torch.testing.assert_close(outputs, outputs[:1].expand_as(outputs), rtol=1e-9, atol=1e-9)
    assert torch.equal(split(knots[-1], widths)[0], end[0])


def test_the_second_layer_answers_any_move_of_the_layers_above():
    widths = SHAPES[2]
    inputs, _, start, end = problem(widths, 3)
    layers = wide_layer_paths.features(start, inputs, SLOPE)
    wanted = layers[-1] @ start[-1].mT
    second = wide_layer_paths.answer(wanted, [w[None] for w in end[2:]], layers, start[1], SLOPE)
    moved = wide_layer_paths.features([start[0], second[0], *end[2:]], inputs, SLOPE)
    torch.testing.assert_close(moved[-1] @ end[-1].mT, wanted)
    still = wide_layer_paths.answer(wanted, [w[None] for w in start[2:]], layers, start[1], SLOPE)
    torch.testing.assert_close(still[0], start[1])


def test_too_few_units_and_dependent_features_are_refused():
    inputs, _, start, end = problem((4, 11, 3), 0)
    with pytest.raises(ValueError, match="2 n = 12 units"):
        wide_layer_paths.path(start, end, inputs, slope=SLOPE, steps=2)
    inputs, _, start, end = problem((4, 12, 3), 0)
    inputs[1] = inputs[0]
    with pytest.raises(ValueError, match="rank below 6"):
        wide_layer_paths.path(start, end, inputs, slope=SLOPE, steps=2)
