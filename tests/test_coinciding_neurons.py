"""Minima at which all neurons coincide: certified by one function of one neuron, and left without a rise."""

import pytest
import torch

from dlopt.data import gaussian
from dlopt.landscape.certificates import certify, perturbation_test
from dlopt.landscape.coinciding_neurons import THIRD_DERIVATIVE_BOUNDS, CoincidingNeurons, coinciding_neurons
from dlopt.landscape.parameter_space import losses
from dlopt.landscape.paths import largest_rise, polygon
from dlopt.models import as_activation
from dlopt.training import squared_error

SMOOTH = ("tanh", "logistic", "softplus", "erf", "swish", "gelu", "sine")


def example(activation: str = "tanh", d: int = 2, width: int = 20, seed: int = 0) -> CoincidingNeurons:
    inputs = gaussian(10, d, seed=seed, dtype=torch.float64)
    return coinciding_neurons(inputs, width, activation, shared_weights=torch.full((d,), 0.7).to(inputs))


def loss_at(minimum: CoincidingNeurons, points: torch.Tensor) -> torch.Tensor:
    return losses(minimum.model, points, minimum.inputs, minimum.targets, squared_error)


@pytest.mark.parametrize("activation", SMOOTH)
@pytest.mark.parametrize("d", [1, 2])
def test_the_point_is_critical_certified_and_no_perturbation_goes_down(activation, d):
    minimum = example(activation, d)
    found = certify(lambda point: loss_at(minimum, point.unsqueeze(0))[0], minimum.point)
    assert minimum.is_certified()
    assert (found.verdict, found.loss) == ("degenerate", pytest.approx(1))
    assert found.gradient_norm < 1e-12
    points = perturbation_test(lambda p: loss_at(minimum, p), minimum.point, [1e-3, 3e-3], 500, 1)
    assert points.max() < 0


def test_the_loss_is_that_of_the_point_and_the_identity_of_the_proof_holds_everywhere():
    minimum = example()
    shift = gaussian(60, 1, seed=2, dtype=torch.float64)[:, 0]
    point = minimum.point + shift
    w, v = point[:40].view(20, 2), point[40:]
    f = minimum.model.activation(minimum.inputs @ w.T) @ v
    base = minimum.model.activation(minimum.inputs @ minimum.shared_weights)
    n = len(minimum.inputs)
    predicted = 2 / n * (v @ minimum.one_neuron_function(w)) + (f - base).square().sum() / n
    actual = loss_at(minimum, torch.stack([point, minimum.point]))
    torch.testing.assert_close(actual[0] - actual[1], predicted)
    assert float(actual[1]) == pytest.approx(minimum.loss)


def test_inside_the_radius_the_one_neuron_function_is_not_negative():
    for activation in THIRD_DERIVATIVE_BOUNDS:
        minimum = example(activation)
        directions = torch.nn.functional.normalize(gaussian(2000, 2, seed=3, dtype=torch.float64), dim=1)
        scale = torch.linspace(0.01, 1, 2000, dtype=torch.float64).unsqueeze(1)
        inside = minimum.shared_weights + minimum.radius() * scale * directions
        assert minimum.one_neuron_function(inside).min() > 0


def test_the_bounds_are_the_largest_third_derivatives():
    h = torch.linspace(-6, 6, 4001, dtype=torch.float64, requires_grad=True)
    for name, bound in THIRD_DERIVATIVE_BOUNDS.items():
        derivative = as_activation(name).derivative(h)
        for _ in range(2):
            (derivative,) = torch.autograd.grad(derivative.sum(), h, create_graph=True)
        assert derivative.abs().max().item() == pytest.approx(bound, rel=1e-4)


def test_the_curvature_is_the_hessian_of_the_one_neuron_function():
    minimum = example()
    matrix = torch.autograd.functional.hessian(minimum.one_neuron_function, minimum.shared_weights)
    torch.testing.assert_close(minimum.curvature_of_h(), matrix)


def test_the_way_out_never_rises_and_ends_at_zero_if_the_network_is_wide():
    minimum = example(width=20)
    values = loss_at(minimum, polygon(minimum.way_out(seed=4), 40))
    assert float(largest_rise(values)) < 1e-13
    torch.testing.assert_close(values[:81], torch.ones_like(values[:81]))
    assert float(values[-1]) < 1e-20


def test_the_opposite_residuals_or_a_negative_output_weight_are_not_certified():
    minimum = example()
    opposite = minimum.targets + 2 * minimum.residuals.unsqueeze(1)
    assert not CoincidingNeurons(minimum.model, minimum.inputs, opposite).is_certified()
    with torch.no_grad():
        minimum.model.weights[1][0, :2] += torch.tensor([0.2, -0.2])
    assert not minimum.is_certified()


def test_quadratic_neurons_and_too_few_samples_admit_no_such_minimum():
    inputs = gaussian(12, 2, seed=5, dtype=torch.float64)
    with pytest.raises(ValueError, match="no residuals"):
        coinciding_neurons(inputs, 5, "quadratic", shared_weights=torch.ones(2).to(inputs))
    with pytest.raises(ValueError, match="5 samples"):
        coinciding_neurons(inputs[:5], 5, shared_weights=torch.ones(2).to(inputs))


@pytest.mark.cuda
def test_on_a_gpu_the_minimum_and_the_way_out_of_it_are_those_of_the_cpu():
    inputs = gaussian(10, 2, seed=6, dtype=torch.float64, device="cuda")
    minimum = coinciding_neurons(inputs, 20, shared_weights=torch.full((2,), 0.7).to(inputs))
    other = coinciding_neurons(inputs.cpu(), 20, shared_weights=torch.full((2,), 0.7).to(inputs.cpu()))
    assert minimum.is_certified()
    torch.testing.assert_close(minimum.targets.cpu(), other.targets)
    values = loss_at(minimum, polygon(minimum.way_out(seed=7), 10))
    assert float(largest_rise(values)) < 1e-13
