"""Squared gradients of samples, beside per-sample differentiation by torch.func."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call, grad, vmap

from dlopt.algorithms.growth_conditions import SharedMinimum, network_gradients, stochastic_descent
from dlopt.algorithms.random_problems import least_squares
from dlopt.algorithms.sampling import with_replacement
from dlopt.algorithms.stochastic_gradient import sgd
from dlopt.initialization import zeros
from dlopt.models import FullyConnected
from dlopt.training import cross_entropy, squared_error


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def squares() -> tuple[SharedMinimum, object]:
    problem = least_squares(15, 3, seed=1)
    losses = SharedMinimum(lambda p: 0.5 * (p @ problem.inputs.mT - problem.targets) ** 2, 15)
    return losses, problem


def by_torch_func(model, inputs, targets, loss):
    """E‖∇F_i‖² and ‖∇F‖² by one gradient per sample."""
    parameters = dict(model.named_parameters())

    def sample_loss(p, x, y):
        return loss(functional_call(model, p, (x[None],)), y[None])

    each = vmap(grad(sample_loss), in_dims=(None, 0, 0))(parameters, inputs, targets)
    sample = sum(g.flatten(1).square().sum(dim=1) for g in each.values()).mean()
    full = sum(g.mean(dim=0).square().sum() for g in each.values())
    return sample, full


@pytest.mark.parametrize("loss", [squared_error, cross_entropy])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_squared_gradients_of_a_network_are_those_of_torch_func(loss, activation):
    inputs = normal(12, 4, seed=2)
    targets = normal(12, 3, seed=3) if loss is squared_error else torch.arange(12) % 3
    model = FullyConnected([4, 7, 6, 3], activation, seed=4, dtype=torch.float64, device="cpu")
    ours = network_gradients(model, inputs, targets, loss)
    sample, full = by_torch_func(model, inputs, targets, loss)
    torch.testing.assert_close(ours.sample, sample)
    torch.testing.assert_close(ours.full, full)
    torch.testing.assert_close(ours.noise, sample - full)
    torch.testing.assert_close(ours.loss, loss(model(inputs), targets).detach())


def test_members_are_measured_as_if_alone():
    inputs, targets = normal(10, 4, seed=5), normal(10, 2, seed=6)
    model = FullyConnected([4, 6, 2], "tanh", members=3, seed=7, dtype=torch.float64, device="cpu")
    together = network_gradients(model, inputs, targets, squared_error)
    for index in range(3):
        alone = network_gradients(model.member(index), inputs, targets, squared_error)
        torch.testing.assert_close(together.sample[index], alone.sample)
        torch.testing.assert_close(together.full[index], alone.full)


def test_a_network_with_biases_is_refused():
    model = FullyConnected([2, 3, 1], bias=zeros, dtype=torch.float64, device="cpu")
    with pytest.raises(ValueError, match="without biases"):
        network_gradients(model, normal(4, 2, seed=8), normal(4, 1, seed=9), squared_error)


@pytest.mark.cuda
def test_networks_are_measured_on_cuda_too():
    inputs, targets = normal(12, 4, seed=2), normal(12, 3, seed=3)
    there, here = (
        network_gradients(
            FullyConnected([4, 7, 3], "tanh", seed=4, dtype=torch.float64, device=device),
            inputs.to(device),
            targets.to(device),
            squared_error,
        )
        for device in ("cuda", "cpu")
    )
    torch.testing.assert_close(there.sample.cpu(), here.sample)


class TestSharedMinimum:
    def test_values_and_sample_gradients_are_those_of_the_linear_model(self):
        losses, problem = squares()
        theta = normal(4, 2, 3, seed=10)
        torch.testing.assert_close(losses.value(theta), problem.value(theta))
        torch.testing.assert_close(losses.sample_gradients(theta), problem.sample_gradients(theta))

    def test_weak_growth_holds_for_smooth_losses_by_their_own_constants(self):
        losses, problem = squares()
        measured = losses.squared_gradients(normal(50, 3, seed=11))
        assert (measured.sample <= 2 * problem.sample_smoothness.max() * measured.loss * (1 + 1e-12)).all()
        torch.testing.assert_close(
            measured.full, problem.gradient(normal(50, 3, seed=11)).square().sum(dim=-1)
        )

    def test_stochastic_descent_is_the_compiled_sgd(self):
        losses, problem = squares()
        start = normal(5, 3, seed=12)
        order = with_replacement(15, 40, members=5, seed=13)
        path = stochastic_descent(losses, start, 0.1, order)
        torch.testing.assert_close(path, sgd(problem, start, 0.1, order, every=1).iterates)
