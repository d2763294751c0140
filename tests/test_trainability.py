"""The first steps of SGD: our loop against torch.optim, and what must and must not learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dlopt import runtime, training
from dlopt.data import load
from dlopt.initialization import gaussian, scaled_gaussian
from dlopt.models import FullyConnected
from dlopt.tricks import trainability

pytestmark = pytest.mark.usefixtures("on_the_cpu")


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def test_a_member_learns_as_one_network_under_torch_does(digits):
    scales, steps, batch = [0.8, 1.5], 20, 32
    ours = trainability.accuracy_after_training(
        scales, 0.2, 4, digits.train_inputs, digits.train_labels,
        width=16, steps=steps, step_size=0.05, batch_size=batch, seed=3,
    )  # fmt: skip
    for member, scale in enumerate(scales):
        net = FullyConnected(
            [64, 16, 16, 16, 10],
            "tanh",
            initialization=scaled_gaussian(1.0),
            bias=gaussian(0.2),
            seed=3 + member,
        )
        with torch.no_grad():
            for weight in net.weights:
                weight.mul_(scale)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
        rng, seen = runtime.numpy_generator(3), []
        for _ in range(steps):
            index = torch.from_numpy(rng.choice(1400, batch, replace=False))
            outputs = net(digits.train_inputs[index])
            seen.append(training.accuracy(outputs.detach(), digits.train_labels[index]).item())
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(outputs, digits.train_labels[index]).backward()
            optimizer.step()
        assert abs(ours[member] - np.mean(seen[-2:])) < 1e-6


def test_a_shallow_wide_network_starts_at_once_and_a_deep_narrow_one_does_not(digits):
    start = {
        shape: trainability.start_of_training(
            [64, *[shape[1]] * (shape[0] - 1), 10],
            digits.train_inputs,
            digits.train_labels,
            members=3,
            most=60,
        )
        for shape in ((4, 64), (40, 6))
    }
    assert start[4, 64].max() <= 20
    assert start[40, 6].min() == 60


def test_steps_are_multiples_of_the_interval_and_depend_on_the_seed_only(digits):
    def run():
        return trainability.start_of_training(
            [64, 20, 20, 10], digits.train_inputs, digits.train_labels, members=4, every=3, target=0.5
        )

    assert np.array_equal(run(), run())
    assert (run() % 3 == 0).all()


def test_only_the_right_scale_lets_a_deep_network_learn(digits):
    reached = trainability.accuracy_after_training(
        [0.6, 1.3, 3.0],
        0.05**0.5,
        20,
        digits.train_inputs,
        digits.train_labels,
        width=40,
        steps=80,
        step_size=0.05,
    )
    assert reached[1] > 0.6
    assert reached[[0, 2]].max() < 0.5


@pytest.mark.cuda
def test_cuda_computes_what_the_cpu_does(digits):
    def run(device):
        return trainability.accuracy_after_training(
            [1.3], 0.2, 4, digits.train_inputs.double().to(device), digits.train_labels.to(device), steps=10
        )

    assert np.allclose(run("cpu"), run("cuda"))
