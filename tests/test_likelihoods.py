"""Losses as likelihoods: Λ beside the Hessian of the loss, and errors whose covariance it is."""

from __future__ import annotations

import pytest
import torch

from dlopt.algorithms.likelihoods import CATEGORICAL, GAUSSIAN
from dlopt.training import cross_entropy, squared_error

CASES = [
    (GAUSSIAN, squared_error, torch.randn(3, dtype=torch.float64)),
    (CATEGORICAL, cross_entropy, torch.tensor(1)),
]
cases = pytest.mark.parametrize(("likelihood", "loss", "target"), CASES, ids=["gaussian", "categorical"])


def outputs(n=1):
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@cases
def test_the_curvature_is_the_hessian_of_the_loss_in_the_outputs(likelihood, loss, target):
    z = outputs()
    expected = torch.autograd.functional.hessian(lambda z: loss(z.unsqueeze(0), target.unsqueeze(0)), z[0])
    torch.testing.assert_close(likelihood.curvature(z)[0], expected)


@cases
def test_errors_have_mean_zero_and_the_curvature_as_covariance(likelihood, loss, target):
    z = outputs().expand(40_000, -1)
    errors = likelihood.error(z, torch.Generator().manual_seed(2))
    covariance = errors.mT @ errors / len(z)
    assert errors.mean(dim=0).abs().max() < 0.03
    assert (covariance - likelihood.curvature(z[:1])[0]).abs().max() < 0.06


@cases
def test_an_error_is_the_gradient_of_the_loss_at_some_target(likelihood, loss, target):
    z = outputs().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(z, target.unsqueeze(0)), z)
    if likelihood is GAUSSIAN:
        torch.testing.assert_close(gradient, 2 * (z - target))
    else:
        drawn = likelihood.error(z.detach().expand(200, -1), torch.Generator().manual_seed(3))
        assert (drawn - gradient).abs().sum(dim=1).min() < 1e-12
