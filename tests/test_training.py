"""The training loop against PyTorch's losses and optimizers, and against itself without members."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from dlopt import training
from dlopt.initialization import scaled_gaussian
from dlopt.models import FullyConnected, Residual
from dlopt.training import accuracy, cross_entropy, logistic, objective, squared_error, train

WIDTHS = (4, 6, 6, 3)
N = 20
DOUBLE = {"dtype": torch.float64, "device": "cpu"}
OPTIMIZERS = {
    "gradient descent": {"step_size": 0.05},
    "momentum": {"optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.02, momentum=0.9)},
    "adam": {"optimizer": lambda parameters: torch.optim.Adam(parameters, lr=0.01)},
}
optimizers = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())


pytestmark = pytest.mark.usefixtures("on_the_cpu")


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def regression() -> tuple[torch.Tensor, torch.Tensor]:
    return normal(N, 4), normal(N, 3, seed=1)


def scalar(start: float = 1.0, members: int | None = None) -> FullyConnected:
    """f(x) = w x with w = start."""
    return FullyConnected(
        [1, 1], initialization=lambda shape, _: torch.full(shape, start), members=members, **DOUBLE
    )


ONE = torch.ones(1, 1, dtype=torch.float64)


def curvature(factor: float) -> training.Loss:
    """w ↦ factor · w² / 2 on the input 1, whose gradient is factor · w."""
    return lambda outputs, targets: factor / 2 * squared_error(outputs, 0 * targets)


class TestLosses:
    def test_squared_error_sums_over_outputs_and_averages_over_samples(self):
        outputs = torch.tensor([[1.0, 2.0], [3.0, 5.0]])
        targets = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        assert squared_error(outputs, targets).item() == (0 + 4 + 9 + 16) / 2

    def test_squared_error_is_pytorchs(self):
        z, y = normal(N, 3), normal(N, 3, seed=1)
        assert torch.allclose(squared_error(z, y), functional.mse_loss(z, y, reduction="sum") / N)

    def test_logistic_is_pytorchs_soft_margin_and_cross_entropy(self):
        z, y = 30 * normal(N, 1), normal(N, 1, seed=1).sign()
        assert torch.allclose(logistic(z, y), functional.soft_margin_loss(z, y))
        assert torch.allclose(logistic(z, y), functional.binary_cross_entropy_with_logits(z, (y + 1) / 2))
        assert torch.allclose(logistic(z, y), torch.log(1 + torch.exp(-y * z)).mean())

    def test_logistic_does_not_overflow(self):
        z = torch.tensor([[-1e4], [1e4]])
        assert logistic(z, torch.ones(2)).item() == pytest.approx(5e3)

    def test_cross_entropy_is_pytorchs(self):
        z, labels = 30 * normal(N, 5), torch.arange(N) % 5
        assert torch.allclose(cross_entropy(z, labels), functional.cross_entropy(z, labels))

    def test_cross_entropy_of_two_outputs_is_logistic_of_their_difference(self):
        z, labels = normal(N, 2), torch.arange(N) % 2
        difference = z[:, 1] - z[:, 0]
        assert torch.allclose(cross_entropy(z, labels), logistic(difference[:, None], 2.0 * labels - 1))

    def test_cross_entropy_refuses_a_label_that_is_no_class(self):
        with pytest.raises(RuntimeError, match="out of bounds"):
            cross_entropy(normal(2, 3), torch.tensor([0, 3]))

    @pytest.mark.parametrize("own", [False, True])
    @pytest.mark.parametrize(
        ("loss", "width", "labels"),
        [
            (squared_error, 3, None),
            (squared_error, 1, 2),
            (logistic, 1, 2),
            (cross_entropy, 3, 3),
            (accuracy, 3, 3),
        ],
    )
    def test_every_member_has_its_own_mean(self, loss, width, labels, own):
        z = normal(4, N, width)
        y = normal(4, N, width, seed=1) if labels is None else torch.arange(4 * N).view(4, N) % labels
        together = loss(z, y if own else y[0])
        assert together.shape == (4,)
        for member in range(4):
            assert torch.allclose(together[member], loss(z[member], y[member if own else 0]))

    @pytest.mark.parametrize("shape", [(N,), (N - 1, 3), (3,), (3, N), (5, N, 3)])
    def test_targets_never_broadcast_across_samples(self, shape):
        for loss in (squared_error, logistic):
            with pytest.raises(ValueError, match="do not fit outputs"):
                loss(normal(N, 3), torch.zeros(shape))

    def test_labels_that_do_not_fit_are_refused(self):
        for loss in (cross_entropy, accuracy):
            with pytest.raises(ValueError, match=r"labels of \(20, 1\) do not fit outputs of \(20, 3\)"):
                loss(normal(N, 3), torch.zeros(N, 1, dtype=torch.int64))

    def test_accuracy_counts_the_largest_output_or_the_sign(self):
        z = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
        assert accuracy(z, torch.tensor([1, 0, 0, 0])).item() == 0.75
        assert accuracy(
            torch.tensor([[2.0], [-1.0], [3.0]]), torch.tensor([1, -1, -1])
        ).item() == pytest.approx(2 / 3)


def plain_loop(model, inputs, targets, loss, steps, make) -> list[float]:
    """Full-batch training as PyTorch's tutorials write it."""
    optimizer, losses = make(model.parameters()), []
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss(model(inputs), targets)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return [*losses, loss(copy.deepcopy(model)(inputs), targets).item()]


class TestAgainstPyTorch:
    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [
            ({"step_size": 0.05}, lambda p: torch.optim.SGD(p, lr=0.05)),
            (OPTIMIZERS["momentum"], OPTIMIZERS["momentum"]["optimizer"]),
            (OPTIMIZERS["adam"], OPTIMIZERS["adam"]["optimizer"]),
        ],
    )
    def test_full_batches_are_a_plain_loop(self, ours, theirs):
        x, y = regression()
        network = FullyConnected(WIDTHS, "tanh", **DOUBLE)
        same = FullyConnected(WIDTHS, "tanh", **DOUBLE)
        history = train(network, x, y, loss=squared_error, steps=30, **ours)
        expected = plain_loop(same, x, y, lambda z, y: (z - y).square().sum() / N, 30, theirs)
        assert np.allclose(history.loss, expected, rtol=1e-12)
        for trained, reference in zip(network.parameters(), same.parameters(), strict=True):
            assert torch.allclose(trained, reference, atol=1e-13)

    def test_one_step_is_equation_6(self):
        x, y = regression()
        network = FullyConnected(WIDTHS, "tanh", **DOUBLE)
        before = [weight.detach().clone() for weight in network.weights]
        gradient = torch.autograd.grad(squared_error(network(x), y), list(network.weights))
        train(network, x, y, loss=squared_error, steps=1, step_size=0.3)
        for weight, old, slope in zip(network.weights, before, gradient, strict=True):
            assert torch.allclose(weight, old - 0.3 * slope, atol=1e-14)

    def test_an_ordinary_module_with_batch_normalization_trains_as_by_hand(self):
        def build():
            torch.manual_seed(0)
            return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)).double()

        x, labels = normal(N, 4), torch.arange(N) % 3
        model, same = build(), build()
        history = train(model, x, labels, loss=cross_entropy, steps=10, step_size=0.1, every=2)
        expected = plain_loop(
            same, x, labels, functional.cross_entropy, 10, lambda p: torch.optim.SGD(p, 0.1)
        )
        assert np.allclose(history.loss, expected[::2], rtol=1e-12)
        for trained, reference in zip(model.state_dict().values(), same.state_dict().values(), strict=True):
            assert torch.allclose(trained, reference, atol=1e-13)

    def test_reshuffled_batches_are_a_loop_over_permutations(self):
        x, y = regression()
        network, same = FullyConnected(WIDTHS, **DOUBLE), FullyConnected(WIDTHS, **DOUBLE)
        seen = []
        train(
            network, x, y, loss=lambda z, y: seen.append(y) or squared_error(z, y),
            steps=6, step_size=0.05, batch_size=8, seed=3, every=100,
        )  # fmt: skip
        batches = seen[0:1] + seen[2:7]
        assert [len(batch) for batch in batches] == [8, 8, 4, 8, 8, 4]
        rows = [[int((y == row).all(dim=1).nonzero()) for row in batch] for batch in batches]
        assert sorted(itertools.chain(*rows[:3])) == sorted(itertools.chain(*rows[3:])) == list(range(N))
        assert rows[:3] != rows[3:]
        optimizer = torch.optim.SGD(same.parameters(), lr=0.05)
        for index in rows:
            optimizer.zero_grad()
            (functional.mse_loss(same(x[index]), y[index]) * 3).backward()
            optimizer.step()
        for trained, reference in zip(network.parameters(), same.parameters(), strict=True):
            assert torch.allclose(trained, reference, atol=1e-13)


class TestMembers:
    @optimizers
    @pytest.mark.parametrize(
        "batches",
        [{}, {"batch_size": 6, "seed": 4}, {"batch_size": 6, "seed": 4, "sampling": "replacement"}],
        ids=["full", "reshuffled", "with replacement"],
    )
    @pytest.mark.parametrize(
        ("network", "options"),
        [(FullyConnected, {"bias": True}), (Residual, {"normalization": "batch", "block": 1})],
    )
    def test_together_they_train_as_they_do_alone(self, optimizer, batches, network, options):
        x, y = regression()
        arguments = {"loss": squared_error, "steps": 15, "every": 4, **optimizer, **batches}
        together = network(WIDTHS, "tanh", members=3, seed=8, **DOUBLE, **options)
        history = train(together, x, y, **arguments)
        assert history.loss.shape == (5, 3)
        for member in range(3):
            alone = network(WIDTHS, "tanh", seed=8 + member, **DOUBLE, **options)
            single = train(alone, x, y, **arguments)
            assert single.loss.shape == (5,)
            assert np.allclose(history.loss[:, member], single.loss, rtol=1e-11)
            for ours, theirs in zip(together.parameters(), alone.parameters(), strict=True):
                assert torch.allclose(ours[member], theirs, atol=1e-12)

    @pytest.mark.parametrize("sampling", ["reshuffle", "replacement"])
    def test_with_batches_of_its_own_member_m_is_the_single_network_with_seed_plus_m(self, sampling):
        x, labels = normal(N, 4), torch.arange(N) % 3
        arguments = {
            "loss": cross_entropy,
            "steps": 9,
            "step_size": 0.1,
            "batch_size": 8,
            "sampling": sampling,
        }
        together = FullyConnected(WIDTHS, members=3, **DOUBLE)
        history = train(together, x, labels, seed=5, shared_batches=False, **arguments)
        for member in range(3):
            alone = train(
                FullyConnected(WIDTHS, seed=member, **DOUBLE), x, labels, seed=5 + member, **arguments
            )
            assert np.allclose(history.loss[:, member], alone.loss, rtol=1e-12)

    @pytest.mark.parametrize("shared", [True, False])
    @pytest.mark.parametrize(
        ("loss", "targets"),
        [(squared_error, normal(3, N, 3, seed=1)), (cross_entropy, torch.arange(3 * N).view(3, N) % 3)],
    )
    def test_inputs_and_targets_may_be_each_members_own(self, loss, targets, shared):
        x = normal(3, N, 4)
        arguments = {"loss": loss, "steps": 7, "step_size": 0.1, "batch_size": 6}
        history = train(
            FullyConnected(WIDTHS, members=3, **DOUBLE), x, targets, shared_batches=shared, **arguments
        )
        for member in range(3):
            alone = train(
                FullyConnected(WIDTHS, seed=member, **DOUBLE), x[member], targets[member],
                seed=0 if shared else member, **arguments,
            )  # fmt: skip
            assert np.allclose(history.loss[:, member], alone.loss, rtol=1e-12)

    def test_shared_inputs_go_with_targets_of_each_members_own(self):
        x, y = normal(N, 4), normal(3, N, 3, seed=1)
        arguments = {"loss": squared_error, "steps": 4, "step_size": 0.1, "batch_size": 6}
        history = train(FullyConnected(WIDTHS, members=3, **DOUBLE), x, y, **arguments)
        alone = train(FullyConnected(WIDTHS, seed=2, **DOUBLE), x, y[2], **arguments)
        assert np.allclose(history.loss[:, 2], alone.loss, rtol=1e-12)

    def test_each_has_its_own_step_size(self):
        x, y = regression()
        sizes = [0.01, 0.1, 0.3]
        together = FullyConnected(WIDTHS, members=3, bias=True, **DOUBLE)
        history = train(together, x, y, loss=squared_error, steps=10, step_size=torch.tensor(sizes))
        for member, size in enumerate(sizes):
            alone = FullyConnected(WIDTHS, seed=member, bias=True, **DOUBLE)
            single = train(alone, x, y, loss=squared_error, steps=10, step_size=np.float32(size))
            assert np.allclose(history.loss[:, member], single.loss, rtol=1e-12)


class TestStepSizes:
    def test_a_schedule_gives_the_step_size_of_every_step(self):
        rates = [0.5, 0.25, 0.125]
        network = scalar()
        train(network, ONE, ONE, loss=curvature(1), steps=3, step_size=lambda t: rates[t])
        assert network.weights[0].item() == pytest.approx(0.5 * 0.75 * 0.875)

    def test_a_schedule_may_give_one_for_each_member(self):
        network = scalar(members=2)
        train(
            network,
            ONE,
            ONE,
            loss=curvature(1),
            steps=2,
            step_size=lambda t: torch.tensor([0.5, 0.25]) / (t + 1),
        )
        assert network.weights[0].flatten().tolist() == pytest.approx([0.5 * 0.75, 0.75 * 0.875])

    @given(curve=st.floats(0.1, 10), fraction=st.floats(0.01, 1.99), steps=st.integers(0, 12))
    @settings(max_examples=40)
    def test_on_a_parabola_gradient_descent_is_geometric(self, curve, fraction, steps):
        history = train(scalar(), ONE, ONE, loss=curvature(curve), steps=steps, step_size=fraction / curve)
        expected = curve / 2 * (1 - fraction) ** (2 * history.steps)
        assert np.allclose(history.loss, expected, rtol=1e-9, atol=1e-12 * curve)


class TestHistory:
    @pytest.mark.parametrize(
        ("steps", "every", "expected"),
        [(7, 3, [0, 3, 6, 7]), (6, 3, [0, 3, 6]), (2, 10, [0, 2]), (0, 1, [0]), (3, 1, [0, 1, 2, 3])],
    )
    @pytest.mark.parametrize("batch_size", [None, 5])
    def test_step_zero_every_few_and_the_last_are_recorded(self, steps, every, expected, batch_size):
        x, y = regression()
        history = train(
            FullyConnected(WIDTHS, **DOUBLE), x, y, loss=squared_error, steps=steps, step_size=0.01, every=every,
            batch_size=batch_size, record={"step": lambda model: 1.0},
        )  # fmt: skip
        assert history.steps.tolist() == expected
        assert len(history.loss) == len(history.recorded["step"]) == len(expected)

    def test_the_loss_is_that_of_all_samples_also_with_batches(self):
        x, y = regression()
        network = FullyConnected(WIDTHS, **DOUBLE)
        first = squared_error(network(x), y).item()
        history = train(network, x, y, loss=squared_error, steps=5, step_size=0.05, batch_size=4)
        assert history.loss[0] == pytest.approx(first)
        assert history.loss[-1] == pytest.approx(squared_error(network(x), y).item())

    def test_recorded_functions_see_the_model_in_evaluation_mode_and_may_differentiate(self):
        x, y = regression()
        network = Residual(WIDTHS, normalization="batch", members=2, **DOUBLE)

        def gradient_norm(model):
            assert not model.training
            gradients = torch.autograd.grad(squared_error(model(x), y).sum(), list(model.weights))
            return torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0).sqrt()

        history = train(
            network, x, y, loss=squared_error, steps=4, step_size=0.01,
            record={"gradient": gradient_norm, "weights": lambda model: model.weights[0]},
        )  # fmt: skip
        assert history.recorded["gradient"].shape == (5, 2)
        assert history.recorded["weights"].shape == (5, 2, 6, 4)
        assert not np.array_equal(history.recorded["weights"][0], history.recorded["weights"][1])
        assert network.training

    def test_recording_changes_nothing(self):
        x, y = regression()
        weights = []
        for record, every in (({}, 100), ({"outputs": lambda model: model(x)}, 1)):
            network = Residual(WIDTHS, normalization="batch", **DOUBLE)
            train(
                network,
                x,
                y,
                loss=squared_error,
                steps=9,
                step_size=0.05,
                batch_size=7,
                record=record,
                every=every,
            )
            weights.append([*network.parameters(), *network.buffers()])
        assert all(torch.equal(quiet, watched) for quiet, watched in zip(*weights, strict=True))

    def test_the_model_keeps_its_mode_and_no_gradients(self):
        x, y = regression()
        network = FullyConnected(WIDTHS, **DOUBLE).eval()
        train(network, x, y, loss=squared_error, steps=2, step_size=0.01)
        assert not network.training
        assert all(parameter.grad is None for parameter in network.parameters())

    def test_parameters_that_need_no_gradient_stay(self):
        x, y = regression()
        network = FullyConnected(WIDTHS, **DOUBLE)
        network.weights[0].requires_grad_(False)
        before = network.weights[0].clone()
        train(network, x, y, loss=squared_error, steps=3, step_size=0.05)
        assert torch.equal(network.weights[0], before)

    def test_nothing_is_printed(self, capfd):
        x, y = regression()
        train(FullyConnected(WIDTHS, **DOUBLE), x, y, loss=squared_error, steps=50, step_size=0.01)
        assert capfd.readouterr() == ("", "")


class TestObjective:
    def test_it_is_the_mean_over_all_samples_and_can_be_differentiated(self):
        x, y = regression()
        network = FullyConnected(WIDTHS, members=2, **DOUBLE)
        value = objective(network, x, y, squared_error)
        assert torch.equal(value, squared_error(network(x), y))
        assert value.requires_grad

    def test_it_uses_the_samples_statistics_and_leaves_the_running_averages(self):
        x, y = regression()
        network = Residual(WIDTHS, normalization="batch", **DOUBLE).eval()
        averages = [buffer.clone() for buffer in network.buffers()]
        value = objective(network, x, y, squared_error)
        assert not network.training
        assert all(torch.equal(a, b) for a, b in zip(averages, network.buffers(), strict=True))
        assert torch.allclose(value, squared_error(network.train()(x), y))
        assert not torch.allclose(value, squared_error(network.eval()(x), y))


class TestDivergence:
    def test_a_single_network_stops_and_says_when(self):
        history = train(scalar(), ONE, ONE, loss=curvature(1), steps=100, step_size=3.0)
        assert history.diverged
        assert history.diverged.shape == ()
        assert history.stopped == "training diverged at step 11 and was stopped there."
        assert history.steps[-1] == 11
        assert np.isfinite(history.loss[:-1]).all()
        assert np.isinf(history.loss[-1])

    def test_the_step_where_all_diverged_is_recorded(self):
        history = train(scalar(), ONE, ONE, loss=curvature(1), steps=100, step_size=3.0, every=7)
        assert history.steps.tolist() == [0, 7, 11]
        assert np.isinf(history.loss[-1])

    @optimizers
    @pytest.mark.parametrize("bad", [torch.nan, torch.inf, 1e200])
    def test_a_member_is_frozen_and_the_others_do_not_notice(self, optimizer, bad):
        x, y = regression()
        own = x.expand(3, -1, -1).clone()
        arguments = {"loss": squared_error, "steps": 12, **optimizer}
        network = FullyConnected(WIDTHS, members=3, seed=1, **DOUBLE)
        with torch.no_grad():
            network.weights[1][1] = bad
        frozen = network.weights[0][1].clone()
        history = train(network, own, y, **arguments)
        assert history.diverged.tolist() == [False, True, False]
        assert history.stopped == "1 of 3 members diverged and were frozen: member 1 at step 0."
        assert np.isinf(history.loss[:, 1]).all()
        assert torch.equal(network.weights[0][1], frozen)
        for member in (0, 2):
            alone = FullyConnected(WIDTHS, seed=1 + member, **DOUBLE)
            assert np.allclose(history.loss[:, member], train(alone, x, y, **arguments).loss, rtol=1e-11)

    def test_members_freeze_where_they_left_their_limit(self):
        network = scalar(members=3)
        sizes = torch.tensor([3.0, 1.5, 4.0])
        history = train(network, ONE, ONE, loss=curvature(1), steps=50, step_size=sizes)
        assert history.stopped == (
            "2 of 3 members diverged and were frozen: member 2 at step 7, member 0 at step 11."
        )
        assert network.weights[0].flatten().tolist() == pytest.approx([-(2.0**11), 0.5**50, -(3.0**7)])
        assert history.loss.shape == (51, 3)

    def test_the_factor_can_be_chosen(self):
        tight = train(scalar(), ONE, ONE, loss=curvature(1), steps=40, step_size=3.0, divergence=10.0)
        loose = train(scalar(), ONE, ONE, loss=curvature(1), steps=40, step_size=3.0, divergence=float("inf"))
        assert tight.steps[-1] == 3
        assert not loose.diverged

    def test_a_large_first_loss_is_no_divergence(self):
        history = train(scalar(1e9), ONE, ONE, loss=curvature(1), steps=5, step_size=0.5)
        assert history.stopped is None

    def test_a_loss_that_is_infinite_from_the_start_is_one(self):
        history = train(scalar(float("inf")), ONE, ONE, loss=curvature(1), steps=5, step_size=0.5)
        assert history.stopped == "training diverged at step 0 and was stopped there."


@given(seed=st.integers(0, 1000), kind=st.sampled_from(["permute", "repeat"]))
@settings(max_examples=15)
def test_gradient_descent_sees_the_samples_as_a_set(seed, kind):
    x, y = regression()
    order = torch.randperm(N, generator=torch.Generator().manual_seed(seed))
    order = order if kind == "permute" else order.repeat(2)
    histories = [
        train(FullyConnected(WIDTHS, "tanh", **DOUBLE), a, b, loss=squared_error, steps=8, step_size=0.05)
        for a, b in ((x, y), (x[order], y[order]))
    ]
    assert np.allclose(histories[0].loss, histories[1].loss, rtol=1e-12)


@given(batch_size=st.integers(1, N), epochs=st.integers(1, 3), seed=st.integers(0, 1000))
@settings(max_examples=25)
def test_every_epoch_shows_every_sample_once(batch_size, epochs, seed):
    rows = torch.arange(N, dtype=torch.float64)[:, None]
    per_epoch = -(-N // batch_size)
    seen = []
    train(
        scalar(), rows, rows, loss=lambda z, y: seen.append(y.flatten()) or squared_error(z, y),
        steps=epochs * per_epoch, step_size=0.0, batch_size=batch_size, seed=seed, every=10**6,
    )  # fmt: skip
    batches = [seen[0], *seen[2:-1]]
    for epoch in range(epochs):
        samples = torch.cat(batches[epoch * per_epoch : (epoch + 1) * per_epoch])
        assert torch.equal(samples.sort().values, rows.flatten())


def test_sampling_with_replacement_repeats_samples_and_reaches_all():
    rows = torch.arange(N, dtype=torch.float64)[:, None]
    seen = []
    train(
        scalar(), rows, rows, loss=lambda z, y: seen.append(y.flatten()) or squared_error(z, y),
        steps=100, step_size=0.0, batch_size=10, sampling="replacement", every=10**6,
    )  # fmt: skip
    batches = [seen[0], *seen[2:-1]]
    assert {len(batch) for batch in batches} == {10}
    assert any(len(batch.unique()) < 10 for batch in batches)
    counts = torch.cat(batches).long().bincount(minlength=N)
    assert counts.min() > 20
    assert counts.max() < 90


def test_batches_depend_on_the_seed_and_on_the_offset(monkeypatch):
    x, y = regression()

    def final(seed):
        network = FullyConnected(WIDTHS, initialization=scaled_gaussian(1.0), **DOUBLE)
        with torch.no_grad():
            for weight in network.weights:
                weight.fill_(0.1)
        return train(network, x, y, loss=squared_error, steps=5, step_size=0.1, batch_size=5, seed=seed).loss[
            -1
        ]

    here = final(1)
    assert final(1) == here
    assert final(2) != here
    monkeypatch.setenv("DLOPT_SEED_OFFSET", "1")
    assert final(0) == here


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"step_size": None}, "either a step_size or an optimizer"),
        ({"optimizer": torch.optim.Adam}, "either a step_size or an optimizer"),
        ({"step_size": None, "optimizer": torch.optim.LBFGS}, "LBFGS evaluates the loss by itself"),
        ({"step_size": torch.ones(3)}, r"a number or one for each of 2 members, not of shape \(3,\)"),
        ({"step_size": lambda t: torch.ones(3)}, r"not of shape \(3,\)"),
        ({"steps": -1}, "steps must be 0 or more"),
        ({"every": 0}, "every 1 or more"),
        ({"batch_size": N + 1}, "between 1 and the 20 samples, not 21"),
        ({"batch_size": 0}, "between 1 and the 20 samples, not 0"),
        ({"batch_size": 5, "sampling": "shuffle"}, "'reshuffle' or 'replacement', not 'shuffle'"),
        ({"targets": torch.zeros(N - 1, 3)}, "do not fit 20 samples and 2 members"),
        ({"targets": torch.zeros(N, 2)}, "do not fit outputs"),
        ({"inputs": normal(N, 5)}, r"inputs must be \(n, 4\)"),
        ({"loss": lambda z, y: (z - y).square().mean()}, "one value a member"),
    ],
)  # fmt: skip
def test_bad_arguments_give_one_sentence(change, sentence):
    x, y = regression()
    arguments = {"inputs": x, "targets": y, "loss": squared_error, "steps": 1, "step_size": 0.1, **change}
    with pytest.raises(ValueError, match=sentence):
        train(FullyConnected(WIDTHS, members=2, **DOUBLE), **arguments)


def test_targets_that_could_be_shared_or_own_are_refused():
    network = FullyConnected([4, 5], members=5, **DOUBLE)
    with pytest.raises(ValueError, match="may be shared or each member's own"):
        train(network, normal(5, 4), normal(5, 5), loss=squared_error, steps=1, step_size=0.1)


def test_a_single_network_has_one_step_size_and_one_loss():
    x, y = regression()
    network = FullyConnected(WIDTHS, **DOUBLE)
    with pytest.raises(ValueError, match=r"a number, not of shape \(6,\)"):
        train(network, x, y, loss=squared_error, steps=1, step_size=torch.ones(6))
    with pytest.raises(ValueError, match="loss must return a scalar"):
        train(network, x, y, loss=lambda z, y: (z - y).square().mean(1), steps=1, step_size=0.1)


@pytest.mark.cuda
@optimizers
def test_cuda_trains_as_the_cpu_does(optimizer):
    x, y = regression()
    losses = []
    for device in ("cpu", "cuda"):
        network = FullyConnected(WIDTHS, members=3, dtype=torch.float64, device=device)
        data = x.to(device), y.to(device)
        losses.append(train(network, *data, loss=squared_error, steps=20, batch_size=6, **optimizer).loss)
    assert np.allclose(*losses, rtol=1e-9)
