"""The ingredients: recipes, trials, and what an untrained network transmits."""

import numpy as np
import pytest
import torch

from dlopt import data
from dlopt.introduction.ablation import Recipe, network, shuffled, signal, survival_depth, trial

DIGITS = data.load("digits", device="cpu")


def test_a_recipe_builds_the_network_it_names():
    model = network(Recipe(7, "Kaiming", True, True), DIGITS, width=16, members=3, seed=0)
    assert model.depth == 7
    assert model.skip == "inside"
    assert model.normalization == "batch"
    assert model.widths == (64, *[16] * 6, 10)
    bare = network(Recipe(7), DIGITS, width=16, members=3, seed=0)
    assert bare.skip is None
    assert bare.normalization is None


def test_the_naive_draw_has_variance_one_hundredth_at_every_width():
    for width in (64, 200):
        weight = network(Recipe(3), DIGITS, width=width, members=5, seed=0).weights[1]
        assert float(weight.detach().var()) == pytest.approx(0.01, rel=0.05)


def test_an_unknown_initialization_is_refused():
    with pytest.raises(ValueError, match="unknown initialization"):
        network(Recipe(3, "hopeful"), DIGITS, width=8, members=1, seed=0)


def test_a_shallow_network_learns_and_shuffled_labels_teach_nothing():
    options = {"width": 32, "epochs": 4, "pilot_epochs": 1, "seeds": 2}
    assert trial(Recipe(3, "Kaiming"), DIGITS, **options).mean > 0.8
    assert trial(Recipe(3, "Kaiming"), shuffled(DIGITS, seed=0), **options).mean < 0.3


def test_shuffling_keeps_the_label_counts_and_the_test_set():
    mixed = shuffled(DIGITS, seed=0)
    assert not torch.equal(mixed.train_labels, DIGITS.train_labels)
    assert torch.equal(mixed.train_labels.sort().values, DIGITS.train_labels.sort().values)
    assert mixed.test_labels is DIGITS.test_labels


def test_the_step_size_that_diverges_is_not_chosen():
    chosen = trial(
        Recipe(3, "Kaiming"), DIGITS, width=32, epochs=1, pilot_epochs=1, step_sizes=(0.05, 1e6), seeds=1
    )
    assert chosen.step_size == 0.05


def test_trials_are_repeatable():
    options = {"width": 16, "epochs": 1, "pilot_epochs": 1, "seeds": 2}
    first, second = (trial(Recipe(3, normalization=True), DIGITS, **options) for _ in range(2))
    np.testing.assert_array_equal(first.accuracies, second.accuracies)


def test_normalization_is_judged_with_the_statistics_of_all_training_samples():
    """Five steps of gradient descent leave running averages far from the statistics; accuracy must not suffer."""
    recipe = Recipe(3, "Kaiming", normalization=True, stochastic=False)
    assert trial(recipe, DIGITS, epochs=8, step_sizes=(0.3,), seeds=2).mean > 0.6


def test_naive_layers_shrink_the_signal_by_width_times_variance_over_two():
    sizes = signal(Recipe(30), DIGITS, seeds=20).size
    rate = np.mean(np.log(sizes[:, 28] / sizes[:, 8])) / 20
    assert np.exp(rate) == pytest.approx(0.32, rel=0.1)


def test_normalization_makes_the_scale_of_the_draw_irrelevant():
    naive, kaiming = (signal(Recipe(20, name, True), DIGITS) for name in ("naive", "Kaiming"))
    np.testing.assert_allclose(naive.size[:, :-1], kaiming.size[:, :-1], rtol=1e-2)
    np.testing.assert_allclose(naive.distinct[:, :-1], kaiming.distinct[:, :-1], rtol=1e-2)


def test_the_size_of_relu_signals_scales_out_of_the_angle():
    naive, kaiming = (signal(Recipe(20, name), DIGITS) for name in ("naive", "Kaiming"))
    np.testing.assert_allclose(naive.distinct, kaiming.distinct, rtol=1e-5)


def test_the_survival_depth_solves_its_equation():
    depth = survival_depth(0.01, 64, 140)
    assert 0.32 ** (depth - 2) == pytest.approx(1 / 140)
    assert survival_depth(0.005, 64, 140) < depth
    with pytest.raises(ValueError, match="shrink no signal"):
        survival_depth(0.01, 200, 140)
