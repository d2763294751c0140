"""Weight matrices as points of parameter space."""

import torch

from dlopt.landscape import parameter_space
from dlopt.landscape.weight_matrices import join, split
from dlopt.models import FullyConnected

WIDTHS = (3, 5, 4, 2)


def test_joined_weights_are_the_models_parameters():
    model = FullyConnected(WIDTHS)
    assert torch.equal(
        join([weight.detach() for weight in model.weights]), parameter_space.parameters_of(model)
    )


def test_split_undoes_join_for_any_number_of_points():
    points = torch.arange(2 * 7 * 43.0).view(2, 7, 43)
    weights = split(points, WIDTHS)
    assert [tuple(weight.shape) for weight in weights] == [(2, 7, 5, 3), (2, 7, 4, 5), (2, 7, 2, 4)]
    assert torch.equal(join(weights), points)


def test_members_are_points():
    model = FullyConnected(WIDTHS, members=3)
    points = join([weight.detach() for weight in model.weights])
    assert torch.equal(points[1], parameter_space.parameters_of(model.member(1)))
