"""Fisher matrices beside the Gauss–Newton matrix, closed forms and each other."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector

from dlopt.algorithms.likelihoods import CATEGORICAL, GAUSSIAN
from dlopt.algorithms.natural_gradient import empirical_fisher, fisher, natural_gradient
from dlopt.curvature import GaussNewton
from dlopt.training import cross_entropy, squared_error

pytestmark = pytest.mark.usefixtures("on_the_cpu")


def problem():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    return model, torch.randn(11, 4, dtype=torch.float64), torch.randint(3, (11,))


def test_the_fisher_matrix_is_the_gauss_newton_matrix():
    model, x, y = problem()
    torch.testing.assert_close(
        fisher(model, x, CATEGORICAL), GaussNewton.of(model, x, y, cross_entropy).matrix()
    )
    targets = torch.zeros(11, 3, dtype=torch.float64)
    torch.testing.assert_close(
        fisher(model, x, GAUSSIAN), GaussNewton.of(model, x, targets, squared_error).matrix()
    )


def test_the_empirical_fisher_is_the_mean_of_squared_gradients():
    model, x, y = problem()
    rows = []
    for i in range(11):
        loss = cross_entropy(model(x[i : i + 1]), y[i : i + 1])
        rows.append(parameters_to_vector(torch.autograd.grad(loss, model.parameters())))
    rows = torch.stack(rows)
    torch.testing.assert_close(empirical_fisher(model, x, y, cross_entropy), rows.mT @ rows / 11)


def test_it_averages_over_targets_of_the_model():
    model, x, _ = problem()
    with torch.no_grad():
        p = model(x).softmax(dim=-1)
    total = 0
    for i in range(11):
        for label in range(3):
            total = total + p[i, label] * empirical_fisher(
                model, x[i : i + 1], torch.tensor([label]), cross_entropy
            )
    torch.testing.assert_close(fisher(model, x, CATEGORICAL), total / 11)


def test_the_step_solves_the_damped_system():
    matrix, gradient = torch.diag(torch.tensor([1.0, 3.0])), torch.tensor([2.0, 8.0])
    torch.testing.assert_close(natural_gradient(matrix, gradient, 1.0), torch.tensor([1.0, 2.0]))
    with pytest.raises(ValueError, match="negative"):
        natural_gradient(matrix, gradient, -1.0)
