"""Backpropagation against autograd, central differences, counted products and the survey's own slips."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from dlopt import runtime
from dlopt.models import ACTIVATIONS, FullyConnected
from dlopt.tricks.backpropagation import (
    CROSS_ENTROPY,
    SQUARED,
    ProductCounter,
    accumulated_gradients,
    backpropagation,
    backward,
    central_differences,
    forward,
    gradient_step,
    jacobian,
    naive_gradients,
    numbers_kept,
    objective,
    outer_products,
    printed_backward,
    random_network,
    relative_difference,
    sgd_epoch,
    sgd_step_in_backward_pass,
    update_order_drift,
)
from dlopt.tricks.backpropagation_pictures import SIGNED, draw_multiplication_table, draw_products

TANH = ACTIVATIONS["tanh"]
WIDTHS = (3, 5, 4, 6, 2)


def problem(widths=WIDTHS, *, samples=1, seed=0, gain=1.0):
    weights = random_network(widths, seed=seed, gain=gain)
    generator = runtime.generator(seed + 100)
    x, y = (
        torch.randn(width, samples, generator=generator, dtype=torch.float64).to(runtime.device())
        for width in (widths[0], widths[-1])
    )
    return weights, x, y


def autograd(weights, activation, loss, x, y):
    leaves = {layer: weight.clone().requires_grad_() for layer, weight in weights.items()}
    objective(leaves, activation, loss, x, y).backward()
    return {layer: leaf.grad for layer, leaf in leaves.items()}


@pytest.mark.parametrize("samples", [1, 7])
@pytest.mark.parametrize("name", ["linear", "relu", "tanh", "logistic", "softplus", "gelu", "swish"])
def test_backpropagation_is_what_autograd_computes(name, samples):
    weights, x, y = problem(samples=samples)
    found = backpropagation(weights, ACTIVATIONS[name], SQUARED, x, y)
    assert relative_difference(found, autograd(weights, ACTIVATIONS[name], SQUARED, x, y)) < 1e-13


@pytest.mark.parametrize("samples", [1, 7])
def test_cross_entropy_starts_from_softmax_minus_onehot(samples):
    weights, x, _ = problem((4, 6, 5), samples=samples)
    labels = torch.arange(samples, device=x.device) % 5
    found = backpropagation(weights, TANH, CROSS_ENTROPY, x, labels)
    assert relative_difference(found, autograd(weights, TANH, CROSS_ENTROPY, x, labels)) < 1e-13


@settings(max_examples=30)
@given(widths=st.lists(st.integers(1, 6), min_size=2, max_size=6), seed=st.integers(0, 1000))
def test_all_orders_of_multiplication_give_the_same_gradient(widths, seed):
    weights, x, y = problem(widths, seed=seed)
    passes = forward(weights, TANH, x)
    error = SQUARED.error(passes.h[len(weights)], y)
    expected = backpropagation(weights, TANH, SQUARED, x, y)
    for found in (
        naive_gradients(weights, TANH, passes, error),
        naive_gradients(weights, TANH, passes, error, first="vector"),
        accumulated_gradients(weights, TANH, passes, error),
    ):
        assert set(found) == set(expected)
        for layer in expected:
            torch.testing.assert_close(found[layer], expected[layer], rtol=1e-10, atol=1e-12)


def test_the_forward_table_is_that_of_the_model_with_rows_as_samples():
    model = FullyConnected(WIDTHS, "tanh", dtype=torch.float64)
    weights = dict(enumerate((weight.detach() for weight in model.weights), start=1))
    x = torch.randn(3, 7, dtype=torch.float64, device=weights[1].device)
    z, h = forward(weights, TANH, x)
    passes = model.passes(x.T)
    for layer in weights:
        torch.testing.assert_close(h[layer].T, passes.preactivations[layer - 1])
        torch.testing.assert_close(z[layer - 1].T, passes.postactivations[layer - 1])


def test_central_differences_are_second_order_accurate():
    weights, x, y = problem()
    exact = backpropagation(weights, TANH, SQUARED, x, y)
    coarse, fine = (
        relative_difference(
            central_differences(lambda w: objective(w, TANH, SQUARED, x, y), weights, width), exact
        )
        for width in (1e-2, 1e-3)
    )
    assert coarse / fine == pytest.approx(100, rel=0.05)


@pytest.mark.parametrize("reading", ["equation", "prose"])
def test_the_printed_recursion_does_not_fit_unequal_widths(reading):
    weights, x, y = problem()
    _, h = forward(weights, TANH, x)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        printed_backward(weights, TANH, h, SQUARED.error(h[4], y), reading=reading)


def test_the_printed_recursion_is_right_for_linear_networks_only():
    for name, right in (("linear", True), ("tanh", False), ("relu", False)):
        weights, x, y = problem((6,) * 5, gain=1.5)
        _, h = forward(weights, ACTIVATIONS[name], x)
        error = SQUARED.error(h[4], y)
        printed = printed_backward(weights, ACTIVATIONS[name], h, error)
        difference = relative_difference(printed, backward(weights, ACTIVATIONS[name], h, error))
        assert (difference < 1e-12) is right


def test_the_index_of_the_prose_is_wrong_even_for_linear_networks_and_ends_at_layer_two():
    weights, x, y = problem((6,) * 5)
    _, h = forward(weights, ACTIVATIONS["linear"], x)
    error = SQUARED.error(h[4], y)
    printed = printed_backward(weights, ACTIVATIONS["linear"], h, error, reading="prose")
    right = backward(weights, ACTIVATIONS["linear"], h, error)
    assert sorted(printed) == [2, 3, 4]
    assert relative_difference(printed, {layer: right[layer] for layer in printed}) > 0.1


@pytest.mark.parametrize("depth", [2, 3, 10])
def test_products_are_counted_as_the_formulas_say(depth):
    d = 5
    weights, x, y = problem((d,) * (depth + 1))
    passes = forward(weights, TANH, x)
    error = SQUARED.error(passes.h[depth], y)
    counts = {}
    for name, compute in {
        "matrices": lambda: naive_gradients(weights, TANH, passes, error),
        "vector": lambda: naive_gradients(weights, TANH, passes, error, first="vector"),
        "accumulated": lambda: accumulated_gradients(weights, TANH, passes, error),
        "backpropagation": lambda: outer_products(backward(weights, TANH, passes.h, error), passes.z),
    }.items():
        with ProductCounter() as counter:
            compute()
        counts[name] = (counter.products, counter.multiplications)
    triangle = depth * (depth + 1) // 2
    heavy = (depth - 1) * (depth - 2) // 2
    assert counts["matrices"] == (triangle, heavy * d**3 + (triangle - heavy) * d**2)
    assert counts["vector"] == (triangle, triangle * d**2)
    assert counts["accumulated"] == (3 * depth - 3, (depth - 2) * d**3 + (2 * depth - 1) * d**2)
    assert counts["backpropagation"] == (2 * depth - 1, (2 * depth - 1) * d**2)


def test_the_counter_agrees_with_the_flop_counter_of_torch():
    weights, x, y = problem(samples=3)
    with ProductCounter() as ours, FlopCounterMode(display=False) as theirs:
        backpropagation(weights, TANH, SQUARED, x, y)
    assert 2 * ours.multiplications == theirs.get_total_flops()


@pytest.mark.parametrize("start", ["output", "input"])
def test_the_jacobian_is_that_of_torch_func(start):
    weights, x, _ = problem()
    expected = torch.func.jacrev(lambda v: forward(weights, TANH, v[:, None]).h[4].squeeze(1))(x.squeeze(1))
    found = jacobian(weights, TANH, forward(weights, TANH, x).h, start=start)
    torch.testing.assert_close(found, expected)


def test_an_update_with_old_weights_is_a_step_of_sgd():
    weights, x, y = problem(samples=5)
    model = FullyConnected(WIDTHS, "tanh", dtype=torch.float64)
    for layer, parameter in enumerate(model.weights, start=1):
        parameter.data.copy_(weights[layer])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    (model(x.T) - y.T).square().sum(dim=1).mean().backward()
    optimizer.step()
    found = sgd_step_in_backward_pass(weights, TANH, SQUARED, x, y, 0.1)
    by_equation = gradient_step(weights, backpropagation(weights, TANH, SQUARED, x, y), 0.1)
    for layer, parameter in enumerate(model.weights, start=1):
        torch.testing.assert_close(found[layer], parameter.data)
        torch.testing.assert_close(by_equation[layer], parameter.data)


def test_new_weights_change_the_step_as_the_drift_predicts_and_exactly_so_below_the_top():
    weights, x, y = problem(samples=5)
    passes = forward(weights, TANH, x)
    e = backward(weights, TANH, passes.h, SQUARED.error(passes.h[4], y) / 5)
    gradients = outer_products(e, passes.z)
    drift = update_order_drift(weights, TANH, passes, e, gradients)
    for step_size, tolerance in ((1e-3, 1e-2), (1e-4, 1e-3)):
        new = sgd_step_in_backward_pass(weights, TANH, SQUARED, x, y, step_size, update="new")
        changed = {
            layer: ((weights[layer] - new[layer]) / step_size - gradients[layer]) / step_size
            for layer in weights
        }
        for layer in weights:
            torch.testing.assert_close(
                changed[layer], drift[layer], rtol=tolerance, atol=10 * tolerance * 1e-2
            )
        torch.testing.assert_close(changed[3], drift[3], rtol=1e-7, atol=1e-7)
        assert not drift[4].any()


def test_an_epoch_of_sgd_is_reproduced_by_its_seed_alone():
    weights, x, y = problem((5, 1), samples=30)
    epochs = [
        sgd_epoch(weights, ACTIVATIONS["linear"], SQUARED, x, y, step_size=0.02, seed=seed)
        for seed in (1, 1, 2)
    ]
    assert torch.equal(epochs[0][1], epochs[1][1])
    assert not torch.equal(epochs[0][1], epochs[2][1])


@pytest.mark.parametrize(
    ("name", "kept"), [("tanh", 1), ("relu", 1), ("logistic", 1), ("swish", 2), ("gelu", 2)]
)
def test_autograd_keeps_one_or_two_numbers_for_a_hidden_neuron(name, kept):
    weights, x, _ = problem((3, 5, 4, 6, 2), samples=7)
    leaves = {layer: weight.requires_grad_() for layer, weight in weights.items()}
    found = numbers_kept(lambda: forward(leaves, ACTIVATIONS[name], x).h[4], list(leaves.values()))
    assert found == 7 * (3 + kept * (5 + 4 + 6))


def test_the_pictures_are_drawn_and_zero_is_transparent():
    mpl.use("agg")
    figure = mpl.figure.Figure()
    axes = figure.subplots(1, 2)
    draw_products(axes[0], 5)
    assert len(axes[0].patches) == 15
    draw_multiplication_table(axes[1], np.array([1.0, -2.0, 0.0]), np.array([0.5, 1.0]))
    assert axes[1].collections[0].get_array().size == 6
    assert SIGNED(0.5)[3] < 0.01
