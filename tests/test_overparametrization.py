import pytest
import torch

from dlopt.landscape import overparametrization as op
from dlopt.models import ACTIVATIONS

pytestmark = pytest.mark.usefixtures("on_the_cpu")


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def problem(members: int = 2, n: int = 5, d: int = 4, m: int = 6):
    weights, readout = op.random_network(members, m, d, seed=1)
    return op.sphere_points(members, n, d, seed=2), normal(members, n, seed=3), weights, readout


def test_points_lie_on_the_sphere_and_networks_are_scaled():
    assert torch.allclose(op.sphere_points(3, 7, 4, seed=4).norm(dim=-1), torch.ones(3, 7).double())
    weights, readout = op.random_network(2, 5, 3, seed=5)
    assert weights.shape == (2, 5, 3)
    torch.testing.assert_close(readout.square().sum(dim=-1), torch.ones(2).double())
    assert readout[0].sign().tolist() == [1, 1, 1, -1, -1]


@pytest.mark.parametrize("activation", ["softplus", "tanh"])
def test_the_jacobian_is_that_of_the_outputs(activation):
    inputs, _, weights, readout = problem()
    full = torch.autograd.functional.jacobian(
        lambda w: op.outputs(inputs, w, readout, ACTIVATIONS[activation]), weights
    )
    ours = op.jacobian(inputs, weights, readout, activation)
    for member in range(2):
        torch.testing.assert_close(ours[member], full[member, :, member].flatten(1))


def test_a_step_of_descent_is_minus_the_gradient_and_lengths_add_up():
    inputs, targets, weights, readout = problem()
    j = op.jacobian(inputs, weights, readout, "softplus")
    residual = op.outputs(inputs, weights, readout, ACTIVATIONS["softplus"]) - targets
    run = op.descend(
        inputs, targets, weights, readout, activation="softplus", step_size=torch.tensor([0.1, 0.2]), steps=1
    )
    gradient = (j.mT @ residual[..., None]).reshape(weights.shape)
    expected = weights - torch.tensor([0.1, 0.2])[:, None, None] * gradient
    torch.testing.assert_close(run.weights, expected)
    torch.testing.assert_close(run.length, (run.weights - weights).norm(dim=(-2, -1)))
    torch.testing.assert_close(run.loss[0], residual.square().sum(dim=-1) / 2)


def test_neurons_without_output_take_no_part():
    inputs, targets, weights, readout = problem()
    silent = readout.clone()
    silent[:, 4:] = 0
    options = {"activation": "tanh", "step_size": 0.1, "steps": 20}
    wide = op.descend(inputs, targets, weights, silent, **options)
    narrow = op.descend(inputs, targets, weights[:, :4], silent[:, :4], **options)
    torch.testing.assert_close(wide.weights[:, :4], narrow.weights)
    torch.testing.assert_close(wide.weights[:, 4:], weights[:, 4:])
    torch.testing.assert_close(wide.length, narrow.length)


def test_the_nearest_solution_solves_and_is_nearer_than_the_end_of_descent():
    inputs, _, weights, readout = problem(n=3, d=8)
    targets = op.outputs(inputs, weights, readout, ACTIVATIONS["softplus"]) + 0.2 * normal(2, 3, seed=6)
    nearest = op.nearest_solution(inputs, targets, weights, readout, activation="softplus", steps=20)
    torch.testing.assert_close(op.outputs(inputs, nearest, readout, ACTIVATIONS["softplus"]), targets)
    run = op.descend(inputs, targets, weights, readout, activation="softplus", step_size=0.5, steps=2000)
    assert (run.loss[-1] < 1e-10).all()
    moved = (nearest - weights).norm(dim=(-2, -1))
    assert (moved <= (run.weights - weights).norm(dim=(-2, -1)) + 1e-9).all()
