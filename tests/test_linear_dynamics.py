"""Deep linear networks against automatic differentiation and the differential equations of their modes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import integrate

from dlopt.initialization import orthogonal
from dlopt.tricks import linear_dynamics as ld


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def target(d: int = 5) -> torch.Tensor:
    strengths = torch.linspace(2.0, 0.5, d, dtype=torch.float64)
    return orthogonal()((d, d), generator(1)) @ strengths.diag() @ orthogonal()((d, d), generator(2))


@pytest.mark.parametrize("widths", [(4, 3), (4, 5, 3), (4, 5, 6, 2, 3)])
def test_the_gradient_is_autograds_and_the_residual_the_product_minus_the_target(widths):
    shapes = zip(widths[1:], widths[:-1], strict=True)
    weights = [
        torch.randn(2, *shape, generator=generator(), dtype=torch.float64).requires_grad_()
        for shape in shapes
    ]
    goal = torch.randn(widths[-1], widths[0], generator=generator(3), dtype=torch.float64)
    loss = 0.5 * (ld.product(weights) - goal).square().sum()
    expected = torch.autograd.grad(loss, weights)
    found, residual = ld.gradient([weight.detach() for weight in weights], goal)
    assert torch.allclose(residual, ld.product(weights) - goal)
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-12)


def test_the_product_runs_from_the_last_to_the_first():
    a, b, c = (torch.randn(s, generator=generator(), dtype=torch.float64) for s in ((2, 3), (4, 2), (5, 4)))
    assert torch.allclose(ld.product([a, b, c]), c @ b @ a)


@pytest.mark.parametrize("depth", [2, 3, 6])
def test_a_decoupled_start_has_all_modes_at_the_same_strength_and_balanced_layers(depth):
    weights = ld.decoupled_start(target(), 0.2, depth, generator())
    u, _, vh = torch.linalg.svd(target())
    assert torch.allclose(
        u.T @ ld.product(weights) @ vh.T, 0.2 * torch.eye(5, dtype=torch.float64), atol=1e-12
    )
    for below, above in itertools.pairwise(weights):
        assert torch.allclose(below @ below.T, above.T @ above, atol=1e-12)


@pytest.mark.parametrize("depth", [2, 4])
def test_modes_follow_their_equation_under_small_steps(depth):
    weights, eta, steps = ld.decoupled_start(target(), 0.3, depth, generator()), 1e-3, 600
    for _ in range(steps):
        slopes, _ = ld.gradient(weights, target())
        weights = [weight - eta * slope for weight, slope in zip(weights, slopes, strict=True)]
    u, s, vh = torch.linalg.svd(target())
    found = (u.T @ ld.product(weights) @ vh.T).diagonal().numpy()
    expected = integrate.solve_ivp(
        lambda _, y: depth * y ** (2 - 2 / depth) * (s.numpy() - y),
        (0, eta * steps),
        np.full(5, 0.3),
        rtol=1e-9,
    ).y[:, -1]
    assert found == pytest.approx(expected, rel=5e-3)


def test_the_strength_of_a_mode_solves_the_logistic_equation():
    t, s, u0, tau, h = np.linspace(0, 5, 11), 1.4, 0.01, 1.7, 1e-6
    u = ld.mode_strength(t, s, u0, tau)
    assert u[0] == pytest.approx(u0)
    slope = (ld.mode_strength(t + h, s, u0, tau) - ld.mode_strength(t - h, s, u0, tau)) / (2 * h)
    assert tau * slope == pytest.approx(2 * u * (s - u), rel=1e-6)
    growth = np.exp(2 * s * t / tau)
    assert u == pytest.approx(s * growth / (growth - 1 + s / u0))


@pytest.mark.parametrize(("s", "start", "end"), [(1.0, 0.05, 0.9), (0.5, 1.0, 0.55)])
def test_the_time_of_a_mode_is_that_of_its_equation(s, start, end):
    assert ld.mode_strength(ld.mode_time(2, s, start, end) / 2, s, start) == pytest.approx(end)
    time = ld.mode_time(5, s, start, end)
    there = integrate.solve_ivp(lambda _, u: u ** (2 - 2 / 5) * (s - u), (0, time), [start], rtol=1e-10).y[
        0, -1
    ]
    assert there == pytest.approx(end, rel=1e-4)


def test_the_time_of_a_mode_has_a_limit_in_depth():
    limit = integrate.quad(lambda u: 1 / (u**2 * (1 - u)), 0.3, 0.9)[0]
    assert ld.mode_time(10**6, 1.0, 0.3, 0.9) == pytest.approx(limit, rel=1e-4)
    assert ld.mode_time(40, 1.0, 0.3, 0.9) < limit


@pytest.mark.parametrize(("start", "end"), [(0.5, 1.0), (0.5, 0.4), (0.0, 0.5), (2.0, 0.5)])
def test_a_mode_that_does_not_lead_there_is_refused(start, end):
    with pytest.raises(ValueError, match="does not go from"):
        ld.mode_time(3, 1.0, start, end)


def test_the_fewest_steps_are_those_of_the_best_step_size_run_alone():
    starts = [orthogonal()((4, 4), generator(seed)) for seed in range(6)]
    weights = [torch.stack(starts[:2]), torch.stack(starts[2:4])]
    goals = torch.stack([0.5 * start + torch.eye(4) for start in starts[4:]])
    rates = torch.tensor([0.01, 0.1, 0.3, 40.0])
    found = ld.fewest_steps(weights, goals, rates, tolerance=0.05, most=300)
    for m in range(2):
        counts = []
        for rate in rates:
            now = [weight[m].clone() for weight in weights]
            for step in range(301):
                slopes, residual = ld.gradient(now, goals[m])
                if residual.square().sum() <= 0.05 * goals[m].square().sum():
                    counts.append(step)
                    break
                now = [weight - rate * slope for weight, slope in zip(now, slopes, strict=True)]
        assert found[m].item() == min(counts)


def test_a_fit_that_needs_more_steps_is_infinite_and_one_at_the_start_takes_none():
    goal = torch.eye(3, dtype=torch.float64).unsqueeze(0)
    weights, rates = [goal.clone(), goal.clone()], torch.tensor([0.1])
    assert ld.fewest_steps(weights, goal, rates, tolerance=0.01, most=5).tolist() == [0]
    assert ld.fewest_steps(weights, -goal, rates, tolerance=0.01, most=5).isinf().all()
