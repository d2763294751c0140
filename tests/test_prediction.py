"""What can be told before training."""

import math

import numpy as np
import pytest
import torch

from dlopt import data
from dlopt.conclusions.prediction import (
    Design,
    designs,
    distance_from_one,
    few,
    network,
    outcome,
    regression_accuracy,
)

DIGITS = few(data.load("digits"), 100, 60)


def test_images_that_are_tested_on_are_not_trained_on():
    whole = data.load("digits")
    some = few(whole, 100, 60)
    assert torch.equal(torch.cat([some.train_inputs, some.test_inputs]), whole.train_inputs[:160])
    assert torch.equal(torch.cat([some.train_labels, some.test_labels]), whole.train_labels[:160])
    with pytest.raises(ValueError, match="cannot be taken"):
        few(whole, 1400, 1)


def test_gains_lie_around_the_textbook_values():
    drawn = designs(depths=(4, 16), gains=400, width=0.5, seed=1)
    assert [(d.depth, d.activation, d.skip) for d in drawn[:3]] == [
        (4, "relu", False), (4, "relu", True), (4, "tanh", False)
    ]  # fmt: skip
    for design in drawn:
        textbook = math.sqrt(2) if design.activation == "relu" else 1.0
        if design.skip:
            textbook /= design.depth**0.25
        logarithms = np.log(np.array(design.gains) / textbook)
        assert np.abs(logarithms).max() <= 0.5
        assert abs(logarithms.mean()) < 0.05
        assert abs(logarithms.std() - 0.5 / math.sqrt(3)) < 0.02
    assert designs(seed=3) == designs(seed=3) != designs(seed=4)


def test_weights_have_the_variance_of_their_gain_over_the_fan_in():
    model = network(Design(4, "tanh", True, (0.5, 2.0)), DIGITS, width=200)
    for layer in (1, 2, 3):
        fan_in = model.widths[layer - 1]
        assert torch.allclose(
            model.weight(layer).var(dim=(1, 2)) * fan_in, torch.tensor([0.25, 4.0]), rtol=0.1
        )


def test_the_distance_is_in_powers_of_ten_in_either_direction():
    model = network(Design(2, "relu", False, (1.0, 1.0)), DIGITS)
    mean_square = model(DIGITS.train_inputs).square().mean(dim=(1, 2))
    with torch.no_grad():
        model.weights[-1].mul_((torch.tensor([1e3, 1e-3]) / mean_square).sqrt().view(2, 1, 1))
    assert torch.allclose(distance_from_one(model, DIGITS.train_inputs), torch.tensor([3.0, 3.0]), atol=1e-3)


def test_regression_is_that_of_scikit_learn():
    from sklearn.kernel_ridge import KernelRidge

    x = torch.cat([DIGITS.train_inputs, DIGITS.test_inputs]).double()
    kernel = torch.exp(-torch.cdist(x, x[:100]).square() / 200)
    peer = KernelRidge(kernel="precomputed", alpha=1e-3 * float(torch.linalg.eigvalsh(kernel[:100])[-1]))
    targets = np.eye(10)[DIGITS.train_labels]
    answers = (
        peer.fit(kernel[:100].numpy(), targets - targets.mean(axis=0)).predict(kernel[100:].numpy()).argmax(1)
    )
    ours = regression_accuracy(
        torch.stack([kernel, 2 * kernel]), DIGITS.train_labels, DIGITS.test_labels, ridge=1e-3
    )
    assert torch.allclose(ours, torch.tensor(float((answers == DIGITS.test_labels.numpy()).mean())).double())


def test_each_network_is_trained_with_a_step_size_that_suits_it():
    design = Design(2, "relu", False, (1.0, 1e-4, 1e3))
    result = outcome(design, DIGITS, step_sizes=(0.3, 1e-6), pilot_steps=20, steps=150, seeds=3)
    assert result.train.shape == result.test.shape == (3, 3)
    assert result.train[:, 0].min() > 0.95
    assert result.test[:, 0].min() > 0.6
    alone = outcome(design, DIGITS, step_sizes=(1e-6,), pilot_steps=1, steps=150, seeds=3)
    assert alone.train[:, 0].max() < 0.6
