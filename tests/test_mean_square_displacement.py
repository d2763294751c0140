"""Displacements of SGD against walks that can be computed by hand."""

import torch

from dlopt.data import gaussian
from dlopt.landscape.mean_square_displacement import Displacements, sgd_displacements
from dlopt.models import FullyConnected
from dlopt.training import squared_error


def run(loss, members=3, **options):
    x, y = gaussian(30, 4, seed=1), gaussian(30, 2, seed=2)
    model = FullyConnected([4, 5, 2], "tanh", members=members)
    settings = {"step_size": 0.1, "batch_size": 4, "waits": [0, 5], "gaps": [1, 4, 10], "seed": 0}
    return model, sgd_displacements(model, x, y, loss=loss, **{**settings, **options})


def test_one_step_is_its_own_walk():
    _, result = run(squared_error)
    assert isinstance(result, Displacements)
    assert result.distance.shape == result.walk.shape == (2, 3, 3)
    torch.testing.assert_close(result.ratio[:, 0], torch.ones(2, 3, dtype=torch.float64), rtol=1e-4, atol=0)


def test_equal_steps_go_farther_than_a_walk_by_their_number():
    """Equal samples make no noise, and a small slope hardly changes on the way."""
    x = gaussian(1, 4, seed=1).expand(30, 4)
    model = FullyConnected([4, 5, 2], "tanh", members=3)
    result = sgd_displacements(
        model, x, x, loss=lambda z, y: 1e-3 * z.mean(dim=(-1, -2)),
        step_size=0.1, batch_size=4, waits=[0, 5], gaps=[1, 4, 10], seed=0,
    )  # fmt: skip
    expected = torch.tensor([1.0, 4.0, 10.0], dtype=torch.float64)[:, None].expand(2, 3, 3)
    torch.testing.assert_close(result.ratio, expected, rtol=1e-2, atol=0)


def test_the_displacement_is_per_parameter_and_the_loss_that_at_the_wait():
    model, result = run(squared_error, waits=[0], gaps=[3])
    _, longer = run(squared_error, waits=[0, 3], gaps=[3])
    torch.testing.assert_close(result.distance[0, 0], longer.distance[0, 0])
    fresh = FullyConnected([4, 5, 2], "tanh", members=3)
    x, y = gaussian(30, 4, seed=1), gaussian(30, 2, seed=2)
    torch.testing.assert_close(result.loss[0], squared_error(fresh(x), y))
    moved = torch.cat([p.detach().flatten(1) for p in model.parameters()], dim=1)
    assert moved.shape == (3, 30)
    torch.testing.assert_close(longer.loss[0], result.loss[0])
    assert (longer.loss[1] != result.loss[0]).all()
