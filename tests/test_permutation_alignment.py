"""Permuted units are the same function, and matching finds the permutation back."""

import itertools

import torch

from dlopt.landscape import permutation_alignment as alignment
from dlopt.models import FullyConnected

WIDTHS = (6, 12, 10, 3)


def network(seed):
    return [weight.detach() for weight in FullyConnected(WIDTHS, seed=seed, dtype=torch.float64).weights]


def orders(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randperm(width, generator=generator) for width in WIDTHS[1:-1]]


def outputs(weights, inputs):
    for weight in weights[:-1]:
        inputs = torch.relu(inputs @ weight.mT)
    return inputs @ weights[-1].mT


def similarity(reference, weights):
    """Σ_l ⟨W_A^l, W_B^l⟩."""
    return sum((a * b).sum().item() for a, b in zip(reference, weights, strict=True))


def test_permuting_the_units_changes_nothing_but_their_names():
    inputs = torch.randn(20, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weights = network(0)
    permuted = alignment.permute(weights, orders(2))
    torch.testing.assert_close(outputs(permuted, inputs), outputs(weights, inputs))
    assert not torch.equal(permuted[0], weights[0])


def test_matching_undoes_a_permutation():
    weights = network(0)
    shuffled = alignment.permute(weights, orders(3))
    found = alignment.permute(shuffled, alignment.weight_matching(weights, shuffled, seed=1))
    for original, back in zip(weights, found, strict=True):
        assert torch.equal(original, back)


def test_matching_one_hidden_layer_is_the_best_of_all_permutations():
    generator = torch.Generator().manual_seed(4)
    a, b = (
        [torch.randn(5, 3, generator=generator), torch.randn(2, 5, generator=generator)] for _ in range(2)
    )
    found = similarity(a, alignment.permute(b, alignment.weight_matching(a, b)))
    best = max(
        similarity(a, alignment.permute(b, [torch.tensor(order)]))
        for order in itertools.permutations(range(5))
    )
    assert abs(found - best) < 1e-5


def test_matching_never_makes_two_networks_less_similar():
    for seed in range(5):
        a, b = network(seed), network(seed + 10)
        matched = alignment.permute(b, alignment.weight_matching(a, b))
        assert similarity(a, matched) > similarity(a, b)
