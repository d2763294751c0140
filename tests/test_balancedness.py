"""Balanced layers: the conserved imbalance, its exact drift, the margin and the rate."""

from __future__ import annotations

import pytest
import torch
from scipy.integrate import solve_ivp

from dlopt.landscape import balancedness, deep_linear

WIDTHS = (4, 5, 3, 4)


def weights_and_target(starts=3):
    weights = [w.cpu() for w in deep_linear.random_weights(WIDTHS, starts=starts, scale=1.0, seed=0)]
    target = deep_linear.random_weights((4, 4), starts=starts, scale=1.0, seed=1)[0].cpu()
    return weights, target


def slopes(weights, target):
    return deep_linear.gradients(weights, 2 * (deep_linear.product(weights) - target))


def test_one_step_adds_the_imbalance_of_the_gradients_times_the_step_squared():
    weights, target = weights_and_target()
    g = slopes(weights, target)
    after = balancedness.imbalance([w - 0.3 * s for w, s in zip(weights, g, strict=True)])
    for new, old, of_gradient in zip(
        after, balancedness.imbalance(weights), balancedness.imbalance(g), strict=True
    ):
        torch.testing.assert_close(new, old + 0.09 * of_gradient)


def test_gradient_flow_by_scipy_conserves_the_imbalance():
    weights, target = weights_and_target(starts=1)
    shapes = [w.shape for w in weights]

    def unpack(flat):
        parts = torch.as_tensor(flat).split([s.numel() for s in shapes])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def flow(_, flat):
        return -torch.cat([g.flatten() for g in slopes(unpack(flat), target)]).numpy()

    start = torch.cat([w.flatten() for w in weights]).numpy()
    end = unpack(solve_ivp(flow, (0, 1), start, method="DOP853", rtol=1e-11, atol=1e-12).y[:, -1])
    for new, old in zip(balancedness.imbalance(end), balancedness.imbalance(weights), strict=True):
        torch.testing.assert_close(new, old, atol=1e-8, rtol=0)
    assert (end[0] - weights[0]).abs().max() > 0.01


@pytest.mark.parametrize("layer", [1, 2])
def test_another_basis_keeps_the_product_and_changes_the_balance(layer):
    weights, _ = weights_and_target()
    basis = torch.eye(WIDTHS[layer], dtype=torch.float64) + torch.ones(WIDTHS[layer], WIDTHS[layer])
    changed = balancedness.change_basis(weights, layer, basis)
    torch.testing.assert_close(deep_linear.product(changed), deep_linear.product(weights))
    difference = balancedness.imbalance(changed)[layer - 1] - balancedness.imbalance(weights)[layer - 1]
    assert difference.abs().max() > 0.1


@pytest.mark.parametrize("layer", [0, 3])
def test_only_hidden_layers_have_a_basis_to_change(layer):
    with pytest.raises(ValueError, match="no hidden layer"):
        balancedness.change_basis(weights_and_target()[0], layer, torch.eye(4, dtype=torch.float64))


def test_matrices_within_the_margin_keep_their_singular_values():
    target = torch.diag(torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64))
    offsets = torch.randn(200, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    near = target + 0.6 * offsets / torch.linalg.matrix_norm(offsets, keepdim=True)
    margin = balancedness.deficiency_margin(near, target)
    torch.testing.assert_close(margin, torch.full((200,), 0.4, dtype=torch.float64))
    assert (torch.linalg.svdvals(near)[:, -1] >= margin).all()
    worst = torch.diag(torch.tensor([3.0, 2.0, 0.4], dtype=torch.float64))
    torch.testing.assert_close(torch.linalg.svdvals(worst)[-1], balancedness.deficiency_margin(worst, target))


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_balanced_layers_lose_at_least_the_rate_and_exactly_that_if_all_singular_values_agree(depth):
    generator = torch.Generator().manual_seed(depth)
    product = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    target = torch.randn(4, 4, generator=generator, dtype=torch.float64)

    def speed(product):
        weights = deep_linear.critical_point(product, range(4), [4] * (depth + 1))
        assert max(d.abs().max() for d in balancedness.imbalance(weights)) < 1e-12
        return sum(g.square().sum() for g in slopes(weights, target)) / (product - target).square().sum()

    smallest = torch.linalg.svdvals(product)[-1]
    assert speed(product) >= balancedness.linear_rate(smallest, depth)
    orthogonal = torch.linalg.qr(product).Q
    expected = torch.tensor(balancedness.linear_rate(1.7, depth), dtype=torch.float64)
    torch.testing.assert_close(speed(1.7 * orthogonal), expected)


def test_records_are_those_of_single_runs_from_the_start_on():
    weights, target = weights_and_target()
    seen = balancedness.follow(weights, target, step_size=0.01, steps=6, every=2, record=deep_linear.product)
    assert seen.shape == (4, 3, 4, 4)
    torch.testing.assert_close(seen[0], deep_linear.product(weights))
    last = deep_linear.descend(weights, lambda p: 2 * (p - target), step_size=0.01, steps=6)
    torch.testing.assert_close(seen[-1], deep_linear.product(last))


@pytest.mark.cuda
def test_a_gpu_follows_the_same_path():
    weights, target = weights_and_target()
    options = {"step_size": 0.01, "steps": 4, "record": deep_linear.product}
    ours = balancedness.follow([w.cuda() for w in weights], target.cuda(), **options)
    torch.testing.assert_close(ours.cpu(), balancedness.follow(weights, target, **options))
