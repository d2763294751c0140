"""Planes through parameter space: their units, and what they are invariant to."""

import pytest
import torch
from torch import nn

from dlopt.data import gaussian
from dlopt.landscape import filter_normalization as fn
from dlopt.landscape.parameter_space import losses, parameters_of, set_parameters
from dlopt.models import FullyConnected, Residual
from dlopt.training import squared_error


@pytest.fixture
def x():
    return gaussian(20, 4, seed=1, dtype=torch.float64)


@pytest.fixture
def y():
    return gaussian(20, 2, seed=2, dtype=torch.float64)


def slice_of(model, x, y, normalized=True):
    directions = fn.random_directions(model, 2, seed=3)
    if normalized:
        directions = fn.filter_normalized(model, directions)
    points = fn.plane_points(parameters_of(model), directions, torch.linspace(-1, 1, 5).to(x))
    return losses(model, points, x, y, squared_error)


def test_each_row_of_a_direction_is_as_long_as_the_row_of_weights():
    model = FullyConnected([4, 6, 3], bias=True, dtype=torch.float64)
    direction = fn.filter_normalized(model, fn.random_directions(model, 2, seed=0)[1])
    pieces = direction.split([p.numel() for p in model.parameters()])
    for parameter, piece in zip(model.parameters(), pieces, strict=True):
        if parameter.ndim == 2:
            torch.testing.assert_close(piece.view_as(parameter).norm(dim=1), parameter.norm(dim=1))
        else:
            assert not piece.any()


def test_a_convolution_is_normalized_filter_by_filter():
    model = nn.Conv2d(3, 5, 2, bias=False).double()
    direction = fn.filter_normalized(model, fn.random_directions(model, 1, seed=0))
    torch.testing.assert_close(direction.view(5, -1).norm(dim=1), model.weight.flatten(1).norm(dim=1))


def test_the_slice_does_not_see_that_layers_were_rescaled(x, y):
    model = FullyConnected([4, 6, 6, 2], dtype=torch.float64)
    before, raw = slice_of(model, x, y), slice_of(model, x, y, normalized=False)
    with torch.no_grad():
        model.weights[0].mul_(10)
        model.weights[1].div_(10)
    torch.testing.assert_close(slice_of(model, x, y), before, rtol=1e-9, atol=1e-9)
    assert (slice_of(model, x, y, normalized=False) - raw).abs().max() > 0.1


def test_the_slice_sees_neurons_that_were_rescaled_one_by_one_unless_they_are_normalized(x, y):
    alpha = torch.tensor([10.0, 1.0, 1.0, 1.0, 1.0, 0.1], dtype=torch.float64)
    plain = FullyConnected([4, 6, 6, 2], dtype=torch.float64)
    before = slice_of(plain, x, y)
    with torch.no_grad():
        plain.weights[0].mul_(alpha[:, None])
        plain.weights[1].div_(alpha)
    assert (slice_of(plain, x, y) - before).abs().max() > 0.01
    normalized = Residual([4, 6, 6, 2], skip=None, normalization="batch", dtype=torch.float64)
    before = slice_of(normalized, x, y)
    with torch.no_grad():
        normalized.weights[0].mul_(alpha[:, None])
    torch.testing.assert_close(slice_of(normalized, x, y), before, rtol=0.01, atol=0.01)


def test_the_plane_runs_through_its_center_with_the_first_direction_along_the_columns():
    center, directions = torch.tensor([1.0, 2.0]), torch.tensor([[10.0, 0.0], [0.0, 100.0]])
    points = fn.plane_points(center, directions, torch.tensor([-1.0, 0.0, 1.0])).view(3, 3, 2)
    assert torch.equal(points[1, 1], center)
    assert torch.equal(points[1, 2], torch.tensor([11.0, 2.0]))
    assert torch.equal(points[2, 1], torch.tensor([1.0, 102.0]))


def test_directions_of_another_length_are_refused():
    model = FullyConnected([4, 6, 3])
    with pytest.raises(ValueError, match="42 parameters"):
        fn.filter_normalized(model, torch.zeros(2, 41))


def test_the_models_parameters_are_left_alone():
    model = FullyConnected([4, 6, 3])
    before = parameters_of(model)
    fn.filter_normalized(model, fn.random_directions(model, 2, seed=0))
    assert torch.equal(before, parameters_of(model))
    set_parameters(model, before)
