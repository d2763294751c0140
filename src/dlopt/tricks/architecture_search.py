"""Searching an architecture instead of designing it, section 4.4 of the survey: depth and width under a budget.

An architecture is a tuple of hidden widths.  :func:`evolve` is the simplest evolutionary search: a random population,
then mutations of the best so far (Zoph and Le 2017 use a controller network, Yu and Huang 2019 a slimmable one).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

__all__ = ["Search", "evolve", "mutate", "parameters", "sample"]

Architecture = tuple[int, ...]


class Search(NamedTuple):
    """Everything that a search tried, in order."""

    architectures: list[Architecture]
    scores: list[float]
    population: int
    """How many of them, the first, were drawn at random."""

    @property
    def best(self) -> int:
        """The index of the best score, the earliest if several tie."""
        return int(np.argmax(self.scores))


def parameters(architecture: Architecture, inputs: int, outputs: int) -> int:
    """Σ_l d_l d_{l-1}, the number of weights of a fully connected network without biases."""
    widths = np.array([inputs, *architecture, outputs])
    return int(widths[1:] @ widths[:-1])


def sample(
    rng: np.random.Generator, budget: int, inputs: int, outputs: int, *, deepest: int = 12, widest: int = 64
) -> Architecture:
    """A random depth from 1 to ``deepest``, then random widths from 2 to ``widest``, drawn until within the budget.

    Raises:
        ValueError: a network of one hidden layer of two units already exceeds the budget.
    """
    if parameters((2,), inputs, outputs) > budget:
        raise ValueError(
            f"no network of {inputs} inputs and {outputs} outputs has {budget} weights or fewer."
        )
    while True:
        architecture = tuple(
            int(width) for width in rng.integers(2, widest + 1, size=rng.integers(1, deepest + 1))
        )
        if parameters(architecture, inputs, outputs) <= budget:
            return architecture


def mutate(
    architecture: Architecture, rng: np.random.Generator, budget: int, inputs: int, outputs: int
) -> Architecture:
    """Drop a layer, repeat one, or change one width by a factor between ½ and 2; drawn until within the budget."""
    while True:
        widths = list(architecture)
        place = int(rng.integers(len(widths)))
        move = rng.choice(["drop", "repeat", "resize"])
        if move == "drop" and len(widths) > 1:
            del widths[place]
        elif move == "repeat":
            widths.insert(place, widths[place])
        else:
            widths[place] = max(2, round(widths[place] * 2 ** rng.uniform(-1, 1)))
        child = tuple(widths)
        if child != architecture and parameters(child, inputs, outputs) <= budget:
            return child


def evolve(
    score: Callable[[Architecture], float],
    rng: np.random.Generator,
    *,
    budget: int,
    inputs: int,
    outputs: int,
    population: int,
    mutations: int,
) -> Search:
    """Score ``population`` random architectures, then ``mutations`` times a mutation of the best so far.

    Args:
        score: larger is better, such as the accuracy on validation samples after training.
        rng: of samples and mutations.
        budget: the largest number of weights.
        inputs, outputs: d_0 and d_L.
    """
    tried = [sample(rng, budget, inputs, outputs) for _ in range(population)]
    scores = [score(architecture) for architecture in tried]
    for _ in range(mutations):
        parent = tried[int(np.argmax(scores))]
        tried.append(mutate(parent, rng, budget, inputs, outputs))
        scores.append(score(tried[-1]))
    return Search(tried, scores, population)
