"""Deep linear networks: gradients, critical points, curvature and the rank test."""

from __future__ import annotations

import itertools

import pytest
import torch

from dlopt.landscape import deep_linear
from dlopt.landscape import matrix_factorization as mf
from dlopt.landscape.strict_saddles import hessian_spectrum

SIGMA = torch.tensor([3.0, 2.2, 1.4, 0.7], dtype=torch.float64)
TARGET = mf.with_singular_values(SIGMA, (4, 4), seed=3).cpu()
EYE = torch.eye(4, dtype=torch.float64)
SUBSETS = [kept for size in range(5) for kept in itertools.combinations(range(4), size)]


def loss(weights):
    return deep_linear.squared_loss(weights, EYE, TARGET)


def autograd(weights):
    parameters = [weight.clone().requires_grad_() for weight in weights]
    return torch.autograd.grad(loss(parameters).sum(), parameters)


@pytest.mark.parametrize("widths", [(4, 3, 4), (4, 5, 2, 4), (4, 4, 4, 3, 4)])
def test_gradients_are_those_of_automatic_differentiation(widths):
    weights = [w.cpu() for w in deep_linear.random_weights(widths, starts=5, scale=1.0, seed=0)]
    outer = 2 * (deep_linear.product(weights) - TARGET)
    for ours, theirs in zip(deep_linear.gradients(weights, outer), autograd(weights), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_every_subset_of_pieces_gives_a_critical_point_that_misses_the_others(depth):
    for kept in SUBSETS:
        weights = deep_linear.critical_point(TARGET, kept, [4] * (depth + 1))
        assert max(slope.abs().max() for slope in autograd(weights)) < 1e-13
        dropped = [j for j in range(4) if j not in kept]
        torch.testing.assert_close(loss(weights), SIGMA[dropped].square().sum())


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_the_smallest_eigenvalue_is_that_of_the_hessian(depth):
    for kept in SUBSETS:
        weights = deep_linear.critical_point(TARGET, kept, [4] * (depth + 1))
        measured = torch.linalg.eigvalsh(deep_linear.hessian_at(weights, loss))[0]
        predicted = deep_linear.smallest_eigenvalue(SIGMA, kept, depth, free=len(kept) < 4)
        torch.testing.assert_close(measured, predicted, atol=1e-12, rtol=0)


def test_the_smallest_eigenvalue_without_a_free_unit():
    for kept in itertools.combinations(range(4), 2):
        weights = deep_linear.critical_point(TARGET, kept, (4, 2, 2, 4))
        measured = torch.linalg.eigvalsh(deep_linear.hessian_at(weights, loss))[0]
        predicted = deep_linear.smallest_eigenvalue(SIGMA, kept, 3, free=False)
        torch.testing.assert_close(measured, predicted, atol=1e-12, rtol=0)


def test_two_layers_have_the_curvature_of_matrix_factorization():
    for kept in [(), (0,), (1, 3), (0, 1)]:
        ours = deep_linear.smallest_eigenvalue(SIGMA, kept, 2, free=len(kept) < 3)
        torch.testing.assert_close(ours, hessian_spectrum(SIGMA, kept, 3)[0].clamp(max=0))


@pytest.mark.parametrize("widths", [(4, 4, 4), (4, 4, 4, 4), (4, 2, 4), (4, 3, 2, 4), (4, 2, 2, 3, 4)])
def test_the_rank_test_agrees_with_the_loss(widths):
    k = min(widths)
    best = mf.best_value(TARGET, k)
    for kept in SUBSETS:
        if len(kept) <= k:
            weights = deep_linear.critical_point(TARGET, kept, widths)
            assert deep_linear.passes_rank_test(weights, TARGET) == bool((loss(weights) - best).abs() < 1e-9)


def test_too_many_pieces_do_not_fit():
    with pytest.raises(ValueError, match="3 pieces"):
        deep_linear.critical_point(TARGET, (0, 1, 2), (4, 2, 4))


def test_descent_on_one_layer_is_least_squares():
    inputs, targets = torch.randn(2, 4, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    start = [torch.zeros(4, 4, dtype=torch.float64)]
    (weight,) = deep_linear.descend(
        start, lambda p: 2 * (p @ inputs - targets) @ inputs.T, step_size=0.02, steps=3000
    )
    torch.testing.assert_close(weight, targets @ torch.linalg.pinv(inputs), atol=1e-8, rtol=0)


@pytest.mark.cuda
def test_descent_runs_on_the_device_that_the_weights_are_on():
    weights = [w.cuda() for w in deep_linear.random_weights((4, 4, 4), starts=3, scale=1.0, seed=0)]
    target = TARGET.cuda()
    ended = deep_linear.descend(weights, lambda p: 2 * (p - target), step_size=0.02, steps=2000)
    assert (deep_linear.product(ended) - target).abs().max() < 1e-6
