"""Fixup: its rules, and the first step that they fix."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dlopt import training
from dlopt.tricks import fixup
from dlopt.tricks.fixup import BranchNetwork

HERE = {"dtype": torch.float64, "device": "cpu"}


def inputs(n: int = 9, d: int = 5) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_the_scale_is_the_papers():
    assert fixup.fixup_scale(16, 3) == 16**-0.25 == 0.5
    assert fixup.fixup_scale(16, 2) == 0.25


@pytest.mark.parametrize(("branches", "layers"), [(0, 2), (4, 1)])
def test_the_scale_needs_a_layer_that_is_not_zero(branches, layers):
    with pytest.raises(ValueError, match="one branch of two layers"):
        fixup.fixup_scale(branches, layers)


class TestNetwork:
    def test_it_is_its_formula(self):
        network = BranchNetwork(5, 4, 3, branches=2, layers=3, multiplier=0.5, **HERE)
        z = inputs() @ network.entry.T
        for branch in (0, 1):
            first, second, third = network.weights[3 * branch : 3 * branch + 3]
            z = z + 0.5 * torch.relu(torch.relu(z @ first.T) @ second.T) @ third.T
        torch.testing.assert_close(network(inputs()), z @ network.head.T)

    def test_biases_stand_before_every_layer_and_activation(self):
        network = BranchNetwork.fixup(5, 4, 3, branches=1, layers=2, **HERE)
        assert network.biases.shape == (3,)
        with torch.no_grad():
            network.biases.copy_(torch.tensor([1.0, 2.0, 3.0]))
            network.weights[1].fill_(0.3)
        z = inputs(d=4)
        expected = (torch.relu((z + 1) @ network.weights[0].T + 2) + 3) @ network.weights[1].T
        torch.testing.assert_close(network.branch(0, z), expected)

    def test_fixup_starts_as_zero_with_silent_branches(self):
        network = BranchNetwork.fixup(5, 4, 3, branches=3, layers=3, **HERE)
        assert not network(inputs()).any()
        for branch in range(3):
            assert not network.branch(branch, inputs(d=4)).any()
        trained = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
        assert {"multipliers", "biases"} <= set(trained)
        assert network.multipliers.tolist() == [1.0] * 3

    def test_the_inner_layers_are_kaimings_times_the_scale(self):
        network = BranchNetwork.fixup(5, 200, 3, branches=16, layers=3, **HERE)
        assert network.weights[0].std().item() == pytest.approx(math.sqrt(2 / 200) * 0.5, rel=0.05)
        assert network.weights[1].std().item() == pytest.approx(math.sqrt(2 / 200) * 0.5, rel=0.05)
        assert not network.weights[2].any()
        assert network.entry.std().item() == pytest.approx(math.sqrt(1 / 5), rel=0.1)

    def test_a_member_that_diverges_is_frozen_while_the_others_train(self):
        network = BranchNetwork.fixup(5, 4, 3, branches=2, members=2, **HERE)
        assert all(len(parameter) == 2 for parameter in network.parameters())
        targets = torch.randn(9, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        run = training.train(
            network, inputs(), targets, loss=training.squared_error, steps=30,
            step_size=torch.tensor([0.01, 1e8], dtype=torch.float64),
        )  # fmt: skip
        assert run.diverged.tolist() == [False, True]
        assert run.loss[-1, 0] < run.loss[0, 0]

    def test_without_fixup_multipliers_and_biases_are_fixed(self):
        network = BranchNetwork(5, 4, 3, branches=2, **HERE)
        assert not network.multipliers.requires_grad
        assert not network.biases.requires_grad

    def test_each_member_is_the_network_of_its_seed(self):
        many = BranchNetwork(5, 4, 3, branches=2, members=3, seed=4, **HERE)
        for member in range(3):
            single = BranchNetwork(5, 4, 3, branches=2, seed=4 + member, **HERE)
            torch.testing.assert_close(many(inputs())[member], single(inputs()))

    @pytest.mark.parametrize("options", [{"branches": 0}, {"branches": 1, "layers": 0}])
    def test_it_needs_a_branch_and_a_layer(self, options):
        with pytest.raises(ValueError, match="needs a branch and a layer"):
            BranchNetwork(5, 4, 3, **options)

    @pytest.mark.cuda
    def test_cuda_computes_what_the_cpu_does(self):
        here, there = (
            BranchNetwork.fixup(5, 4, 3, branches=3, dtype=torch.float64, device=device)
            for device in ("cpu", "cuda")
        )
        assert torch.allclose(here(inputs()), there(inputs().cuda()).cpu(), atol=1e-12)


class TestFirstStep:
    def test_the_change_is_that_of_a_gradient_step(self):
        network = BranchNetwork(5, 4, 3, branches=2, last=0.5, **HERE)
        y = inputs(d=3)
        found = fixup.step_change(network, inputs(), y, training.squared_error, 1e-2)
        before = network(inputs()).detach()
        optimizer = torch.optim.SGD(network.weights.parameters(), lr=1e-2)
        training.squared_error(network(inputs()), y).backward()
        optimizer.step()
        assert found == pytest.approx((network(inputs()) - before).square().mean().sqrt().item())

    def test_it_leaves_the_network_as_it_was(self):
        network = BranchNetwork(5, 4, 3, branches=2, **HERE)
        before = [parameter.clone() for parameter in network.parameters()]
        fixup.step_change(network, inputs(), inputs(d=3), training.squared_error, 0.1)
        assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))

    @pytest.mark.parametrize("layers", [2, 3])
    @pytest.mark.parametrize("exponent", [0.0, 0.25, 0.5])
    def test_it_grows_with_depth_as_predicted(self, layers, exponent):
        def change(branches):
            network = BranchNetwork(
                5,
                60,
                3,
                branches=branches,
                layers=layers,
                scale=branches**-exponent,
                last=0.0,
                members=4,
                **HERE,
            )
            return (
                fixup.step_change(network, inputs(), inputs(d=3), training.squared_error, 1e-5).mean().item()
            )

        measured = change(32) / change(8)
        predicted = fixup.predicted_change(exponent, 32, layers) / fixup.predicted_change(exponent, 8, layers)
        assert measured == pytest.approx(predicted, rel=0.25)

    def test_fixups_exponent_is_the_one_without_growth(self):
        for layers in (2, 3, 5):
            assert (
                np.ptp([fixup.predicted_change(1 / (2 * layers - 2), L, layers) for L in (1, 10, 100)])
                < 1e-12
            )
        assert fixup.predicted_change(1 / 4, 16, 2) == pytest.approx(4)
