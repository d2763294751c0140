"""Kronecker factors beside blocks of the Fisher matrix, and the optimizer beside exact steps."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from dlopt.algorithms.kfac import (
    KFAC,
    Factors,
    damped_inverses,
    exact_factors,
    recorded_layers,
    sampled_factors,
)
from dlopt.algorithms.likelihoods import CATEGORICAL, GAUSSIAN
from dlopt.algorithms.natural_gradient import fisher
from dlopt.training import cross_entropy, squared_error

pytestmark = pytest.mark.usefixtures("on_the_cpu")


def network(activation=nn.Tanh, bias=True, device="cpu"):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5, bias=bias), activation(), nn.Linear(5, 3, bias=bias)).double()
    x = torch.randn(50, 4, dtype=torch.float64)
    y = x[:, :3].argmax(dim=1)
    return model.to(device), x.to(device), y.to(device)


def test_one_sample_has_exact_blocks():
    model, x, _ = network(bias=False)
    with recorded_layers(model) as layers:
        outputs = model(x[:1])
    matrix = fisher(model, x[:1], CATEGORICAL)
    first, last = (factors.block() for factors in exact_factors(layers, outputs, CATEGORICAL))
    torch.testing.assert_close(first, matrix[:20, :20])
    torch.testing.assert_close(last, matrix[20:, 20:])


def test_a_linear_network_with_quadratic_loss_has_exact_blocks():
    model, x, _ = network(nn.Identity, bias=False)
    with recorded_layers(model) as layers:
        outputs = model(x)
    matrix = fisher(model, x, GAUSSIAN)
    first, last = (factors.block() for factors in exact_factors(layers, outputs, GAUSSIAN))
    torch.testing.assert_close(first, matrix[:20, :20])
    torch.testing.assert_close(last, matrix[20:, 20:])


def test_sampled_factors_are_unbiased():
    model, x, _ = network()
    with recorded_layers(model) as layers:
        outputs = model(x)
    exact = exact_factors(layers, outputs, CATEGORICAL)
    generator = torch.Generator().manual_seed(1)
    draws = [sampled_factors(layers, outputs, CATEGORICAL, generator) for _ in range(400)]
    for layer, factors in enumerate(exact):
        mean = sum(draw[layer].errors for draw in draws) / len(draws)
        assert (mean - factors.errors).norm() < 0.05 * factors.errors.norm()
        torch.testing.assert_close(draws[0][layer].inputs, factors.inputs)


def test_a_bias_is_a_last_column_of_ones():
    model, x, _ = network()
    with recorded_layers(model) as layers:
        model(x)
    assert [layer.inputs.shape[1] for layer in layers] == [5, 6]
    assert (layers[0].inputs[:, -1] == 1).all()


def test_damping_shares_itself_out_by_traces():
    a, g = torch.diag(torch.tensor([4.0, 12.0])), torch.diag(torch.tensor([1.0, 3.0, 2.0]))
    inverses = damped_inverses(Factors(a, g), 0.09)
    torch.testing.assert_close(inverses.inputs.diagonal(), 1 / (a.diagonal() + 2 * 0.3))
    torch.testing.assert_close(inverses.errors.diagonal(), 1 / (g.diagonal() + 0.3 / 2))


def test_on_linear_least_squares_the_first_step_is_newtons_nearly():
    model, x = nn.Linear(4, 2).double(), torch.randn(60, 4, dtype=torch.float64)
    y = torch.randn(60, 2, dtype=torch.float64)

    def closure():
        outputs = model(x)
        return squared_error(outputs, y), outputs

    design = torch.cat([x, torch.ones(60, 1)], dim=1)
    best = (design @ torch.linalg.lstsq(design, y).solution - y).square().sum(dim=1).mean()
    optimizer = KFAC(model, GAUSSIAN, damping=1e-8)
    start = optimizer.step(closure)
    assert closure()[0] - best < 0.2 * (start - best)
    for _ in range(6):
        optimizer.step(closure)
    assert closure()[0] - best < 1e-3 * (start - best)


def closure_of(model, x, y):
    def closure():
        outputs = model(x)
        return cross_entropy(outputs, y), outputs

    return closure


def test_it_trains_and_adapts_its_damping():
    model, x, y = network()
    optimizer = KFAC(model, CATEGORICAL, damping=0.1)
    losses = [optimizer.step(closure_of(model, x, y)).item() for _ in range(60)]
    assert losses[-1] < 0.1 * losses[0]
    assert optimizer.state[model[0].weight]["damping"] < 0.05


def test_a_state_dict_continues_the_run():
    model, x, y = network()
    optimizer = KFAC(model, CATEGORICAL)
    for _ in range(6):
        optimizer.step(closure_of(model, x, y))
    twin = copy.deepcopy(model)
    other = KFAC(twin, CATEGORICAL)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    other.generator.set_state(optimizer.generator.get_state())
    first = [optimizer.step(closure_of(model, x, y)).item() for _ in range(5)]
    second = [other.step(closure_of(twin, x, y)).item() for _ in range(5)]
    assert first == pytest.approx(second)


@pytest.mark.cuda
def test_it_runs_on_a_gpu():
    model, x, y = network(device="cuda")
    optimizer = KFAC(model, CATEGORICAL)
    losses = [optimizer.step(closure_of(model, x, y)).item() for _ in range(10)]
    assert losses[-1] < losses[0]


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="linear layers"):
        KFAC(nn.Tanh(), GAUSSIAN)
    with pytest.raises(ValueError, match="positive"):
        KFAC(network()[0], GAUSSIAN, damping=0.0)
