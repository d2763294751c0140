"""The extra neuron: its signal, and the valley in which descent runs away or is held."""

import math

import pytest
import torch

from dlopt.data import gaussian
from dlopt.landscape import elimination
from dlopt.models import FullyConnected
from dlopt.training import cross_entropy

INPUTS = gaussian(6, 2, seed=0, dtype=torch.float64)


def joint(outputs: int, amplitude: float) -> elimination.WithExponentialNeurons:
    network = FullyConnected((2, 3, outputs), "tanh", bias=True, seed=1, dtype=torch.float64)
    weights = gaussian(outputs, 2, seed=2, dtype=torch.float64)
    zero = torch.zeros(outputs, dtype=torch.float64)
    return elimination.WithExponentialNeurons(network, zero + amplitude, weights, zero)


def test_the_module_adds_one_exponential_to_each_output():
    model = joint(3, 0.5)
    expected = model.network(INPUTS) + 0.5 * torch.exp(INPUTS @ model.weights.T)
    torch.testing.assert_close(model(INPUTS), expected)
    assert float(model.penalty().detach()) == pytest.approx(0.75)


def test_the_signal_is_the_derivative_in_the_amplitudes_at_zero():
    model, labels = joint(3, 0.0), torch.tensor([0, 1, 2, 0, 1, 2])
    (derivative,) = torch.autograd.grad(cross_entropy(model(INPUTS), labels), model.amplitudes)
    signal = elimination.residual_signal(
        cross_entropy, model.network(INPUTS), labels, INPUTS, model.weights.detach()
    )
    torch.testing.assert_close(signal.diagonal(), derivative)


def test_the_cubic_hinge_is_zero_beyond_the_margin_and_twice_differentiable_there():
    labels = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    assert float(elimination.cubic_hinge(2 * labels, labels)) == 0
    assert float(elimination.cubic_hinge(0 * labels, labels)) == 1
    assert elimination.cubic_hinge(torch.zeros(5, 2, 1, dtype=torch.float64), labels).shape == (5,)
    second = torch.autograd.functional.hessian(lambda z: elimination.cubic_hinge(z, labels), labels.clone())
    assert float(second.abs().max()) == 0


def test_the_first_step_of_the_valley_is_gradient_descent():
    point = torch.tensor([0.1, 0.0], dtype=torch.float64, requires_grad=True)
    value = (2 - point[0] * point[1].exp()) ** 2 + 0.3 * point[0] ** 2
    (gradient,) = torch.autograd.grad(value, point)
    a, b = (point - 0.05 * gradient).tolist()
    time, bias, after = elimination.valley_descent(lambda a, b: 0.05, gap=2.0, penalty=0.3, steps=1)
    assert (float(time), float(bias)) == (0.05, pytest.approx(b))
    assert float(after) == pytest.approx((2 - a * math.exp(b)) ** 2 + 0.3 * a**2)


def test_small_steps_follow_the_logarithm_and_large_ones_are_held_at_the_edge_of_stability():
    time, bias, _ = elimination.valley_descent(lambda a, b: 0.005, gap=1.5, penalty=0.2, steps=12_000)
    predicted = elimination.valley_scale(time[-1], gap=1.5, penalty=0.2)
    assert float(bias[-1]) == pytest.approx(float(predicted), abs=0.05)
    _, bias, _ = elimination.valley_descent(lambda a, b: 0.02, gap=1.5, penalty=0.2, steps=12_000)
    assert float(bias[-3000:].mean()) == pytest.approx(0.5 * math.log(1 / 0.02), abs=0.1)
