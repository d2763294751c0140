import itertools

import pytest
import torch
from torch.nn.utils import parameters_to_vector, prune

from dlopt.landscape.pruning import (
    Masked,
    density,
    iterative_magnitude_pruning,
    largest,
    magnitude_masks,
    shuffled,
)
from dlopt.models import FullyConnected
from dlopt.training import cross_entropy, train

WIDTHS = (6, 9, 7, 3)


def batch(n: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, WIDTHS[0], generator=generator), torch.randint(
        WIDTHS[-1], (n,), generator=generator
    )


def masked(members: int | None = 4, seed: int = 0) -> Masked:
    return Masked(WIDTHS, members=members, seed=seed, device="cpu")


def step(network: Masked) -> None:
    inputs, labels = batch()
    train(network, inputs, labels, loss=cross_entropy, steps=3, step_size=0.1)


class TestMasked:
    def test_without_a_mask_it_is_the_plain_network(self):
        inputs, _ = batch()
        plain = FullyConnected(WIDTHS, members=4, device="cpu")
        assert torch.equal(masked()(inputs), plain(inputs))

    @pytest.mark.parametrize(
        "optimizer",
        [
            lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
            lambda parameters: torch.optim.Adam(parameters, lr=0.1),
        ],
    )
    def test_training_moves_the_weights_that_are_kept_and_no_others(self, optimizer):
        network = masked()
        before, masks = network.copy_of_weights(), largest(network.weights, 0.3, members=4)
        network.restart(before, masks)
        inputs, labels = batch()
        train(network, inputs, labels, loss=cross_entropy, steps=3, optimizer=optimizer)
        moved = [new != old for new, old in zip(network.weights, before, strict=True)]
        for changed, mask in zip(moved, masks, strict=True):
            assert not (changed & (mask == 0)).any()
        assert any((changed & (mask == 1)).any() for changed, mask in zip(moved, masks, strict=True))

    def test_a_member_is_the_single_masked_network(self):
        network = masked()
        network.restart(network.copy_of_weights(), largest(network.weights, 0.4, members=4))
        inputs, _ = batch()
        torch.testing.assert_close(network.member(2)(inputs), network(inputs)[2])

    def test_a_restart_copies(self):
        network = masked()
        weights = network.copy_of_weights()
        network.restart(weights, network.masks)
        step(network)
        assert torch.equal(weights[0], masked().weights[0])


class TestLargest:
    @pytest.mark.parametrize("keep", [0.9, 0.5, 0.13])
    def test_the_global_threshold_is_that_of_torch(self, keep):
        single = masked(members=None)
        layers = [torch.nn.Linear(*weight.shape[::-1], bias=False) for weight in single.weights]
        for layer, weight in zip(layers, single.weights, strict=True):
            layer.weight = torch.nn.Parameter(weight.detach().clone())
        total = sum(weight.numel() for weight in single.weights)
        amount = total - round(keep * total)
        prune.global_unstructured(
            [(layer, "weight") for layer in layers], prune.L1Unstructured, amount=amount
        )
        ours = magnitude_masks(single.weights, single.masks, keep)
        assert all(torch.equal(mask, layer.weight_mask) for mask, layer in zip(ours, layers, strict=True))

    def test_the_threshold_of_each_layer_is_that_of_torch(self):
        single = masked(members=None)
        for weight, ours in zip(
            single.weights, magnitude_masks(single.weights, single.masks, 0.3, scope="layer"), strict=True
        ):
            layer = torch.nn.Linear(*weight.shape[::-1], bias=False)
            layer.weight = torch.nn.Parameter(weight.detach().clone())
            prune.l1_unstructured(layer, "weight", amount=weight.numel() - round(0.3 * weight.numel()))
            assert torch.equal(ours, layer.weight_mask)

    @pytest.mark.parametrize("scope", ["global", "layer"])
    def test_every_member_is_pruned_by_itself(self, scope):
        network = masked()
        together = magnitude_masks(network.weights, network.masks, 0.2, members=4, scope=scope)
        for index in range(4):
            own = network.member(index)
            alone = magnitude_masks(own.weights, own.masks, 0.2, scope=scope)
            assert all(torch.equal(a[index], b) for a, b in zip(together, alone, strict=True))

    def test_every_member_keeps_exactly_its_share_and_all_of_one(self):
        network = masked()
        total = sum(weight[0].numel() for weight in network.weights)
        for keep in (1.0, 0.5, 0.1):
            kept = density(largest([w.abs() for w in network.weights], keep, members=4), members=4)
            torch.testing.assert_close(kept, torch.full((4,), round(keep * total) / total))

    def test_what_is_at_the_threshold_is_dropped_and_zeros_never_pass(self):
        (mask,) = largest([torch.tensor([3.0, 1.0, 2.0, 1.0, 0.0, 0.0])], 0.5)
        assert mask.tolist() == [1, 0, 1, 0, 0, 0]
        (mask,) = largest([torch.tensor([3.0, 0.0, 0.0, 0.0])], 0.5)
        assert mask.tolist() == [1, 0, 0, 0]

    def test_what_was_pruned_stays_pruned(self):
        network = masked()
        old = largest([torch.rand_like(weight) for weight in network.weights], 0.5, members=4)
        new = magnitude_masks(network.weights, old, 0.2, members=4)
        assert all((fresh <= before).all() for fresh, before in zip(new, old, strict=True))

    @pytest.mark.parametrize("keep", [0, 1.1])
    def test_refuses_a_density_that_is_none(self, keep):
        with pytest.raises(ValueError, match="density"):
            largest([torch.ones(3)], keep)

    def test_refuses_another_scope(self):
        with pytest.raises(ValueError, match="scope"):
            largest([torch.ones(3)], 0.5, scope="network")


def test_shuffling_keeps_the_densities_of_layers_and_moves_the_places():
    network = masked()
    masks = largest([w.abs() for w in network.weights], 0.3, members=4)
    random = shuffled(masks, members=4, seed=3)
    for old, new in zip(masks, random, strict=True):
        assert torch.equal(old.sum(dim=(1, 2)), new.sum(dim=(1, 2)))
    assert not torch.equal(masks[0], random[0])
    assert not torch.equal(random[0][0], random[0][1])


class TestIterativeMagnitudePruning:
    def test_every_round_starts_from_the_weights_to_which_it_rewinds(self):
        network, starts = masked(), []
        theta_0 = network.copy_of_weights()

        def fit(model):
            starts.append([weight.detach().clone() for weight in model.weights])
            step(model)

        rounds = list(iterative_magnitude_pruning(network, fit, (1, 0.5, 0.2), rewind_to=theta_0))
        assert [finished.keep for finished in rounds] == [1, 0.5, 0.2]
        for start in starts:
            assert all(torch.equal(a, b) for a, b in zip(start, theta_0, strict=True))

    def test_without_rewinding_a_round_goes_on_where_the_last_one_stopped(self):
        network, starts = masked(), []

        def fit(model):
            starts.append(parameters_to_vector(model.parameters()).detach().clone())
            step(model)

        rounds = list(iterative_magnitude_pruning(network, fit, (1, 0.5), rewind_to=None))
        assert torch.equal(starts[1], parameters_to_vector(rounds[0].trained))

    def test_a_rounds_masks_are_those_of_the_weights_before_it(self):
        network = masked()
        theta_0 = network.copy_of_weights()
        rounds = list(iterative_magnitude_pruning(network, step, (1, 0.5, 0.2), rewind_to=theta_0))
        for before, after in itertools.pairwise(rounds):
            expected = magnitude_masks(before.trained, before.masks, after.keep, members=4)
            assert all(torch.equal(a, b) for a, b in zip(expected, after.masks, strict=True))


@pytest.mark.cuda
def test_a_gpu_prunes_the_same_weights():
    network = Masked(WIDTHS, members=4, device="cuda")
    expected = magnitude_masks(masked().weights, masked().masks, 0.3, members=4)
    ours = magnitude_masks(network.weights, network.masks, 0.3, members=4)
    assert all(torch.equal(a.cpu(), b) for a, b in zip(ours, expected, strict=True))
    moved = zip(shuffled(ours, members=4), shuffled(expected, members=4), strict=True)
    assert all(torch.equal(a.cpu(), b) for a, b in moved)
