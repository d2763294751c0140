"""The loss at many points of parameter space at once, against one network at a time."""

import pytest
import torch

from dlopt.data import gaussian
from dlopt.landscape import parameter_space
from dlopt.models import FullyConnected, Residual
from dlopt.training import cross_entropy, objective, squared_error

MODELS = {
    "plain": lambda: FullyConnected([4, 6, 3], "tanh", bias=True, dtype=torch.float64),
    "residual, normalized": lambda: Residual([4, 6, 6, 6, 3], normalization="batch", dtype=torch.float64),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("chunk", [None, 2])
def test_the_losses_at_points_are_those_of_networks_set_there(name, chunk):
    model = MODELS[name]()
    x, labels = gaussian(9, 4, dtype=torch.float64), torch.arange(9) % 3
    start = parameter_space.parameters_of(model)
    points = start + 0.1 * gaussian(5, len(start), seed=1, dtype=torch.float64)
    together = parameter_space.losses(model, points, x, labels, cross_entropy, chunk=chunk)
    assert torch.equal(parameter_space.parameters_of(model), start)
    for point, value in zip(points, together, strict=True):
        parameter_space.set_parameters(model, point)
        torch.testing.assert_close(objective(model, x, labels, cross_entropy), value)


def test_the_losses_are_differentiated_in_the_points():
    model = MODELS["plain"]()
    x, y = gaussian(9, 4, dtype=torch.float64), gaussian(9, 3, seed=2, dtype=torch.float64)
    points = parameter_space.parameters_of(model).repeat(2, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(
        parameter_space.losses(model, points, x, y, squared_error).sum(), points
    )
    pieces = torch.autograd.grad(objective(model, x, y, squared_error), list(model.parameters()))
    torch.testing.assert_close(gradient[1], torch.cat([piece.flatten() for piece in pieces]))


def test_points_of_another_length_are_refused():
    model = MODELS["plain"]()
    with pytest.raises(ValueError, match="51 parameters"):
        parameter_space.outputs(model, torch.zeros(2, 50, dtype=torch.float64), torch.zeros(1, 4))
    with pytest.raises(ValueError, match="51 parameters"):
        parameter_space.set_parameters(model, torch.zeros(50))
