"""The path that uses half of the neurons at a time."""

from __future__ import annotations

import pytest
import torch

from dlopt import runtime
from dlopt.landscape import half_width_path as half
from dlopt.landscape.paths import polygon


def random_tensor(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=runtime.generator(seed), dtype=torch.float64)


@pytest.fixture
def sample() -> tuple[torch.Tensor, torch.Tensor]:
    return half.with_bias(random_tensor(12, 2, seed=0)), random_tensor(12, seed=1)


def test_the_loss_is_that_of_pytorchs_layers(sample):
    inputs, targets = sample
    point = random_tensor(3, 5 * 4, seed=2)
    network = torch.nn.Sequential(torch.nn.Linear(2, 5), torch.nn.ReLU(), torch.nn.Linear(5, 1, bias=False))
    network = network.double()
    weights = point[1, 5:].unflatten(0, (5, 3))
    with torch.no_grad():
        network[0].weight.copy_(weights[:, :2])
        network[0].bias.copy_(weights[:, 2])
        network[2].weight.copy_(point[1, None, :5])
        expected = torch.nn.functional.mse_loss(network(inputs[:, :2])[:, 0], targets)
    torch.testing.assert_close(half.mean_squared_error(point, inputs, targets)[1], expected)


def test_training_lowers_the_loss_and_leaves_the_start(sample):
    start = random_tensor(4, 20, seed=3)
    before = start.clone()
    end = half.train(start, *sample, steps=50, step_size=0.05)
    assert torch.equal(start, before)
    assert (half.mean_squared_error(end, *sample) < half.mean_squared_error(start, *sample)).all()


def test_the_path_joins_the_networks_and_is_highest_at_a_knot(sample):
    first, second = random_tensor(2, 8 * 4, seed=4)
    kept = torch.arange(8) < 4
    knots = half.half_width_knots(first, second, kept, *sample)
    torch.testing.assert_close(knots[0], first)
    torch.testing.assert_close(knots[-1], second)
    at_knots = half.mean_squared_error(knots, *sample)
    on_path = half.mean_squared_error(polygon(knots, 25), *sample)
    assert float(on_path.max()) <= float(at_knots.max()) + 1e-10
    torch.testing.assert_close(at_knots[1], at_knots[2])
    torch.testing.assert_close(at_knots[3], at_knots[4])


def test_with_enough_neurons_the_way_is_no_higher_than_its_ends(sample):
    first, second = random_tensor(2, 80 * 4, seed=5)
    knots = half.half_width_knots(first, second, torch.arange(80) < 40, *sample)
    losses = half.mean_squared_error(polygon(knots, 10), *sample)
    assert float(losses.max()) <= float(torch.maximum(losses[0], losses[-1])) + 1e-9
