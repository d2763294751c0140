"""Layer-wise training: the best step for one layer, sweeps, and Kantorovich's bound."""

from __future__ import annotations

import pytest
import torch
from scipy.optimize import minimize_scalar

from dlopt.landscape import deep_linear, layerwise

WIDTHS = (3, 5, 4, 2)


def problem(starts=3):
    generator = torch.Generator().manual_seed(0)
    weights = [w.cpu() for w in deep_linear.random_weights(WIDTHS, starts=starts, scale=1.0, seed=4)]
    inputs = torch.randn(3, 7, generator=generator, dtype=torch.float64)
    targets = torch.randn(starts, 2, 7, generator=generator, dtype=torch.float64)
    return weights, inputs, targets


def updated_one_by_one(weights, inputs, targets):
    """A sweep for a single network by automatic differentiation and SciPy's line search."""
    weights, losses = [w.clone() for w in weights], []
    for layer in range(len(weights)):
        weights[layer].requires_grad_()
        loss = deep_linear.squared_loss(weights, inputs, targets)
        (slope,) = torch.autograd.grad(loss, weights[layer])
        weights[layer] = weights[layer].detach()

        def along(eta, layer=layer, slope=slope):
            moved = [w - eta * slope if k == layer else w for k, w in enumerate(weights)]
            return deep_linear.squared_loss(moved, inputs, targets).item()

        best = minimize_scalar(along, bracket=(0, 1e-3), tol=1e-12)
        weights[layer] = weights[layer] - best.x * slope
        losses.append(best.fun)
    return losses


def test_a_sweep_is_that_of_a_line_search_on_one_layer_after_the_other():
    weights, inputs, targets = problem()
    _, losses = layerwise.sweep(weights, inputs, targets)
    for member in range(3):
        expected = updated_one_by_one([w[member] for w in weights], inputs, targets[member])
        torch.testing.assert_close(
            losses[member], torch.tensor(expected, dtype=torch.float64), rtol=1e-7, atol=0
        )


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_what_is_around_a_layer_makes_the_network_of_it(layer):
    weights, inputs, _ = problem()
    above, below = layerwise.around(weights, layer, inputs)
    output = weights[layer - 1] @ below
    output = output if above is None else above @ output
    torch.testing.assert_close(output, deep_linear.product(weights) @ inputs)


def test_the_step_is_zero_where_the_gradient_is():
    below = torch.eye(3, dtype=torch.float64)
    assert layerwise.best_step(None, below, torch.zeros(3, 3, dtype=torch.float64)) == 0


def test_white_data_and_orthogonal_layers_need_one_update_only():
    generator = torch.Generator().manual_seed(1)
    weights = layerwise.orthogonal_start(4, 3, starts=2, generator=generator)
    targets = torch.randn(2, 4, 4, generator=generator, dtype=torch.float64)
    _, losses = layerwise.sweep(weights, torch.eye(4, dtype=torch.float64), targets)
    assert losses[:, 0].max() < 1e-25


def test_kantorovich_bounds_every_update_and_his_worst_case_attains_it():
    below = torch.diag(torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64))
    factor = layerwise.kantorovich_factor(None, below)
    torch.testing.assert_close(factor, torch.tensor(((9 - 1) / (9 + 1)) ** 2, dtype=torch.float64))
    torch.testing.assert_close(
        layerwise.kantorovich_factor(below, below), torch.tensor((80 / 82) ** 2).double()
    )
    targets = torch.randn(50, 3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    start = [torch.zeros(50, 3, 3, dtype=torch.float64)]
    _, losses = layerwise.sweep(start, below, targets)
    assert (losses[:, 0] <= factor * deep_linear.squared_loss(start, below, targets)).all()
    worst = torch.tensor([[1 / 3, 0.0, 1.0]], dtype=torch.float64)
    _, left = layerwise.sweep([torch.zeros(1, 3, dtype=torch.float64)], below, worst)
    torch.testing.assert_close(left[0], factor * worst.square().sum())


def test_the_start_is_orthogonal_and_every_layer_its_own():
    weights = layerwise.orthogonal_start(5, 2, starts=3, generator=torch.Generator().manual_seed(0))
    eye = torch.eye(5, dtype=torch.float64).expand(3, 5, 5)
    for layer in weights:
        torch.testing.assert_close(layer @ layer.mT, eye)
    assert (weights[0] - weights[1]).abs().max() > 0.1
