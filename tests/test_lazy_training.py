"""Any model, scaled up, trains as its linearization."""

import pytest
import torch

from dlopt.data import gaussian
from dlopt.kernels.empirical_kernel import tangent_kernel
from dlopt.kernels.lazy_training import Doubled, NoisyOr, Scaled, movement
from dlopt.models import FullyConnected
from dlopt.training import squared_error, train

X, Y = gaussian(6, 4, dtype=torch.float64), gaussian(6, 1, seed=1, dtype=torch.float64)


def network(**more) -> FullyConnected:
    return FullyConnected([4, 7, 1], "tanh", dtype=torch.float64, **more)


def test_a_doubled_model_starts_at_zero_with_the_kernel_of_one():
    model = Doubled(network())
    assert model(X).abs().max() == 0
    torch.testing.assert_close(tangent_kernel(model, X), tangent_kernel(network(), X))


def test_each_member_has_its_own_scale():
    model = network(members=3)
    scaled = Scaled(model, torch.tensor([1.0, 2.0, -3.0], dtype=torch.float64))(X)
    torch.testing.assert_close(scaled[2], -3 * model(X)[2])
    torch.testing.assert_close(Scaled(network(), 0.5)(X), 0.5 * network()(X))


def test_a_hundredfold_scale_moves_a_hundredth():
    moves = []
    for alpha in (100.0, 10_000.0):
        model = Scaled(Doubled(network()), alpha)
        start = [parameter.detach().clone() for parameter in model.parameters()]
        train(model, X, Y, loss=squared_error, steps=50, every=50, step_size=0.2 / alpha**2)
        moves.append(movement(model, start).item())
    assert moves[0] / moves[1] == pytest.approx(100, rel=0.01)


def test_noisy_or_is_the_log_odds_of_at_least_one_cause():
    theta = torch.tensor([0.3, -1.0], dtype=torch.float64)
    counts = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    failing = (1 - torch.sigmoid(theta[0])) * (1 - torch.sigmoid(theta[1])) ** 2
    torch.testing.assert_close(NoisyOr(theta)(counts)[0, 0], torch.log((1 - failing) / failing))


def test_members_of_noisy_or_are_independent():
    theta = gaussian(3, 2, dtype=torch.float64)
    counts = gaussian(5, 2, seed=1, dtype=torch.float64).abs()
    torch.testing.assert_close(NoisyOr(theta)(counts)[1], NoisyOr(theta[1])(counts))


def test_movement_is_relative_and_over_all_parameters_of_a_member():
    model = network(members=2)
    start = [parameter.detach().clone() for parameter in model.parameters()]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter[1] *= 1.25
    torch.testing.assert_close(movement(model, start), torch.tensor([0.0, 0.25], dtype=torch.float64))
