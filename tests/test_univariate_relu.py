"""ReLU networks on the line, their knots and their spline."""

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline

from dlopt.kernels.univariate_relu import UnivariateRelu, knot_kernel
from dlopt.training import squared_error, train

POINTS = torch.tensor([-0.8, -0.1, 0.3, 0.9], dtype=torch.float64)
HEIGHTS = torch.tensor([0.2, -0.5, 0.6, 0.1], dtype=torch.float64)


def network(balance, width=40) -> UnivariateRelu:
    return UnivariateRelu(width, balance, members=2, dtype=torch.float64)


def test_it_starts_at_zero_whatever_the_balance_with_the_same_knots():
    light, heavy = network(0.5), network(8.0)
    assert heavy(POINTS[:, None]).abs().max() < 1e-14
    torch.testing.assert_close(light.knots, heavy.knots)
    torch.testing.assert_close(light.kinks, heavy.kinks)


def test_every_knot_lies_in_its_cell_and_carries_four_neurons():
    knots = network(1.0).knots.view(2, 4, 10)
    assert torch.equal(((knots[:, 0] + 1) * 5).floor(), torch.arange(10.0, dtype=torch.float64).expand(2, -1))
    torch.testing.assert_close(knots[:, 3], knots[:, 0])


def test_widths_that_leave_a_neuron_alone_are_refused():
    with pytest.raises(ValueError, match="four neurons"):
        network(1.0, width=42)


def test_the_kernel_is_the_average_over_knots_and_signs():
    t = torch.linspace(-1, 1, 20_001, dtype=torch.float64)
    ahead = torch.relu(POINTS[:, None] - t)
    behind = torch.relu(t - POINTS[:, None])
    average = (ahead @ ahead.T + behind @ behind.T) / (2 * len(t))
    torch.testing.assert_close(knot_kernel(POINTS, POINTS), average, rtol=1e-3, atol=1e-4)


def test_its_regression_is_a_cubic_spline():
    coefficients = torch.linalg.solve(knot_kernel(POINTS, POINTS), HEIGHTS)
    line = torch.linspace(-0.8, 0.9, 200, dtype=torch.float64)
    fit = knot_kernel(line, POINTS) @ coefficients
    ends = POINTS[[0, -1]].clone().requires_grad_()
    (slopes,) = torch.autograd.grad(
        (knot_kernel(ends + torch.tensor([1e-9, -1e-9]), POINTS) @ coefficients).sum(), ends
    )
    spline = CubicSpline(POINTS, HEIGHTS, bc_type=tuple((1, slope) for slope in slopes.tolist()))
    assert np.abs(spline(line) - fit.numpy()).max() < 1e-6


def test_large_inner_weights_freeze_the_knots_and_small_ones_free_them():
    moves = []
    for balance in (10.0, 0.5):
        model = network(balance)
        start = model.knots
        train(
            model, POINTS[:, None], HEIGHTS[:, None], loss=squared_error, steps=300, every=300,
            step_size=0.2 / (balance**2 + balance**-2),
        )  # fmt: skip
        moves.append((model.knots - start).abs().mean().item())
    assert moves[0] < 1e-3 < 0.05 < moves[1]
