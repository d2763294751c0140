"""Networks whose sums are divided by a power of their width."""

import pytest
import torch

from dlopt.curvature import jacobian
from dlopt.data import gaussian
from dlopt.kernels.empirical_kernel import layerwise_tangent_kernel
from dlopt.kernels.tangent_parametrization import TangentParametrized
from dlopt.kernels.width_scaling import WidthScaled
from dlopt.training import squared_error, train

X, Y = gaussian(6, 4, dtype=torch.float64), gaussian(6, 1, seed=1, dtype=torch.float64)


def network(exponent, widths=(4, 9, 5, 1), **more) -> WidthScaled:
    return WidthScaled(widths, "tanh", exponent=exponent, dtype=torch.float64, **more)


def test_the_power_one_half_is_the_tangent_parametrization():
    tangent = TangentParametrized([4, 9, 5, 1], "tanh", sigma_w=1.0, dtype=torch.float64)
    torch.testing.assert_close(network(0.5)(X), tangent(X))


def test_the_power_one_is_an_average_over_the_neurons():
    model = network(1.0, [4, 9, 1])
    hidden = torch.tanh(X @ model.weights[0].T / 2)
    torch.testing.assert_close(model(X), (hidden * model.weights[1]).mean(dim=1, keepdim=True))


def test_members_and_single_networks_agree_and_the_output_has_no_bias():
    model = network(1.0, bias=True, members=3)
    assert len(model.biases) == 2
    torch.testing.assert_close(model.member(1)(X), model(X)[1])


def test_the_step_sizes_are_scaled_by_the_hidden_widths_that_a_tensor_touches():
    rates = [group["lr"] for group in network(1.0, bias=True).parameter_groups(0.1)]
    assert rates == pytest.approx([0.1 * 9, 0.1 * 9 * 5, 0.1 * 5, 0.1 * 9, 0.1 * 5])
    assert [group["lr"] for group in network(0.5).parameter_groups(0.1)] == pytest.approx([0.1] * 3)


def test_with_its_step_sizes_every_power_starts_equally_fast():
    speeds = []
    for exponent in (0.5, 0.75, 1.0):
        model = network(exponent, [4, 9, 1])
        before = model(X).detach()
        optimizer = torch.optim.SGD(model.parameter_groups(1e-6))
        model(X).sum().backward()
        optimizer.step()
        speeds.append((model(X).detach() - before) / 1e-6)
    torch.testing.assert_close(speeds[1], speeds[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(speeds[2], speeds[0], rtol=1e-4, atol=1e-4)


def test_the_kernel_by_layers_knows_the_scales():
    model = network(1.0, bias=True)
    rows = jacobian(model, X)[:, 0]
    torch.testing.assert_close(layerwise_tangent_kernel(model, X).detach(), rows @ rows.T)


def test_an_average_moves_by_the_same_amount_at_every_width():
    moves = []
    for width in (50, 500):
        model = network(1.0, [4, width, 1], members=4)
        start = model.weights[1].detach().clone()
        train(
            model, X, Y, loss=squared_error, steps=50, every=50,
            optimizer=lambda _, model=model: torch.optim.SGD(model.parameter_groups(0.1)),
        )  # fmt: skip
        moves.append((model.weights[1] - start).square().mean().sqrt().item())
    assert moves[1] == pytest.approx(moves[0], rel=0.3)
