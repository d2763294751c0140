"""Covariate shift and smoothness against their definitions, and the noisy layer against its distribution."""

from __future__ import annotations

import pytest
import torch

from dlopt import training
from dlopt.models import FullyConnected, Residual
from dlopt.tricks.covariate_shift import NoisyBatchNormalization, along_the_gradient, internal_covariate_shift

X = torch.randn(12, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randn(12, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def network(**options) -> FullyConnected:
    return FullyConnected([4, 5, 5, 2], "tanh", dtype=torch.float64, device="cpu", **options)


def gradients(model: FullyConnected) -> list[torch.Tensor]:
    value = training.squared_error(model(X), Y)
    return list(torch.autograd.grad(value, list(model.weights)))


def test_the_shift_is_the_change_of_a_gradient_when_only_the_layers_below_have_moved():
    shifts = internal_covariate_shift(network(), X, Y, training.squared_error, 0.3)
    before = gradients(network())
    assert shifts[0] == 0
    for layer in (1, 2):
        moved = network()
        with torch.no_grad():
            for below in range(layer):
                moved.weights[below].sub_(0.3 * before[below])
        change = (gradients(moved)[layer] - before[layer]).norm() / before[layer].norm()
        assert shifts[layer].item() == pytest.approx(change.item())


def test_along_the_gradient_are_the_values_at_the_moved_parameters():
    along = along_the_gradient(network(), X, Y, training.squared_error, torch.tensor([0.1, 0.4]))
    before = gradients(network())
    norm = torch.stack([g.square().sum() for g in before]).sum().sqrt()
    ratios = []
    for point, t in enumerate((0.1, 0.4)):
        moved = network()
        with torch.no_grad():
            for weight, g in zip(moved.weights, before, strict=True):
                weight.sub_(t * g)
        change = torch.stack([(a - b).square().sum() for a, b in zip(gradients(moved), before, strict=True)])
        change = change.sum().sqrt()
        assert along.losses[point].item() == pytest.approx(training.squared_error(moved(X), Y).item())
        assert along.gradient_changes[point].item() == pytest.approx(change.item())
        ratios.append((change / (t * norm)).item())
    assert along.gradient_norm.item() == pytest.approx(norm.item())
    assert along.smoothness.item() == pytest.approx(max(ratios))


def test_members_are_measured_each_by_itself():
    together = network(members=3)
    steps = torch.tensor([0.2, 0.5])
    for member in range(3):
        alone = together.member(member)
        for measure in (
            lambda m: internal_covariate_shift(m, X, Y, training.squared_error, 0.3),
            lambda m: along_the_gradient(m, X, Y, training.squared_error, steps).losses,
        ):
            assert torch.allclose(measure(together)[:, member], measure(alone), atol=1e-12)


def test_measuring_changes_neither_parameters_nor_running_averages():
    model = Residual([4, 5, 5, 2], skip=None, normalization="batch", dtype=torch.float64, device="cpu")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    internal_covariate_shift(model, X, Y, training.squared_error, 0.3)
    along_the_gradient(model, X, Y, training.squared_error, torch.tensor([0.2]))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_noise_shifts_and_stretches_features_anew_in_every_pass_and_not_in_evaluation():
    layer = NoisyBatchNormalization((200,), dtype=torch.float64)
    h = torch.randn(4000, 200, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    first, second = layer(h).detach(), layer(h).detach()
    means, deviations = first.mean(0), first.std(0)
    assert (means.abs() < 0.52).all()
    assert means.abs().max() > 0.4
    assert ((deviations > 0.98) & (deviations < 1.28)).all()
    assert deviations.mean().item() == pytest.approx(1.13, abs=0.02)
    assert (means - second.mean(0)).abs().max() > 0.3
    assert torch.equal(layer.eval()(h), layer(h))


@pytest.mark.cuda
def test_cuda_draws_the_noise_that_the_cpu_does():
    h = torch.randn(8, 5, generator=torch.Generator().manual_seed(3))
    here, there = (NoisyBatchNormalization((5,), device=device)(h.to(device)) for device in ("cpu", "cuda"))
    assert torch.allclose(here, there.cpu(), atol=1e-5)
