"""Residual networks with scaled branches."""

import math

import torch

from dlopt.data import gaussian
from dlopt.kernels.scaled_residual import ScaledResidual

X = gaussian(5, 4, dtype=torch.float64)


def test_without_branches_it_is_a_network_with_one_hidden_layer():
    model = ScaledResidual(6, 5, 4, branch_scale=0.0, dtype=torch.float64)
    hidden = (X @ model.weights[0].T * math.sqrt(2 / 4)).relu()
    torch.testing.assert_close(model(X), hidden @ model.weights[-1].T * math.sqrt(2 / 6))


def test_a_branch_adds_its_scaled_weights_before_the_activation():
    model = ScaledResidual(6, 3, 4, branch_scale=0.5, dtype=torch.float64)
    z = (X @ model.weights[0].T * math.sqrt(2 / 4)).relu()
    z = (z + 0.5 * math.sqrt(2 / 6) * z @ model.weights[1].T).relu()
    torch.testing.assert_close(model(X), z @ model.weights[2].T * math.sqrt(2 / 6))
