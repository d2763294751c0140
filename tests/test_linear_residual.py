"""Linear residual networks near the identity."""

from __future__ import annotations

import math

import pytest
import torch

from dlopt.landscape import linear_residual

GENERATOR = torch.Generator().manual_seed(4)
DRAW = torch.randn(5, 5, generator=GENERATOR, dtype=torch.float64)
TARGET = DRAW if torch.linalg.det(DRAW) > 0 else -DRAW
COVARIANCE = torch.eye(5, dtype=torch.float64) + 0.3


def points(radius=0.3, depth=6):
    return linear_residual.random_in_ball(50, depth, 5, radius=radius, seed=0).cpu()


def test_the_gradient_is_that_of_automatic_differentiation():
    residuals = points().requires_grad_()
    value = linear_residual.objective(residuals, TARGET, COVARIANCE)
    (expected,) = torch.autograd.grad(value.sum(), residuals)
    torch.testing.assert_close(linear_residual.gradient(residuals.detach(), TARGET, COVARIANCE), expected)


def test_the_objective_is_the_expected_squared_error():
    residuals = points()[0]
    x = (
        torch.randn(200_000, 5, generator=GENERATOR, dtype=torch.float64)
        @ torch.linalg.cholesky(COVARIANCE).T
    )
    z = x
    for slice_ in residuals:
        z = z + z @ slice_.T
    sampled = (z - x @ TARGET.T).square().sum(dim=1).mean()
    assert abs(sampled / linear_residual.objective(residuals, TARGET, COVARIANCE) - 1) < 0.03


@pytest.mark.parametrize("radius", [0.1, 0.5, 0.9])
def test_the_gradient_is_at_least_the_bound_inside_the_ball(radius):
    residuals = points(radius)
    value = linear_residual.objective(residuals, TARGET, COVARIANCE)
    squared = linear_residual.gradient(residuals, TARGET, COVARIANCE).square().sum(dim=(-3, -2, -1))
    bound = linear_residual.gradient_bound(value, linear_residual.norm(residuals), 6, COVARIANCE)
    assert (squared >= bound).all()


def test_the_bound_is_attained_where_every_layer_shrinks():
    tau, depth, eye = 0.3, 8, torch.eye(5, dtype=torch.float64)
    residuals = (-tau * eye).repeat(depth, 1, 1)
    value = linear_residual.objective(residuals, TARGET, eye)
    squared = linear_residual.gradient(residuals, TARGET, eye).square().sum()
    torch.testing.assert_close(squared, linear_residual.gradient_bound(value, tau, depth, eye))
    assert squared < linear_residual.gradient_bound(value, tau, depth, eye, power=1)


@pytest.mark.parametrize("depth", [2, 12, 60])
def test_the_optimum_near_the_identity_is_one_and_shrinks_with_depth(depth):
    residuals = linear_residual.near_identity_optimum(TARGET, depth)
    assert linear_residual.objective(residuals, TARGET, COVARIANCE) < 1e-20
    gamma = torch.linalg.svdvals(TARGET).log().abs().max().item()
    if depth > 10:
        assert linear_residual.norm(residuals) < 1.25 * (math.pi + gamma) / depth


def test_a_reflection_has_no_optimum_near_the_identity():
    reflection = TARGET.clone()
    reflection[0] *= -1
    with pytest.raises(ValueError, match="positive"):
        linear_residual.near_identity_optimum(reflection, 10)
    with pytest.raises(ValueError, match="two layers"):
        linear_residual.near_identity_optimum(TARGET, 1)


def test_random_points_fill_the_ball():
    norms = torch.linalg.matrix_norm(points(0.4), ord=2)
    assert norms.max() <= 0.4
    assert norms.max() > 0.35
    assert norms.min() < 0.05
