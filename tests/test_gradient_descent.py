"""Gradient descent from many starts, its step-size rules, and the notions of convergence."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import line_search, minimize

from dlopt.algorithms import convergence, objectives
from dlopt.algorithms.gradient_descent import (
    armijo,
    constant,
    descend,
    gradient_of,
    one_over_local_constant,
    quadratic_upper_bound,
    scheduled,
)
from dlopt.algorithms.lipschitz import cosine_sum_constant, hessian_norm

DOUBLE = torch.float64


def draws(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rosenbrock(points):
    x, y = points[..., 0], points[..., 1]
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def random_smooth(seed: int, dimension: int = 3, terms: int = 5):
    """A random non-convex F ≥ 0 and a bound of its Hessian on the whole space."""
    draw = draws(seed)
    amplitudes = 0.1 + torch.rand(terms, generator=draw, dtype=DOUBLE)
    frequencies = torch.randn(terms, dimension, generator=draw, dtype=DOUBLE)
    phases = 7 * torch.rand(terms, generator=draw, dtype=DOUBLE)
    function = objectives.cosine_sum(amplitudes, frequencies, phases)
    return function, float(cosine_sum_constant(amplitudes, frequencies))


def test_a_run_is_torchs_sgd_step_by_step():
    start = torch.tensor([[-1.2, 1.0]], dtype=DOUBLE)
    run = descend(rosenbrock, start, 1e-3, 50)
    leaf = start.clone().requires_grad_()
    optimizer = torch.optim.SGD([leaf], lr=1e-3)
    for t in range(51):
        torch.testing.assert_close(run.points[t], leaf.detach(), rtol=1e-12, atol=0)
        optimizer.zero_grad()
        rosenbrock(leaf).sum().backward()
        optimizer.step()


def test_a_batch_of_starts_is_each_start_alone():
    starts = torch.randn(6, 2, generator=draws(1), dtype=DOUBLE)
    sizes = torch.logspace(-4, -2.9, 6, dtype=DOUBLE)
    together = descend(rosenbrock, starts, sizes, 40)
    for index in range(6):
        alone = descend(rosenbrock, starts[index], float(sizes[index]), 40)
        torch.testing.assert_close(together.points[:, index], alone.points[:, 0])
        torch.testing.assert_close(together.values[:, index], alone.values[:, 0])


def test_a_start_that_diverges_is_frozen_and_reported_while_the_others_go_on():
    starts = torch.tensor([[1.0], [1.0]], dtype=DOUBLE)
    run = descend(lambda p: 0.5 * p[:, 0] ** 2, starts, torch.tensor([0.5, 3.0]), 100, limit=1e6)
    assert run.diverged.tolist() == [False, True]
    assert run.taken.tolist() == [100, 19]  # 2^20 > 10^6
    assert run.points[-1, 1].item() == -(2.0**19)
    assert run.points[-1, 0].item() == pytest.approx(0.5**100)
    assert run.never_rises.tolist() == [True, False]


def test_a_value_that_is_no_number_counts_as_divergence():
    run = descend(lambda p: p[:, 0].sqrt(), torch.tensor([[1.0], [100.0]], dtype=DOUBLE), 3.0, 5)
    assert run.diverged.tolist() == [True, False]
    assert run.points.isfinite().all()


def test_a_start_that_has_arrived_is_frozen():
    run = descend(
        lambda p: 0.5 * p[:, 0] ** 2, torch.tensor([[1.0], [0.0]], dtype=DOUBLE), 0.5, 99, tolerance=1e-3
    )
    assert run.taken.tolist() == [10, 0]
    assert run.steps[-1] == 10
    assert not run.diverged.any()


def test_recorded_iterations_include_the_first_the_last_and_the_wanted():
    start = torch.ones(1, 1, dtype=DOUBLE)
    square = lambda p: p[:, 0] ** 2  # noqa: E731
    assert descend(square, start, 0.1, 10, every=4).steps.tolist() == [0, 4, 8, 10]
    assert descend(square, start, 0.1, 10, every=[3, 7]).steps.tolist() == [0, 3, 7, 10]


def test_the_length_of_the_path_is_the_sum_of_its_steps():
    run = descend(rosenbrock, torch.randn(3, 2, generator=draws(2), dtype=DOUBLE), 1e-3, 30)
    steps = run.points.diff(dim=0).norm(dim=-1)
    torch.testing.assert_close(run.lengths[1:], steps.cumsum(dim=0))
    torch.testing.assert_close(steps, run.step_sizes[:-1] * run.gradient_norms[:-1])


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="shape"):
        descend(rosenbrock, torch.zeros(2, 2, 2), 0.1, 5)
    with pytest.raises(ValueError, match="backward"):
        descend(rosenbrock, torch.zeros(1, 2), 0.1, -1)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), factor=st.floats(0.05, 1.95))
def test_below_two_over_beta_random_smooth_functions_never_rise(seed, factor):
    """And the squared gradients keep the budget η(1 − βη/2) Σ ‖∇F‖² ≤ F(θ_0) − F(θ_T)."""
    function, beta = random_smooth(seed)
    run = descend(function, torch.randn(8, 3, generator=draws(seed + 1), dtype=DOUBLE), factor / beta, 40)
    spent = factor / beta * (1 - factor / 2) * run.gradient_norms[:-1].square().sum(dim=0)
    assert run.never_rises.all()
    assert (spent <= run.values[0] - run.values[-1] + 1e-10).all()


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), factor=st.floats(2.05, 3.0))
def test_above_two_over_the_curvature_a_minimizer_of_a_random_smooth_function_repels(seed, factor):
    """Near a minimizer with largest curvature λ, a step above 2/λ goes up from a point on the steepest axis."""
    function, beta = random_smooth(seed)
    start = torch.randn(1, 3, generator=draws(seed + 1), dtype=DOUBLE)
    minimizer = descend(function, start, armijo(4 / beta), 20_000, tolerance=1e-7).points[-1]
    hessian = torch.func.hessian(lambda p: function(p[None])[0])(minimizer[0])
    eigenvalues, axes = torch.linalg.eigh(hessian)
    assume(eigenvalues[-1] > 0.05 * beta)
    near = minimizer + 1e-4 * axes[:, -1]
    run = descend(function, near, factor / float(eigenvalues[-1]), 1)
    assert run.values[1] > run.values[0]


@settings(max_examples=25)
@given(curvatures=st.lists(st.floats(0.1, 100), min_size=1, max_size=4), share=st.floats(0.02, 2.5))
def test_on_a_quadratic_the_threshold_is_exact(curvatures, share):
    h = torch.tensor(curvatures, dtype=DOUBLE)
    run = descend(
        lambda p: 0.5 * (h * p**2).sum(dim=-1), torch.ones(1, len(h), dtype=DOUBLE), share / max(h), 30
    )
    top = run.points[:, 0, int(h.argmax())].abs()
    if share < 1.999:
        assert run.never_rises.all()
        assert top[-1] < top[0]
    elif share > 2.001:
        assert top[-1] > top[0]


def test_armijo_takes_the_first_power_of_the_factor_that_decreases_enough():
    points = torch.randn(20, 2, generator=draws(3), dtype=DOUBLE)
    slopes = gradient_of(rosenbrock)(points)
    eta = armijo(initial=1.0, shrink=0.5, decrease=0.3)(0, rosenbrock, points, slopes)
    squared = slopes.square().sum(dim=1)

    def enough(step):
        return rosenbrock(points - step[:, None] * slopes) <= rosenbrock(points) - 0.3 * step * squared

    assert enough(eta).all()
    assert not enough(2 * eta)[eta < 1].any()
    assert (eta.log2() == eta.log2().round()).all()


def test_armijo_gives_up_with_step_zero_where_no_trial_is_accepted():
    rule = armijo(trials=3)
    uphill = -torch.ones(1, 1, dtype=DOUBLE)  # pretends that the slope points the other way
    assert rule(0, lambda p: p[:, 0] ** 2, torch.ones(1, 1, dtype=DOUBLE), uphill).item() == 0


def test_every_step_of_the_halving_search_satisfies_scipys_condition_and_finds_scipys_minimizer():
    start = torch.tensor([[0.3, 0.2]], dtype=DOUBLE)

    def bowl(points):
        return (points[..., 0] ** 2 + 2 * points[..., 1] ** 2 + 0.5 * points[..., 0] * points[..., 1]).exp()

    run = descend(bowl, start, armijo(), 500, tolerance=1e-9)
    found = minimize(lambda x: float(bowl(torch.from_numpy(x))), start[0].numpy(), method="BFGS").x
    np.testing.assert_allclose(run.points[-1, 0].numpy(), found, atol=1e-4)
    single = lambda x: float(bowl(torch.from_numpy(x)))  # noqa: E731
    slope = lambda x: gradient_of(bowl)(torch.from_numpy(x)[None])[0].numpy()  # noqa: E731
    for t in range(3):
        x = run.points[t, 0].numpy()
        assert line_search(single, slope, x, -slope(x), c1=1e-4)[0] is not None
        eta = float(run.step_sizes[t, 0])
        assert single(x - eta * slope(x)) <= single(x) - 1e-4 * eta * slope(x) @ slope(x)


def test_rules_give_what_they_say():
    points = torch.tensor([[2.0], [0.5]], dtype=DOUBLE)
    arguments = (3, objectives.seventh_power, points, points)
    assert constant(0.25)(*arguments).item() == 0.25
    assert scheduled(lambda t: 1 / (t + 1))(*arguments).item() == 0.25
    rule = one_over_local_constant(lambda p: p[:, 0], cap=1.0)
    assert rule(*arguments).tolist() == [0.5, 1.0]


def test_the_minimizer_of_the_upper_bound_is_one_step():
    centers = torch.randn(4, 2, generator=draws(5), dtype=DOUBLE)
    bound = quadratic_upper_bound(rosenbrock, centers, 7.0)
    torch.testing.assert_close(bound(centers[None])[0], rosenbrock(centers))
    step = descend(rosenbrock, centers, 1 / 7, 1).points[1]
    torch.testing.assert_close(gradient_of(bound)(step[None])[0], torch.zeros_like(step), rtol=0, atol=1e-10)


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_the_parabola_of_a_valid_constant_lies_above_the_function(seed):
    function, beta = random_smooth(seed)
    draw = draws(seed + 2)
    centers, elsewhere = 3 * torch.randn(2, 30, 3, generator=draw, dtype=DOUBLE)
    bound = quadratic_upper_bound(function, centers, beta)
    assert (bound(elsewhere[:, None]) >= function(elsewhere)[:, None] - 1e-9).all()


def test_gradients_written_by_hand_are_autograds():
    draw = draws(6)
    line = torch.randn(7, 1, generator=draw, dtype=DOUBLE)
    plane = 2 * torch.randn(7, 2, generator=draw, dtype=DOUBLE)
    examples = torch.randn(5, 2, generator=draw, dtype=DOUBLE)
    network = objectives.TanhNetwork(examples, torch.randn(5, generator=draw, dtype=DOUBLE), 3)
    valley = objectives.SpiralValley()
    logistic = objectives.separable_logistic_gradient(examples)
    for function, gradient, points in (
        (objectives.seventh_power, objectives.seventh_power_gradient, line),
        (objectives.one_minus_sixth_power, objectives.one_minus_sixth_power_gradient, line),
        (objectives.separable_logistic(examples), logistic, plane),
        (valley, valley.gradient, plane),
        (network, network.gradient, torch.randn(7, network.size, generator=draw, dtype=DOUBLE)),
    ):
        torch.testing.assert_close(gradient(points), gradient_of(function)(points))


def test_the_network_is_the_books_network():
    from dlopt.models import FullyConnected

    draw = draws(7)
    inputs, targets = (
        torch.randn(6, 3, generator=draw, dtype=DOUBLE),
        torch.randn(6, 2, generator=draw, dtype=DOUBLE),
    )
    model = FullyConnected([3, 4, 2], activation="relu", dtype=DOUBLE)
    flat = torch.cat([weight.detach().flatten() for weight in model.weights])[None]
    ours = objectives.fully_connected_loss(inputs, targets, (3, 4, 2))(flat)
    theirs = (model(inputs) - targets).square().sum(dim=-1).mean()
    assert ours.item() == pytest.approx(theirs.item())


def test_on_the_floor_of_the_valley_the_course_is_steady():
    """φ + c ln ρ does not change to first order: the flow runs along the floor, up to terms of order ρ²."""
    valley = objectives.SpiralValley()
    rho = torch.tensor([1e-3], dtype=DOUBLE)
    point = valley.floor(rho)
    assert point.norm().item() == pytest.approx(1 + 1e-3)
    radial = (valley.gradient(point) * point).sum() / point.norm()
    assert abs(radial) < 1e-6 * valley.gradient(point).norm() / rho


def test_the_escaping_function_has_the_values_slopes_and_curvatures_it_was_built_from():
    escape = objectives.Escape()
    t = torch.arange(2.0, 40.0, dtype=DOUBLE)[:, None]
    root = (t**2 + 4).sqrt()
    torch.testing.assert_close(escape(t), (root - t)[:, 0])
    torch.testing.assert_close(gradient_of(escape)(t), -(t**2))
    torch.testing.assert_close(escape.curvature(t), t[:, 0] ** 2)
    fine = torch.linspace(-5, 30, 2_000_001, dtype=DOUBLE)[:, None]
    assert escape(fine).min() > 0


def test_the_hat_vanishes_smoothly_at_its_brim():
    angles = torch.linspace(0, 6, 20, dtype=DOUBLE)
    for radius in (0.99, 1.0, 1.2):
        ring = radius * torch.stack([angles.cos(), angles.sin()], dim=1)
        assert objectives.mexican_hat(ring).abs().max() < 1e-20
        assert gradient_of(objectives.mexican_hat)(ring).norm(dim=1).max() < 1e-16


def run_of(step, begin=1.0, steps=3000):
    start = torch.full((2, 1), begin, dtype=DOUBLE)
    return descend(lambda p: 0.5 * p[:, 0] ** 2, start, step, steps, gradient=lambda p: p)


@pytest.mark.parametrize(
    ("step", "met"),
    [
        (0.5, (True, True, True, True, True)),
        (2.0, (False, False, True, False, True)),
        (2.5, (True, False, False, False, False)),
    ],
)
def test_the_notions_of_convergence_tell_three_step_sizes_apart(step, met):
    notions = convergence.notions_of_convergence(run_of(step)).unanimous()
    assert tuple(notions.values()) == met


def test_starts_that_disagree_are_not_summed_up():
    run = descend(
        lambda p: 0.5 * p[:, 0] ** 2, torch.ones(2, 1, dtype=DOUBLE), torch.tensor([0.5, 2.5]), 3000
    )
    with pytest.raises(ValueError, match="disagree"):
        convergence.notions_of_convergence(run).unanimous()


def test_the_lojasiewicz_exponent_of_a_power_is_what_calculus_says():
    """F = |w|^k: |F'| = k |w|^{k−1} ∝ F^{1 − 1/k}."""
    for k in (2, 4, 8):
        run = descend(lambda p, k=k: p[:, 0] ** k, torch.ones(1, 1, dtype=DOUBLE), 0.05, 2000)
        exponent = convergence.lojasiewicz_exponent(run, 0.0, 1e-300, 1.0)
        assert exponent.item() == pytest.approx(1 - 1 / k, abs=1e-6)


def test_recorded_steps_are_dense_on_a_logarithmic_axis_and_come_in_pairs():
    times = convergence.geometric_steps(10_000)
    assert times[0] == 1
    assert times[-1] < 10_000
    ratios = np.diff(np.log10(times))
    assert ratios.max() <= math.log10(2) + 1e-9
    assert {1, 2, 100, 101, 1000, 1001} <= set(times)


def test_gradient_descent_takes_the_largest_safe_step_at_the_sharpest_point():
    """The constant used in the tests above is not only a bound: for one term it is attained."""
    one = torch.ones(1, dtype=DOUBLE)
    function = objectives.cosine_sum(one, torch.tensor([[3.0, 4.0]], dtype=DOUBLE), 0 * one)
    assert hessian_norm(function, torch.zeros(1, 2, dtype=DOUBLE)).item() == pytest.approx(25.0)
