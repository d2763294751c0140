"""The ingredients of a trainable network, switched on one at a time: sections 1 and 4.5 of the survey.

A :class:`Recipe` names what goes into a network and its training.  :func:`trial` trains it a few times and says
how well the result classifies; a grid of trials shows which ingredients carry the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch

from dlopt import runtime
from dlopt.data import Dataset
from dlopt.initialization import Initialization, gaussian, kaiming_normal
from dlopt.models import Residual
from dlopt.normalization import use_population_statistics
from dlopt.training import accuracy, cross_entropy, train

__all__ = [
    "INITIALIZATIONS", "Recipe", "Signal", "Trial", "network", "shuffled", "signal", "survival_depth", "trial",
]  # fmt: skip

INITIALIZATIONS: dict[str, Initialization] = {
    "naive": gaussian(math.sqrt(0.01)),
    "Kaiming": kaiming_normal(),
}
"""The naive draw is N(0, 0.01), with 0.01 the variance, whatever the width; Kaiming's is N(0, 2/fan_in), (17)."""


@dataclass(frozen=True)
class Recipe:
    """What goes into the network and its training.

    Attributes:
        depth: L, the number of weight layers.
        initialization: a name in :data:`INITIALIZATIONS`.
        normalization: batch normalization of layers 1, …, L-1 (Appendix B), or none.
        skip: a skip connection over each layer 2, …, L-1, equation (19), or none.
        activation: a name in :data:`dlopt.models.ACTIVATIONS`.
        stochastic: SGD on mini-batches, or gradient descent on all samples at once, (6).
    """

    depth: int
    initialization: str = "naive"
    normalization: bool = False
    skip: bool = False
    activation: str = "relu"
    stochastic: bool = True


@dataclass(frozen=True)
class Trial:
    """What a recipe achieved.

    Attributes:
        recipe: what was trained.
        step_size: η, the one whose final training loss was smallest on a seed of its own.
        accuracies: (seeds,), fractions of the test images classified correctly.
    """

    recipe: Recipe
    step_size: float
    accuracies: np.ndarray

    @property
    def mean(self) -> float:
        """The mean test accuracy over the seeds."""
        return float(self.accuracies.mean())


class Signal(NamedTuple):
    """What each layer l = 1, …, L of an untrained network transmits, all (seeds, L).

    Attributes:
        size: the mean square of h^l over units and samples.
        distinct: 1 - cos of the angle between the vectors h^l of two samples, averaged over all pairs.
        gradient: the Frobenius norm of ∂F/∂W^l.
    """

    size: np.ndarray
    distinct: np.ndarray
    gradient: np.ndarray


def network(recipe: Recipe, data: Dataset, *, width: int, members: int, seed: int) -> Residual:
    """``members`` networks d_0 → width → … → width → classes with the recipe's depth and tricks.

    Args:
        recipe: what goes in.
        data: gives the input dimension d_0 and the number of classes.
        width: of the L - 1 hidden layers.
        members: networks side by side; member m is drawn with seed + m.
        seed: of the first member.

    Raises:
        ValueError: the recipe names no initialization or activation.
    """
    if recipe.initialization not in INITIALIZATIONS:
        raise ValueError(
            f"unknown initialization {recipe.initialization!r}: use one of {', '.join(INITIALIZATIONS)}."
        )
    return Residual(
        [data.train_inputs.shape[1], *[width] * (recipe.depth - 1), data.classes],
        recipe.activation,
        skip="inside" if recipe.skip else None,
        normalization="batch" if recipe.normalization else None,
        initialization=INITIALIZATIONS[recipe.initialization],
        members=members,
        seed=seed,
    )


def trial(
    recipe: Recipe,
    data: Dataset,
    *,
    width: int = 64,
    epochs: int = 7,
    pilot_epochs: int = 2,
    batch_size: int = 50,
    step_sizes: Sequence[float] = (0.01, 0.03, 0.1),
    seeds: int = 5,
    seed: int = 0,
) -> Trial:
    """Train the recipe with the best of a few step sizes and measure its test accuracy over several seeds.

    The step size is chosen by the training loss of one extra network after ``pilot_epochs``; the networks that
    are judged are drawn with other seeds, and the test images take no part in the choice.

    Args:
        recipe: what to train, by the cross-entropy loss.
        data: standardized images.
        width: of the hidden layers.
        epochs: passes over the training samples; with gradient descent each pass is one step.
        pilot_epochs: passes over the training samples for the choice of the step size.
        batch_size: samples in a mini-batch of SGD.
        step_sizes: the constant step sizes η to choose from.
        seeds: networks that are judged.
        seed: the choice is made with ``seed``; the judged networks have seed + 1, …, seed + seeds.

    Returns:
        The chosen step size and the test accuracies.
    """

    def run(model: Residual, step_size: float | torch.Tensor, epochs: int) -> np.ndarray:
        steps = epochs * (math.ceil(len(data.train_labels) / batch_size) if recipe.stochastic else 1)
        history = train(
            model,
            data.train_inputs,
            data.train_labels,
            loss=cross_entropy,
            steps=steps,
            step_size=step_size,
            batch_size=batch_size if recipe.stochastic else None,
            seed=seed,
            every=steps,
        )
        return history.loss[-1]

    step_size = step_sizes[0]
    if len(step_sizes) > 1:
        candidates = network(recipe, data, width=width, members=len(step_sizes), seed=seed)
        _start_alike(candidates)
        losses = run(candidates, torch.tensor(step_sizes), pilot_epochs)
        step_size = step_sizes[int(np.argmin(losses))]

    judged = network(recipe, data, width=width, members=seeds, seed=seed + 1)
    run(judged, step_size, epochs)
    use_population_statistics(judged, data.train_inputs)  # few steps of GD leave no running average
    with torch.no_grad():
        accuracies = accuracy(judged.eval()(data.test_inputs), data.test_labels)
    return Trial(recipe, step_size, accuracies.cpu().numpy())


def signal(
    recipe: Recipe, data: Dataset, *, width: int = 64, samples: int = 200, seeds: int = 5, seed: int = 0
) -> Signal:
    """What a network transmits before any training: forward the pre-activations, backward the gradients.

    Args:
        recipe: what goes into the network.
        data: its first ``samples`` training images are sent through.
        width: of the hidden layers.
        samples: images.
        seeds: networks, drawn with seed, …, seed + seeds - 1.
        seed: of the first.

    Returns:
        Size and distinctness of h^l and the size of ∂F/∂W^l, in double precision.
    """
    model = network(recipe, data, width=width, members=seeds, seed=seed).double()
    passes = model.passes(data.train_inputs[:samples].double())
    cross_entropy(passes.preactivations[-1], data.train_labels[:samples]).sum().backward()
    size, distinct = [], []
    for h in passes.preactivations:
        size.append(h.detach().square().mean(dim=(-2, -1)))
        directions = torch.nn.functional.normalize(h.detach(), dim=-1, eps=0.0)
        distinct.append(1 - directions.mean(dim=-2).square().sum(dim=-1))
    gradient = [weight.grad.norm(dim=(-2, -1)) for weight in model.weights]
    return Signal(*(torch.stack(values, dim=1).cpu().numpy() for values in (size, distinct, gradient)))


@torch.no_grad()
def _start_alike(model: torch.nn.Module) -> None:
    """Give every member the weights of the first, so that only what else differs between them counts."""
    for parameter in model.parameters():
        parameter.copy_(parameter[:1].expand_as(parameter))


def shuffled(data: Dataset, *, seed: int) -> Dataset:
    """``data`` with the training labels permuted: nothing is left to learn, the test images are untouched."""
    order = torch.randperm(len(data.train_labels), generator=runtime.generator(seed))
    return replace(data, train_labels=data.train_labels[order.to(data.train_labels.device)])


def survival_depth(variance: float, width: int, steps: int) -> float:
    """The depth at which a ReLU network drawn from N(0, variance) needs ``steps`` times as many steps as Kaiming's.

    A layer multiplies the mean square of the pre-activations by a = width·variance/2, because ReLU passes on
    half of it, and that of the backward errors likewise.  Each gradient ∂F/∂W^l holds L - 2 such layers, forward
    and backward together, so one step of gradient descent, which lowers the loss by about η‖∇F‖², lowers it by
    a^{L-2} of what it does at a = 1.  From a^{L-2} = 1/steps follows L = 2 + log(steps)/log(1/a).

    Args:
        variance: of each weight.
        width: of the hidden layers.
        steps: how many times slower the start may be.

    Raises:
        ValueError: the layers do not shrink the signal.
    """
    factor = width * variance / 2
    if not 0 < factor < 1:
        raise ValueError(
            f"the layers shrink no signal: width·variance/2 = {factor:g} must lie between 0 and 1."
        )
    return 2 + math.log(steps) / math.log(1 / factor)
