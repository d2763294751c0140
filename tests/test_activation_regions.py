"""Regions of weight space in which no ReLU switches."""

from __future__ import annotations

import torch

from dlopt import runtime
from dlopt.landscape import activation_regions as regions


def random_tensor(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=runtime.generator(seed), dtype=torch.float64)


def test_the_matrix_computes_the_network():
    inputs, weights, outputs = (
        random_tensor(7, 3, seed=0),
        random_tensor(4, 3, seed=1),
        random_tensor(4, seed=2),
    )
    matrix = regions.region_matrix(regions.pattern(weights, inputs), inputs)
    torch.testing.assert_close(
        matrix @ (outputs[:, None] * weights).flatten(), torch.relu(inputs @ weights.T) @ outputs
    )


def test_the_residual_is_that_of_least_squares_and_a_sample_unseen_keeps_its_target():
    inputs, targets = random_tensor(6, 3, seed=3), random_tensor(6, seed=4)
    signs = regions.pattern(random_tensor(10, 4, 3, seed=5), inputs)
    signs[0, 2] = 0
    matrices = regions.region_matrix(signs, inputs)
    solution = torch.linalg.pinv(matrices) @ targets
    expected = ((matrices @ solution[..., None])[..., 0] - targets).norm(dim=-1)
    measured = regions.smallest_residual(matrices, targets)
    torch.testing.assert_close(measured, expected, atol=1e-6, rtol=1e-6)
    assert measured[0] >= targets[2].abs() - 1e-9


def test_a_region_with_a_planted_minimum_is_recognized_and_one_of_the_wrong_sign_is_not():
    inputs, weights = random_tensor(5, 2, seed=6), random_tensor(3, 2, seed=7)
    outputs = torch.tensor([1.0, 1.0, 1.0], dtype=torch.float64)
    signs = regions.pattern(weights, inputs)
    targets = torch.relu(inputs @ weights.T) @ outputs
    assert regions.holds_a_minimum(signs, outputs, inputs, targets)
    assert not regions.holds_a_minimum(signs, outputs, inputs, -targets)


def test_the_patterns_of_one_neuron_are_counted():
    inputs = random_tensor(5, 2, seed=8)
    signs = regions.pattern(random_tensor(20000, 1, 2, seed=9), inputs)[..., 0]
    assert len(torch.unique(signs, dim=0)) == regions.patterns_of_a_neuron(5, 2) == 10
    assert regions.patterns_of_a_neuron(6, 3) == 2 * (1 + 5 + 10)
