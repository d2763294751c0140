"""Gaussian expectations of activations: closed forms beside quadrature, and sampling for a kink."""

import pytest
import torch

from dlopt.data import gaussian
from dlopt.kernels.dual_activations import dual
from dlopt.models import ACTIVATIONS, Activation

P, Q = (torch.tensor(values, dtype=torch.float64) for values in ([0.5, 1.0, 2.0], [0.8, 1.5]))
COVARIANCE = torch.tensor([[-0.6, 0.3], [0.0, 0.9], [1.2, -1.7]], dtype=torch.float64)


def quadrature(name: str):
    phi = ACTIVATIONS[name]
    return dual(Activation(f"another {name}", phi.function, phi.derivative))


def test_the_arc_sine_is_what_quadrature_gives():
    for closed, numerical in zip(
        dual("erf").products(COVARIANCE, P, Q), quadrature("erf").products(COVARIANCE, P, Q), strict=True
    ):
        torch.testing.assert_close(closed, numerical, rtol=1e-7, atol=1e-9)


def test_the_arc_cosines_are_what_sampling_gives():
    chol = torch.linalg.cholesky(torch.tensor([[2.0, -1.7], [-1.7, 1.5]], dtype=torch.float64))
    u, v = (gaussian(1_000_000, 2, dtype=torch.float64) @ chol.T).T
    values, slopes = dual("relu").products(COVARIANCE, P, Q)
    assert float(values[2, 1]) == pytest.approx(float((u.relu() * v.relu()).mean()), rel=0.03)
    assert float(slopes[2, 1]) == pytest.approx(float(((u > 0) & (v > 0)).double().mean()), rel=0.03)


@pytest.mark.parametrize("activation", ["relu", "erf", "tanh"])
def test_variances_and_slopes_are_the_products_at_full_correlation(activation):
    phi = dual(activation)
    values, slopes = phi.products(torch.diag(P) + (1 - torch.eye(3)), P, P)
    torch.testing.assert_close(values.diagonal(), phi.variance(P))
    torch.testing.assert_close(slopes.diagonal(), phi.slope(P))
