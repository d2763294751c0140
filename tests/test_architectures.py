"""Relatives of the residual network: equations, equivalences and parity with PyTorch."""

from __future__ import annotations

import math

import pytest
import torch

from dlopt import architectures
from dlopt.architectures import Aggregated, DenselyConnected, Highway, Slimmable, residual_step
from dlopt.models import FullyConnected

HERE = {"dtype": torch.float64, "device": "cpu"}
MAKE = {
    "highway": lambda **options: Highway(5, 6, 3, depth=4, **options),
    "dense": lambda **options: DenselyConnected(5, 3, growth=2, depth=4, **options),
    "aggregated": lambda **options: Aggregated(5, cardinality=3, bottleneck=2, **options),
}


def inputs(n: int = 9, d: int = 5) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE.keys())
class TestMembers:
    def test_each_is_the_network_of_its_seed(self, make):
        many = make(members=3, seed=4, **HERE)
        for member in range(3):
            torch.testing.assert_close(many(inputs())[member], make(seed=4 + member, **HERE)(inputs()))

    def test_their_number_must_be_positive(self, make):
        with pytest.raises(ValueError, match="members must be None or a positive number"):
            make(members=0)

    @pytest.mark.cuda
    def test_cuda_computes_what_the_cpu_does(self, make):
        here, there = (make(members=2, dtype=torch.float64, device=device) for device in ("cpu", "cuda"))
        assert torch.allclose(here(inputs()), there(inputs().cuda()).cpu(), atol=1e-12)


class TestResidualStep:
    def test_it_is_equation_19(self):
        weight, projection = inputs(7, 5), inputs(7, 5) + 1
        found = residual_step(lambda z: z @ weight.T, inputs(), activation=torch.tanh, projection=projection)
        torch.testing.assert_close(found, torch.tanh(inputs() @ weight.T + inputs() @ projection.T))

    def test_without_activation_and_with_a_zero_branch_it_is_the_identity(self):
        assert torch.equal(residual_step(torch.zeros_like, inputs()), inputs())

    def test_a_change_of_width_needs_a_projection(self):
        with pytest.raises(ValueError, match="needs a projection"):
            residual_step(lambda z: z[:, :3], inputs())


class TestHighway:
    def test_a_layer_mixes_transform_and_input_by_the_gate(self):
        network = Highway(5, 5, 5, depth=1, **HERE)
        z = inputs()
        gate = 1 / (1 + torch.exp(-(z @ network.gates[0].T - 2.0)))
        expected = gate * torch.relu(z @ network.transforms[0].T) + (1 - gate) * z
        torch.testing.assert_close(network.layer(0, z), expected)
        torch.testing.assert_close(network(z), network.layer(0, z @ network.entry.T) @ network.head.T)

    def test_an_open_gate_is_the_plain_layer(self):
        network = Highway(5, 5, 5, depth=1, gate_bias=1e9, **HERE)
        torch.testing.assert_close(network.layer(0, inputs()), torch.relu(inputs() @ network.transforms[0].T))


class TestDense:
    def test_every_layer_sees_all_features_before_it(self):
        network = DenselyConnected(5, 3, growth=2, depth=2, **HERE)
        x = inputs()
        first = torch.relu(x @ network.weights[0].T)
        second = torch.relu(torch.cat([x, first], dim=1) @ network.weights[1].T)
        torch.testing.assert_close(network.features(x), torch.cat([x, first, second], dim=1))
        torch.testing.assert_close(network(x), network.features(x) @ network.head.T)
        assert network.widths == [5, 7, 9]


class TestAggregated:
    def test_the_grouped_layer_is_the_sum_of_the_branches(self):
        for members in (None, 2):
            network = Aggregated(5, cardinality=3, bottleneck=2, members=members, **HERE)
            torch.testing.assert_close(network(inputs()), sum(network.branches(inputs())))

    def test_it_is_pytorchs_grouped_convolution(self):
        network = Aggregated(5, cardinality=3, bottleneck=2, **HERE)
        inner = torch.relu(inputs() @ network.down.T).unsqueeze(-1)
        mixed = torch.nn.functional.conv1d(inner, network.groups.unsqueeze(-1), groups=3).squeeze(-1)
        torch.testing.assert_close(network(inputs()), torch.relu(mixed) @ network.up.T)

    def test_its_parameters_are_counted(self):
        network = Aggregated(7, cardinality=3, bottleneck=2)
        counted = sum(parameter.numel() for parameter in network.parameters())
        assert counted == architectures.grouped_parameters(7, 3, 2) == 3 * (2 * 7 * 2 + 4)


class TestSlimmable:
    def test_at_full_width_it_is_a_fully_connected_network(self):
        network = Slimmable([5, 8, 8, 3], seed=2, **HERE)
        same = FullyConnected([5, 8, 8, 3], seed=2, **HERE)
        torch.testing.assert_close(network.at(1.0, inputs()), same(inputs()))

    def test_a_narrow_width_uses_the_first_units_with_their_own_fan_in(self):
        network = Slimmable([5, 8, 8, 3], fractions=(0.25, 1.0), **HERE)
        first, second, last = network.weights
        z = torch.relu(math.sqrt(2 / 5) * inputs() @ first[:2].T)
        z = torch.relu(z @ second[:2, :2].T)
        torch.testing.assert_close(network.at(0.25, inputs()), z @ last[:, :2].T)
        torch.testing.assert_close(network(inputs())[0], network.at(0.25, inputs()))
        assert network(inputs()).shape == (2, 9, 3)


def test_compound_scaling_multiplies_the_cost():
    assert architectures.compound_cost(1) == pytest.approx(1.2 * 1.1**2 * 1.15**2)
    assert architectures.compound_cost(3) == pytest.approx(architectures.compound_cost(1) ** 3)
