"""Deep linear classifiers: the logarithm of the risk, its slope, and how close layers are to rank one."""

from __future__ import annotations

import pytest
import torch

from dlopt.landscape import deep_linear, layer_alignment

GENERATOR = torch.Generator().manual_seed(0)
SIGNED = torch.randn(4, 9, generator=GENERATOR, dtype=torch.float64) + 0.5


def network(scale=0.5):
    return [w.cpu() for w in deep_linear.random_weights((4, 5, 3, 1), starts=3, scale=scale, seed=2)]


def test_the_logarithm_is_that_of_the_mean_exponential_loss():
    weights = network()
    risk = torch.exp(-(deep_linear.product(weights) @ SIGNED)).mean(dim=(-2, -1))
    torch.testing.assert_close(layer_alignment.log_risk(weights, SIGNED), risk.log())


def test_the_logarithm_survives_where_the_risk_underflows():
    direction = SIGNED.mean(dim=1)
    columns = SIGNED[:, (direction @ SIGNED) > 0]
    far = layer_alignment.log_risk([1e4 * direction[None]], columns)
    assert far < -800
    assert far.isfinite()


def test_the_slope_is_that_of_automatic_differentiation():
    product = deep_linear.product(network()).requires_grad_()
    (expected,) = torch.autograd.grad(layer_alignment.log_risk([product], SIGNED).sum(), product)
    torch.testing.assert_close(layer_alignment.log_risk_slope(SIGNED)(product.detach()), expected)


def test_a_step_is_one_of_gradient_descent_on_the_risk():
    parameters = [w.requires_grad_() for w in network()]
    risk = layer_alignment.log_risk(parameters, SIGNED).exp()
    slopes = torch.autograd.grad(risk.sum(), parameters)
    with torch.no_grad():
        size = sum(w.square().sum(dim=(-2, -1)) for w in parameters) / 3
        eta = (0.1 / (risk * size**2))[:, None, None]
        found = layer_alignment.descend_scaled(parameters, SIGNED, step_size=0.1, steps=1)
        for new, old, slope in zip(found, parameters, slopes, strict=True):
            torch.testing.assert_close(new, old - eta * slope)


def test_a_layer_of_rank_one_has_all_its_square_in_the_leading_direction():
    column, row = torch.ones(3, 1, dtype=torch.float64), torch.arange(1.0, 5, dtype=torch.float64)[None]
    shares = layer_alignment.leading_share([column @ row, torch.eye(3, dtype=torch.float64)])
    torch.testing.assert_close(shares, torch.tensor([1, 1 / 3], dtype=torch.float64))


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.2])
def test_neighbors_are_aligned_by_the_cosine_of_their_angle(angle):
    angle = torch.tensor(angle, dtype=torch.float64)
    below = torch.tensor([[1.0], [0.0]], dtype=torch.float64) @ torch.ones(1, 3, dtype=torch.float64)
    above = torch.ones(2, 1, dtype=torch.float64) @ torch.stack([-angle.cos(), angle.sin()])[None]
    found = layer_alignment.neighbor_alignment([below, above])
    torch.testing.assert_close(found, angle.cos()[None])
