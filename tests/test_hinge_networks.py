"""ReLU networks with the hinge loss."""

from __future__ import annotations

import pytest
import torch

from dlopt import runtime
from dlopt.landscape import hinge_networks
from dlopt.landscape.half_width_path import with_bias


def random_tensor(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=runtime.generator(seed), dtype=torch.float64)


@pytest.fixture
def sample() -> tuple[torch.Tensor, torch.Tensor]:
    return with_bias(random_tensor(10, 2, seed=0)), random_tensor(10, seed=1).sign()


def network(seed: int, *batch: int) -> hinge_networks.Network:
    shapes = ((), (3,), (3, 3))
    return hinge_networks.Network(
        *(random_tensor(*batch, *shape, seed=seed + i) for i, shape in enumerate(shapes))
    )


def test_the_loss_is_pytorchs_hinge_and_batches_are_independent(sample):
    inputs, labels = sample
    batch = network(2, 4)
    values = hinge_networks.hinge(batch, inputs, labels)
    for k in range(4):
        c, a, w = (part[k] for part in batch)
        predictions = c + torch.relu(inputs @ w.T) @ a
        expected = torch.nn.functional.multi_margin_loss(
            torch.stack([predictions, -predictions], dim=1) / 2, (labels < 0).long(), margin=1.0
        )
        torch.testing.assert_close(values[k], 2 * expected)


def test_the_distance_to_a_kink_is_that_to_the_nearest_switch_or_margin(sample):
    inputs, labels = sample
    one = network(5)
    margins = (1 - labels * hinge_networks.outputs(one, inputs)).abs().min()
    switches = (inputs @ one.inner.T).abs().min()
    torch.testing.assert_close(
        hinge_networks.distance_to_kink(one, inputs, labels), torch.minimum(margins, switches)
    )
    silent = one._replace(outer=torch.zeros(3, dtype=torch.float64))
    assert hinge_networks.distance_to_kink(silent, inputs, labels) == (1 - labels * one.bias).abs().min()


def test_the_linear_programs_never_raise_the_loss_and_end_on_kinks(sample):
    for seed in (10, 20, 30):
        start = network(seed)
        end = hinge_networks.minimize_blocks(start, *sample, rounds=1, radius=10.0)
        further = hinge_networks.minimize_blocks(end, *sample, rounds=2, radius=10.0)
        values = [float(hinge_networks.hinge(each, *sample)) for each in (start, end, further)]
        assert values[0] + 1e-9 >= values[1] >= values[2] - 1e-9
        assert float(hinge_networks.distance_to_kink(further, *sample)) < 1e-8
        assert max(float(part.abs().max()) for part in further) <= 10 + 1e-9
