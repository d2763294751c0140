"""Local entropy against closed forms, and Entropy-SGD against its definition."""

import math

import pytest
import torch

from dlopt.landscape.local_entropy import entropy_sgd, local_entropy_loss, switching_scope
from dlopt.models import FullyConnected
from dlopt.training import squared_error

GRID = torch.linspace(-8, 8, 8001, dtype=torch.float64)
GENERATOR = torch.Generator().manual_seed(1)
INPUTS = torch.randn(40, 3, generator=GENERATOR)
TARGETS = torch.randn(40, 2, generator=GENERATOR)


def test_of_a_parabola_it_is_a_parabola_of_curvature_k_gamma_over_k_plus_gamma():
    k, gamma, beta = 4.0, 3.0, 5.0
    x = torch.linspace(-1, 1, 7, dtype=torch.float64)
    expected = k * gamma / (k + gamma) * x**2 / 2 - math.log(2 * math.pi / (beta * (k + gamma))) / (2 * beta)
    found = local_entropy_loss(lambda y: k * y**2 / 2, x, gamma, beta=beta, grid=GRID)
    torch.testing.assert_close(found, expected)


def test_at_the_switching_scope_the_centers_of_two_parabolas_are_equal():
    sharp, wide, difference, beta = 50.0, 2.0, 0.02, 40.0
    gamma = switching_scope(sharp, wide, difference, beta)
    zero = torch.zeros(1, dtype=torch.float64)
    at_sharp, at_wide = (
        local_entropy_loss(lambda y, k=k, v=v: v + k * y**2 / 2, zero, gamma, beta=beta, grid=GRID)
        for k, v in ((sharp, 0.0), (wide, difference))
    )
    torch.testing.assert_close(at_sharp, at_wide)


def settings(**changes):
    return {
        "loss": squared_error, "outer_steps": 3, "inner_steps": 1, "step_size": 1.0, "inner_step_size": 0.1,
        "gamma": 0.5, "noise": 0.0, "batch_size": 40, "averaging": 1.0, **changes,
    }  # fmt: skip


def test_with_one_inner_step_and_no_noise_it_is_sgd():
    ours, plain = (FullyConnected([3, 4, 2], seed=1) for _ in range(2))
    entropy_sgd(ours, INPUTS, TARGETS, seed=3, **settings())
    generator = torch.Generator().manual_seed(3)
    for _ in range(3):
        batch = torch.randint(40, (40,), generator=generator)
        squared_error(plain(INPUTS[batch]), TARGETS[batch]).backward()
        for parameter in plain.parameters():
            parameter.data -= 0.1 * parameter.grad
            torch.randn(parameter.shape, generator=generator)  # the noise that is multiplied by zero
            parameter.grad = None
    for own, other in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(own, other)


def test_a_larger_gamma_keeps_the_inner_loop_nearer():
    def moved(gamma):
        model = FullyConnected([3, 4, 2], seed=1)
        start = [parameter.detach().clone() for parameter in model.parameters()]
        entropy_sgd(
            model, INPUTS, TARGETS, **settings(gamma=gamma, outer_steps=1, inner_steps=30, averaging=0.25)
        )
        return sum(
            float((p.detach() - s).norm() ** 2) for p, s in zip(model.parameters(), start, strict=True)
        )

    assert moved(5.0) < moved(1.0) < moved(0.0)


def test_the_langevin_noise_has_the_variance_that_the_formula_says():
    model = torch.nn.Linear(300, 300, bias=False)
    before = model.weight.detach().clone()
    inputs = torch.zeros(4, 300)
    entropy_sgd(
        model, inputs, inputs, **settings(outer_steps=1, noise=0.7, inner_step_size=0.04, batch_size=4)
    )
    assert float((model.weight.detach() - before).std()) == pytest.approx(0.2 * 0.7, rel=0.02)


def test_members_draw_their_own_batches():
    together = FullyConnected([3, 4, 2], members=2, seed=1)
    together.weights[0].data[1], together.weights[1].data[1] = together.weights[0][0], together.weights[1][0]
    entropy_sgd(together, INPUTS, TARGETS, **settings(batch_size=4))
    assert not torch.allclose(together.weights[0][0], together.weights[0][1])
