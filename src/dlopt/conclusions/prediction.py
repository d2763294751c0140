"""Can one tell before training which network will learn, and which will be the best?  Section 7 of the survey.

A :class:`Design` is a network that somebody might try; :func:`designs` draws some at random.  What one forward pass
through the untrained network says of it (:func:`distance_from_one`) and what its tangent kernel says
(:func:`regression_accuracy`) is compared with what training makes of it (:func:`outcome`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dlopt import runtime
from dlopt.data import Dataset
from dlopt.initialization import lecun_normal
from dlopt.models import Residual
from dlopt.training import accuracy, cross_entropy, train

__all__ = [
    "Design",
    "Outcome",
    "designs",
    "distance_from_one",
    "few",
    "network",
    "outcome",
    "regression_accuracy",
]


def few(data: Dataset, train: int, test: int) -> Dataset:
    """The first ``train`` training images of ``data`` to train on, and the ``test`` next ones to test on.

    Raises:
        ValueError: there are not so many.
    """
    if train < 1 or test < 1 or train + test > len(data.train_labels):
        raise ValueError(f"{train} and {test} images cannot be taken from {len(data.train_labels)}.")
    return replace(
        data,
        train_inputs=data.train_inputs[:train],
        train_labels=data.train_labels[:train],
        test_inputs=data.train_inputs[train : train + test],
        test_labels=data.train_labels[train : train + test],
    )


@dataclass(frozen=True)
class Design:
    """A fully connected network, and how its weights are drawn.

    Attributes:
        depth: L, the number of weight layers.
        activation: a name in :data:`dlopt.models.ACTIVATIONS`.
        skip: whether each of the layers 2, …, L-1 adds its input, z ← φ(W z) + z.
        gains: σ_w of the networks that differ in nothing else: their weights are N(0, σ_w²/fan_in).
    """

    depth: int
    activation: str
    skip: bool
    gains: tuple[float, ...]


class Outcome(NamedTuple):
    """What training made of the networks of a design, each (seeds, gains): shares of correct answers."""

    train: np.ndarray
    test: np.ndarray


def designs(
    *,
    depths: Sequence[int] = (2, 4, 8, 16, 24),
    activations: Sequence[str] = ("relu", "tanh"),
    gains: int = 3,
    width: float = 0.8,
    seed: int = 0,
) -> list[Design]:
    """Designs at random: all depths and activations, with and without skips, each with a few gains.

    The gains lie around the one of the textbook, √2 for ReLU and 1 for tanh, divided by the fourth root of L where
    there are skips, by a factor e^u with u uniform on [-width, width].

    Args:
        depths, activations: of the networks.
        gains: σ_w drawn for each network.
        width: how far they may lie from the textbook's.
        seed: of the draw.
    """
    generator = runtime.numpy_generator(seed)
    drawn = []
    for depth, activation, skip in itertools.product(depths, activations, (False, True)):
        textbook = (math.sqrt(2) if activation == "relu" else 1.0) / (depth**0.25 if skip else 1.0)
        factors = np.exp(generator.uniform(-width, width, size=gains))
        drawn.append(Design(depth, activation, skip, tuple(float(textbook * factor) for factor in factors)))
    return drawn


def network(design: Design, data: Dataset, *, width: int = 64, seed: int = 0) -> Residual:
    """The design's networks d_0 → width → … → width → classes side by side, one for each gain.

    Args:
        design: what to build.
        data: gives the input dimension d_0 and the number of classes.
        width: of the L - 1 hidden layers.
        seed: of the first; the next has seed + 1, and so on.
    """
    model = Residual(
        [data.train_inputs.shape[1], *[width] * (design.depth - 1), data.classes],
        design.activation,
        skip="outside" if design.skip else None,
        initialization=lecun_normal,
        members=len(design.gains),
        seed=seed,
    )
    with torch.no_grad():
        for weight in model.weights:
            weight.mul_(torch.tensor(design.gains).to(weight).view(-1, 1, 1))
    return model


@torch.no_grad()
def distance_from_one(model: Residual, inputs: Tensor) -> Tensor:
    """|log₁₀ q^L|, (members,): by how many powers of ten the mean square q^L of the outputs differs from one.

    Args:
        model: untrained.
        inputs: (n, d_0), standardized.
    """
    return model(inputs).square().mean(dim=(-2, -1)).log10().abs()


def regression_accuracy(
    kernel: Tensor, train_labels: Tensor, test_labels: Tensor, *, ridge: float = 1e-6
) -> Tensor:
    """Share of test images that regression with ``kernel`` classifies correctly, (…,).

    The targets Y are the one-hot labels less their mean, f(x) = k(x, X) (K + ridge·λ_max·I)⁻¹ Y, and the largest
    output is the answer: to this predictor gradient descent brings a network that stays in the linear regime.

    Args:
        kernel: (…, n + m, n), of all images with the training images; those come first.
        train_labels: (n,).
        test_labels: (m,).
        ridge: relative to the largest eigenvalue, against rounding.
    """
    n = len(train_labels)
    gram, cross = kernel[..., :n, :], kernel[..., n:, :]
    targets = torch.nn.functional.one_hot(train_labels).to(kernel)
    targets = (targets - targets.mean(dim=0)).expand(*gram.shape[:-2], -1, -1)
    shift = ridge * torch.linalg.matrix_norm(gram, ord=2)[..., None, None] * torch.eye(n).to(kernel)
    answers = (cross @ torch.linalg.solve(gram + shift, targets)).argmax(dim=-1)
    return (answers == test_labels).to(kernel).mean(dim=-1)


def outcome(
    design: Design,
    data: Dataset,
    *,
    step_sizes: Sequence[float] = (0.25, 0.06, 0.015, 0.004),
    pilot_steps: int = 100,
    steps: int = 300,
    batch_size: int = 50,
    seeds: int = 2,
    seed: int = 0,
) -> Outcome:
    """Train the design's networks by SGD, each with the step size that its own training loss prefers.

    The choice is made on networks drawn with ``seed`` after ``pilot_steps``; the networks that are judged are drawn
    anew.

    Args:
        design: what to train, by the cross-entropy loss.
        data: the images.
        step_sizes: to choose from.
        pilot_steps: for the choice.
        steps: for the networks that are judged.
        batch_size: samples in a mini-batch.
        seeds: networks judged for each gain.
        seed: of all draws.
    """

    def run(model: Residual, step_size: Tensor, steps: int, seed: int) -> np.ndarray:
        history = train(
            model, data.train_inputs, data.train_labels, loss=cross_entropy, steps=steps, step_size=step_size,
            batch_size=batch_size, seed=seed, every=steps,
        )  # fmt: skip
        return history.loss[-1]

    gains = len(design.gains)
    tried = replace(design, gains=tuple(np.repeat(design.gains, len(step_sizes))))
    losses = run(network(tried, data, seed=seed), torch.tensor(step_sizes * gains), pilot_steps, seed)
    best = torch.tensor(step_sizes)[np.nan_to_num(losses, nan=np.inf).reshape(gains, -1).argmin(axis=1)]

    judged = network(replace(design, gains=design.gains * seeds), data, seed=seed + len(tried.gains))
    run(judged, best.repeat(seeds), steps, seed + 1)
    with torch.no_grad():
        shares = [
            accuracy(judged(inputs), labels).cpu().numpy().reshape(seeds, gains)
            for inputs, labels in (
                (data.train_inputs, data.train_labels),
                (data.test_inputs, data.test_labels),
            )
        ]
    return Outcome(*shares)
