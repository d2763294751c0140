import pytest
import torch

from dlopt.landscape import alternating_minimization as am
from dlopt.models import ACTIVATIONS

pytestmark = pytest.mark.usefixtures("on_the_cpu")


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_outer_solution_is_least_squares():
    hidden, targets = normal(2, 9, 4, seed=1), normal(9, seed=2)
    expected = torch.linalg.lstsq(hidden, targets.expand(2, 9)[..., None]).solution[..., 0]
    torch.testing.assert_close(am.outer_solution(hidden, targets), expected)


def test_the_gradient_matrix_times_the_residual_is_the_gradient():
    inputs, targets, tanh = normal(7, 3, seed=3), normal(7, seed=4), ACTIVATIONS["tanh"]
    weights, readout = normal(4, 3, seed=5).requires_grad_(), normal(4, seed=6)
    residual = tanh(inputs @ weights.T) @ readout - targets
    (expected,) = torch.autograd.grad(residual.square().sum() / 2, weights)
    matrix = am.gradient_matrix(inputs, weights.detach(), readout, tanh)
    assert matrix.shape == (12, 7)
    torch.testing.assert_close((matrix @ residual.detach()).reshape(4, 3), expected)


def test_the_loss_never_rises_and_is_the_loss_of_what_is_returned():
    inputs, targets = normal(12, 3, seed=7), normal(12, seed=8)
    run = am.alternating_minimization(inputs, targets, normal(5, 6, 3, seed=9), activation="tanh", rounds=50)
    assert run.loss.shape == (51, 5)
    assert (run.loss.diff(dim=0) <= 0).all()
    assert (run.loss[-1] < 0.9 * run.loss[0]).all()
    outputs = (torch.tanh(inputs @ run.weights.mT) @ run.readout[..., None])[..., 0]
    torch.testing.assert_close((outputs - targets).square().sum(dim=-1) / 2, run.loss[-1])
