"""The backpropagated diagonal and the exact one beside the Gauss–Newton matrix."""

from __future__ import annotations

import pytest
import torch

from dlopt.algorithms.diagonal_curvature import becker_lecun, exact_diagonal, pseudo_newton_rates
from dlopt.algorithms.likelihoods import CATEGORICAL, GAUSSIAN
from dlopt.curvature import GaussNewton
from dlopt.models import FullyConnected
from dlopt.training import cross_entropy, squared_error

pytestmark = pytest.mark.usefixtures("on_the_cpu")


def problem(*widths):
    network = FullyConnected(widths, "tanh", dtype=torch.float64, seed=3)
    return network, torch.randn(17, widths[0], dtype=torch.float64)


def flat(diagonals):
    return torch.cat([d.flatten() for d in diagonals])


@pytest.mark.parametrize("widths", [(4, 5, 3), (4, 5, 6, 3)])
def test_the_exact_diagonal_is_that_of_the_gauss_newton_matrix(widths):
    network, x = problem(*widths)
    labels = torch.randint(3, (17,))
    matrix = GaussNewton.of(network, x, labels, cross_entropy).matrix()
    torch.testing.assert_close(flat(exact_diagonal(network, x, CATEGORICAL)), matrix.diagonal())


def test_becker_and_le_cun_are_exact_with_one_hidden_layer_and_one_output():
    network, x = problem(4, 5, 1)
    matrix = GaussNewton.of(network, x, torch.zeros(17, 1, dtype=torch.float64), squared_error).matrix()
    torch.testing.assert_close(flat(becker_lecun(network, x, GAUSSIAN)), matrix.diagonal())


def test_becker_and_le_cun_are_exact_in_the_last_layer_and_not_below():
    network, x = problem(4, 5, 6, 3)
    ours, exact = becker_lecun(network, x, CATEGORICAL), exact_diagonal(network, x, CATEGORICAL)
    torch.testing.assert_close(ours[-1], exact[-1])
    for below, true in zip(ours[:-1], exact[:-1], strict=True):
        assert (below - true).norm() > 0.05 * true.norm()


def test_rates_are_bounded_by_mu():
    rates = pseudo_newton_rates(torch.tensor([0.0, -1.0, 3.0]), 0.5)
    torch.testing.assert_close(rates, torch.tensor([2.0, 1 / 1.5, 1 / 3.5]))
    with pytest.raises(ValueError, match="positive"):
        pseudo_newton_rates(torch.ones(1), 0.0)
