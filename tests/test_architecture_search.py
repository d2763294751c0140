"""Evolution over widths: what it may draw, and that it climbs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlopt.models import FullyConnected
from dlopt.tricks import architecture_search as search

SIZES = {"budget": 900, "inputs": 10, "outputs": 4}


@given(widths=st.lists(st.integers(1, 20), min_size=1, max_size=5))
def test_parameters_are_those_of_the_network(widths):
    network = FullyConnected([10, *widths, 4], device="cpu", dtype=torch.float32)
    assert search.parameters(tuple(widths), 10, 4) == sum(p.numel() for p in network.parameters())


@given(seed=st.integers(0, 10_000))
def test_samples_and_mutations_keep_to_the_budget(seed):
    rng = np.random.default_rng(seed)
    parent = search.sample(rng, **SIZES)
    child = search.mutate(parent, rng, **SIZES)
    assert child != parent
    for architecture in (parent, child):
        assert search.parameters(architecture, 10, 4) <= 900
        assert min(architecture) >= 2
    assert abs(len(child) - len(parent)) <= 1


def test_a_budget_too_small_for_any_network_is_refused():
    with pytest.raises(ValueError, match="no network of 10 inputs"):
        search.sample(np.random.default_rng(0), 5, 10, 4)


def test_the_search_mutates_the_best_and_climbs():
    def score(architecture):
        return -abs(len(architecture) - 5) - abs(architecture[0] - 7) / 10

    found = search.evolve(score, np.random.default_rng(0), **SIZES, population=3, mutations=60)
    assert len(found.architectures) == len(found.scores) == 63
    assert found.population == 3
    assert found.scores[found.best] == max(found.scores) > max(found.scores[:3])
    assert [score(architecture) for architecture in found.architectures] == found.scores
