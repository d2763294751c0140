"""Mirrored weights make a ReLU network linear."""

from __future__ import annotations

import pytest
import torch

from dlopt.tricks.isometry import jacobians
from dlopt.tricks.mirrored import mirrored_relu


@pytest.mark.parametrize("depth", [2, 3, 7])
def test_the_network_is_one_orthogonal_matrix_for_every_input(depth):
    network = mirrored_relu(6, depth, seed=1, dtype=torch.float64, device="cpu")
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = jacobians(network, x, last_activation=False)
    assert torch.allclose(found, found[:1].expand_as(found), atol=1e-12)
    assert torch.allclose(found[0] @ found[0].T, torch.eye(6, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(network(x), x @ found[0].T, atol=1e-12)


def test_hidden_neurons_come_in_pairs_of_opposite_sign():
    network = mirrored_relu(4, 3, dtype=torch.float64, device="cpu")
    for h in network.passes(torch.ones(1, 4, dtype=torch.float64)).preactivations[:-1]:
        top, bottom = h[0].chunk(2)
        assert torch.allclose(top, -bottom)
