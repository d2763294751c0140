"""The linearization of a network around its parameters."""

import pytest
import torch

from dlopt.curvature import jacobian
from dlopt.data import gaussian
from dlopt.kernels.linearization import Linearized
from dlopt.models import FullyConnected
from dlopt.training import squared_error, train

X = gaussian(6, 4, dtype=torch.float64)


def network(**more) -> FullyConnected:
    return FullyConnected([4, 7, 2], "tanh", bias=True, dtype=torch.float64, **more)


def test_it_starts_as_the_network_and_is_affine_in_its_parameters():
    model = network()
    linear = Linearized(model)
    torch.testing.assert_close(linear(X), model(X))
    shift = 0.5 * gaussian(1, sum(p.numel() for p in model.parameters()), seed=1, dtype=torch.float64)[0]
    start = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    torch.nn.utils.vector_to_parameters(start + shift, linear.parameters())
    torch.testing.assert_close(linear(X), model(X) + jacobian(model, X) @ shift)


def test_its_parameters_are_its_own():
    model = network()
    before = model(X).detach()
    linear = Linearized(model)
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.add_(1)
    assert torch.equal(model(X), before)


@pytest.mark.parametrize("members", [None, 3])
def test_its_gradient_is_that_of_the_network_at_the_start(members):
    model, y = network(members=members), gaussian(6, 2, seed=2, dtype=torch.float64)
    linear = Linearized(model)
    for one in (model, linear):
        train(one, X, y, loss=squared_error, steps=1, step_size=0.1)
    for trained, other in zip(model.parameters(), linear.parameters(), strict=True):
        torch.testing.assert_close(trained, other)
