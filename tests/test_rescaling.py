"""Rescaling leaves the function, and changes the Hessian as predicted."""

import pytest
import torch

from dlopt.curvature import Hessian
from dlopt.landscape import rescaling
from dlopt.models import FullyConnected
from dlopt.training import squared_error

GENERATOR = torch.Generator().manual_seed(1)
INPUTS = torch.randn(20, 3, generator=GENERATOR, dtype=torch.float64)
TARGETS = torch.randn(20, 2, generator=GENERATOR, dtype=torch.float64)


def network(members=None, *, bias=False, activation="relu"):
    return FullyConnected([3, 6, 5, 2], activation, bias=bias, members=members, seed=1, dtype=torch.float64)


@pytest.mark.parametrize("members", [None, 4])
@pytest.mark.parametrize("layer", [1, 2])
def test_a_relu_network_computes_the_same_function(members, layer):
    model = network(members, bias=True)
    for bias in model.biases:
        bias.data.uniform_(-1, 1, generator=GENERATOR)
    before = model(INPUTS).detach()
    weights = [weight.detach().clone() for weight in model.weights]
    width = model.widths[layer]
    rescaling.rescale(model, layer, torch.rand(width, generator=GENERATOR, dtype=torch.float64) + 0.1)
    rescaling.rescale(model, layer, 7.0)
    torch.testing.assert_close(model(INPUTS), before)
    assert not torch.allclose(model.weights[layer - 1], weights[layer - 1])


def test_a_tanh_network_does_not():
    model = network(activation="tanh")
    before = model(INPUTS).detach()
    rescaling.rescale(model, 1, 2.0)
    assert (model(INPUTS) - before).abs().max() > 0.01


def test_the_hessian_changes_as_predicted_and_stays_above_the_floor():
    def hessian(alpha):
        model = FullyConnected([3, 4, 2], seed=2, dtype=torch.float64)
        rescaling.rescale(model, 1, alpha)
        return Hessian.of(model, INPUTS, TARGETS, squared_error).matrix()

    at_one = hessian(1.0)
    floor = rescaling.curvature_floor(at_one, 12)
    for alpha in (0.1, 0.7, 5.0):
        torch.testing.assert_close(hessian(alpha), rescaling.rescaled_hessian(at_one, 12, alpha))
        assert torch.linalg.eigvalsh(hessian(alpha))[-1] >= floor
        torch.testing.assert_close(rescaling.curvature_floor(hessian(alpha), 12), floor)


def test_the_stretched_line_has_the_slope_that_it_should():
    x = torch.tensor([-3.0, 0.9, 1.0, 1.1, 4.0], dtype=torch.float64, requires_grad=True)
    eta = rescaling.stretch(x, 1.0, 10.0, 0.1)
    (slope,) = torch.autograd.grad(eta.sum(), x)
    expected = 1 + 9 * torch.exp(-((x.detach() - 1) ** 2) / 0.02)
    torch.testing.assert_close(slope, expected)
    assert eta[2].item() == 1.0


def test_what_cannot_be_rescaled_is_refused():
    with pytest.raises(ValueError, match="cannot be rescaled"):
        rescaling.rescale(network(), 3, 2.0)
    with pytest.raises(ValueError, match="positive factors"):
        rescaling.rescale(network(), 1, -2.0)
