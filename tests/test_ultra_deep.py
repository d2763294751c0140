"""Networks of a thousand layers: the architecture, the theory beside simulation, and training at small sizes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dlopt import data, initialization
from dlopt.models import FullyConnected, Residual
from dlopt.normalization import BatchNormalization
from dlopt.tricks import ultra_deep
from dlopt.tricks.fixup import BranchNetwork
from dlopt.tricks.signal_propagation import chi, variance_map

DIGITS = data.load("digits", dtype=torch.float64, device="cpu")
X = DIGITS.train_inputs[:96]
EVERY = [*ultra_deep.RECIPES.values(), *ultra_deep.REMOVED.values()]
recipes = pytest.mark.parametrize("recipe", EVERY, ids=lambda recipe: recipe.name)


def preactivation(members=None, blocks=2, width=6):
    widths = [64, *[width] * (2 * blocks + 1), 3]
    return ultra_deep.PreActivation(widths, members=members, dtype=torch.float64, device="cpu")


class TestPreActivation:
    def test_it_is_the_block_of_he_and_others_written_with_torch_layers(self):
        network = preactivation()
        norm = torch.nn.functional.batch_norm
        w = list(network.weights)
        z = X @ w[0].T
        for k in (1, 3):
            inner = torch.relu(norm(z, None, None, training=True)) @ w[k].T
            z = z + torch.relu(norm(inner, None, None, training=True)) @ w[k + 1].T
        expected = torch.relu(norm(z, None, None, training=True)) @ w[5].T
        torch.testing.assert_close(network(X), expected)
        torch.testing.assert_close(network.stream(X)[-1], z)

    def test_the_stream_has_one_state_more_than_there_are_blocks(self):
        assert len(preactivation(blocks=3).stream(X)) == 4

    def test_members_are_the_single_networks_of_their_seeds(self):
        many = preactivation(members=2)
        one = ultra_deep.PreActivation(many.widths, seed=1, dtype=torch.float64, device="cpu")
        torch.testing.assert_close(many(X)[1], one(X))
        torch.testing.assert_close(many.member(1)(X), one(X))

    @pytest.mark.parametrize("widths", [[4, 3, 3, 2], [4, 3, 2], [4, 3, 5, 3, 2]])
    def test_widths_that_form_no_blocks_are_refused(self, widths):
        with pytest.raises(ValueError, match="even depth of 4 or more and one hidden width"):
            ultra_deep.PreActivation(widths)


def test_the_step_size_falls_linearly_and_the_momentum_is_that_of_torch():
    theirs, ours = (torch.nn.Parameter(torch.ones(2, dtype=torch.float64)) for _ in range(2))
    sgd = torch.optim.SGD([theirs], lr=0.4, momentum=0.9)
    decaying = ultra_deep.DecayingMomentum([ours], 0.4, 4)
    for step in range(4):
        sgd.param_groups[0]["lr"] = 0.4 * (1 - step / 4)
        theirs.grad, ours.grad = 3 * theirs.detach(), 3 * ours.detach()
        sgd.step()
        decaying.step()
        torch.testing.assert_close(ours, theirs)


class TestTheCarefulStart:
    @pytest.mark.parametrize("q", [1e-3, 0.02, 0.1])
    def test_the_scale_makes_q_a_fixed_point(self, q):
        assert float(variance_map(q, "tanh", ultra_deep.critical_scale(q))) == pytest.approx(q, rel=1e-9)
        assert ultra_deep.critical_scale(q) == pytest.approx(1 + q, abs=2 * q**2)

    @pytest.mark.parametrize("depth", [100, 1000, 10_000])
    def test_errors_change_by_the_same_small_factor_at_every_depth(self, depth):
        q = ultra_deep.fixed_variance(depth)
        assert q == pytest.approx(0.6 / math.sqrt(depth))
        multiplier = float(chi(q, "tanh", ultra_deep.critical_scale(q)))
        assert multiplier == pytest.approx(1 + 4 / 3 * q**2, abs=8 * q**3)
        assert depth * math.log(multiplier) == pytest.approx(4 / 3 * 0.36, rel=0.35)

    def test_a_variance_that_is_not_positive_is_refused(self):
        with pytest.raises(ValueError, match="must be positive"):
            ultra_deep.critical_scale(0.0)

    def test_the_signal_enters_at_q_stays_there_and_leaves_at_one_half(self):
        depth = 102
        q = ultra_deep.fixed_variance(depth)
        network = ultra_deep.RECIPES["start alone"].make(depth, members=8, dtype=torch.float64)
        h = network.passes(X.to(network.weights[0])).preactivations
        variances = [float(layer.detach().square().mean()) for layer in h]
        assert variances[0] == pytest.approx(q, rel=0.2)
        assert variances[-2] == pytest.approx(variances[0], rel=0.2)
        assert math.sqrt(variances[-1]) == pytest.approx(0.5, rel=0.25)

    def test_a_factor_multiplies_the_hidden_layers_alone(self):
        widths = [64, 8, 8, 10]
        plain, doubled = (
            [ultra_deep.careful_start(widths, factor=factor)(shape, torch.Generator().manual_seed(0))
             for shape in ((8, 64), (8, 8), (10, 8))]
            for factor in (1.0, 2.0)
        )  # fmt: skip
        ratios = [float((b / a).mean()) for a, b in zip(plain, doubled, strict=True)]
        assert ratios == pytest.approx([1, 2, 1])

    def test_gaussian_weights_take_the_variance_of_the_orthogonal_ones(self):
        gaussian = ultra_deep.REMOVED["start alone − orthogonal"].make(12, members=40)
        orthogonal = ultra_deep.RECIPES["start alone"].make(12, members=40)
        ours, theirs = (float(n.weights[4].detach().square().mean()) for n in (gaussian, orthogonal))
        assert ours == pytest.approx(theirs, rel=0.05)


class TestSignals:
    @recipes
    def test_both_agree_with_one_network_by_hand(self, recipe):
        network = recipe.make(8, members=2, dtype=torch.float64)
        found = ultra_deep.signals(network, X)
        z = ultra_deep.states(network, X.to(next(network.parameters())))
        assert found.forward.shape == found.backward.shape == (2, len(z))
        first = z[0][1] - z[0][1].mean(dim=0)
        assert found.forward[1, 0] == pytest.approx(float(first.detach().square().mean().sqrt()))
        assert found.backward[:, -1] == pytest.approx(np.ones(2), rel=0.2)

    @recipes
    def test_the_states_lead_to_the_output(self, recipe):
        network = recipe.make(8, members=2, dtype=torch.float64)
        x = X.to(next(network.parameters()))
        last, output = ultra_deep.states(network, x)[-1], network(x)
        if isinstance(network, BranchNetwork):
            expected = last @ network.head.mT
        else:
            entering = network.norms[-1](last) if isinstance(network, ultra_deep.PreActivation) else last
            expected = network.activation(entering) @ network.weights[-1].mT
        torch.testing.assert_close(output, expected)

    def test_the_error_is_handed_down_by_the_transposed_weights_in_a_linear_network(self):
        network = FullyConnected(
            [64, 9, 9, 9, 3], "linear", initialization=initialization.orthogonal(2.0), dtype=torch.float64
        )
        backward = ultra_deep.signals(network, X.to(network.weights[0])).backward[0]
        assert backward[:-1] / backward[1:] == pytest.approx([2.0, 2.0])

    def test_a_residual_network_with_fixups_start_hands_everything_on(self):
        found = ultra_deep.signals(ultra_deep.RECIPES["Fixup"].make(22, members=2, dtype=torch.float64), X)
        assert np.ptp(found.forward, axis=1) == pytest.approx(0, abs=1e-12)
        assert np.ptp(found.backward, axis=1) == pytest.approx(0, abs=1e-12)


class TestNormalizationWithoutSkips:
    def test_errors_grow_by_the_root_of_pi_over_pi_minus_one_with_relu(self):
        assert ultra_deep.normalized_growth("relu") == pytest.approx(math.sqrt(math.pi / (math.pi - 1)))

    def test_only_a_linear_network_is_spared(self):
        assert ultra_deep.normalized_growth("linear") == pytest.approx(1)
        for name in ("tanh", "erf", "elu", "swish", "gelu", "hard_tanh", "softplus"):
            assert ultra_deep.normalized_growth(name) > 1.0001

    def test_a_wide_network_grows_as_predicted(self):
        network = Residual([64, *[256] * 20, 10], skip=None, normalization="batch", dtype=torch.float64)
        x = DIGITS.train_inputs[:512].to(network.weights[0])
        backward = ultra_deep.signals(network, x).backward[0]
        assert (backward[4] / backward[-1]) ** (1 / 15) == pytest.approx(
            ultra_deep.normalized_growth("relu"), rel=0.03
        )


def test_with_skips_a_wide_network_follows_the_power_law():
    network = ultra_deep.PreActivation([64, *[256] * 41, 10], dtype=torch.float64)
    x = data.gaussian(512, 64, dtype=torch.float64)
    found = ultra_deep.signals(network, x)
    predicted = ultra_deep.normalized_stream(20, float(found.forward[0, 0]) ** 2)
    assert found.forward[0] == pytest.approx(predicted.forward, rel=0.05)
    assert found.backward[0] == pytest.approx(predicted.backward, rel=0.1)


class TestTraining:
    @pytest.mark.parametrize("name", list(ultra_deep.RECIPES))
    def test_each_recipe_learns_at_a_modest_depth(self, name):
        run = ultra_deep.train(ultra_deep.RECIPES[name], 22, data.load("digits"), members=2, steps=44)
        assert run.batch_loss.shape == (44, 2)
        assert run.accuracy.min() > 0.85

    def test_what_diverges_leaves_no_number_and_guesses(self):
        run = ultra_deep.train(
            ultra_deep.REMOVED["Fixup − its start"], 102, data.load("digits"), members=2, steps=4
        )
        assert np.isnan(run.batch_loss[-1]).all()
        assert run.accuracy.max() < 0.3

    def test_the_last_layer_alone_is_trained_on_what_the_network_hands_it(self):
        recipe = ultra_deep.RECIPES["start alone"]
        found = ultra_deep.last_layer_alone(recipe, 12, data.load("digits"), members=2)
        assert found.shape == (2,)
        assert found.min() > 0.8
        blind = ultra_deep.last_layer_alone(
            ultra_deep.REMOVED["Kaiming's start alone"], 302, data.load("digits"), members=2
        )
        assert blind.max() < found.min()

    def test_normalization_is_tested_with_the_statistics_of_the_training_images(self):
        digits = data.load("digits")
        network = ultra_deep.train(ultra_deep.RECIPES["all three"], 4, digits, members=1, steps=2).network
        norm = network.norms[0]
        assert isinstance(norm, BatchNormalization)
        first = (digits.train_inputs @ network.weights[0][0].T).detach()
        torch.testing.assert_close(norm.running_mean[0], first.mean(dim=0), atol=1e-4, rtol=1e-4)


@pytest.mark.cuda
@pytest.mark.parametrize("recipe", EVERY, ids=lambda recipe: recipe.name)
def test_a_recipe_starts_from_the_same_network_on_a_gpu(recipe, monkeypatch):
    monkeypatch.setenv("DLOPT_DEVICE", "cpu")
    here = ultra_deep.signals(recipe.make(8, members=2, dtype=torch.float64), X)
    monkeypatch.setenv("DLOPT_DEVICE", "cuda")
    there = ultra_deep.signals(recipe.make(8, members=2, dtype=torch.float64), X.cuda())
    assert there.forward == pytest.approx(here.forward)
    assert there.backward == pytest.approx(here.backward)
