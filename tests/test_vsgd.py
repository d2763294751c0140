"""vSGD beside its formulas, and the invariance that needs no tuning."""

from __future__ import annotations

import pytest
import torch

from dlopt.algorithms.finite_sums import LinearModel
from dlopt.algorithms.sampling import with_replacement
from dlopt.algorithms.vsgd import vsgd


def noisy(sigma=1.0, scale=1.0, n=200):
    g = torch.Generator().manual_seed(0)
    targets = sigma * torch.randn(n, 1, generator=g, dtype=torch.float64).squeeze(1)
    return LinearModel(torch.full((n, 1), scale, dtype=torch.float64), targets)


def at(value):
    return torch.tensor([value], dtype=torch.float64)


def test_one_step_is_the_formula():
    p = noisy()
    order = torch.tensor([0, 1, 2]).view(1, 3, 1)
    run, rates = vsgd(p, at(3.0), order, first_samples=2, overestimate=2.0, every=1)
    g = (3.0 - p.targets[:3]).double()
    g_mean, v_mean, h_mean = g[:2].mean(), 2 * g[:2].square().mean(), 1.0
    g_mean, v_mean = (g_mean + g[2]) / 2, (v_mean + g[2] ** 2) / 2
    eta = g_mean**2 / (h_mean * v_mean)
    assert rates[3].item() == pytest.approx(eta.item())
    assert run.iterates[3].item() == pytest.approx((3.0 - eta * g[2]).item())


def test_without_noise_it_takes_newton_steps():
    run, rates = vsgd(
        noisy(0.0, 3.0), at(2.0), with_replacement(200, 40, members=1), every=1, overestimate=1.0
    )
    assert rates[11].item() == pytest.approx(1 / 9)
    assert run.iterates[-1].abs().max() < 1e-12


def test_units_of_loss_and_parameter_do_not_matter():
    order = with_replacement(200, 300, members=2, seed=1)
    one, _ = vsgd(noisy(1.0), at(3.0), order, every=30)
    other, _ = vsgd(noisy(70.0), at(210.0), order, every=30)
    torch.testing.assert_close(70 * one.iterates, other.iterates)


def test_near_the_minimum_the_rate_decays_like_one_over_t():
    order = with_replacement(200, 4000, members=16, seed=1)
    _, rates = vsgd(noisy(), at(3.0), order, every=400)
    assert 0.5 < 4000 * rates[-1].mean() < 2


def test_the_curvature_is_that_of_every_loss():
    g = torch.Generator().manual_seed(0)
    inputs = torch.randn(30, 2, generator=g, dtype=torch.float64)
    for loss in ("logistic", "squared hinge"):
        p = LinearModel(inputs, torch.ones(30, dtype=torch.float64), loss, 0.1)
        order = with_replacement(30, 30_000, members=1, seed=2)
        run, _ = vsgd(p, torch.zeros(2, dtype=torch.float64), order, every=3000)
        assert run.values[-1].item() - p.optimum < 0.01 * (run.values[0].item() - p.optimum)


def test_what_it_cannot_do_is_said():
    with pytest.raises(ValueError, match="one sample"):
        vsgd(noisy(), at(0.0), with_replacement(200, 20, 2))
    with pytest.raises(ValueError, match="fewer"):
        vsgd(noisy(), at(0.0), with_replacement(200, 5))
