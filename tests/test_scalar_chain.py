"""The scalar chain: (13) and (14), its flow, its box, and clipping."""

from __future__ import annotations

import functools
import operator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import integrate

from dlopt import runtime
from dlopt.tricks import scalar_chain as chain

weights = arrays.arrays(float, st.integers(2, 9), elements=st.floats(-1.5, 1.5))


def random_weights(*shape: int, seed: int = 0) -> np.ndarray:
    return runtime.numpy_generator(seed).uniform(-1.5, 1.5, shape)


@given(weights)
def test_the_gradient_is_that_of_torch(w):
    x = torch.tensor(w, requires_grad=True)
    product = functools.reduce(
        operator.mul, x
    )  # the derivative of x.prod() divides by the weights: it underflows
    (0.5 * (product - 1) ** 2).backward()
    np.testing.assert_allclose(chain.gradient(w), x.grad.numpy(), atol=1e-12)


@given(weights)
def test_weight_times_partial_derivative_is_the_same_for_every_weight(w):
    products = w * chain.gradient(w)
    np.testing.assert_allclose(products, products[0], atol=1e-12)


def test_the_hessian_is_that_of_torch():
    w = random_weights(6)
    expected = torch.func.hessian(lambda x: 0.5 * (x.prod() - 1) ** 2)(torch.tensor(w))
    np.testing.assert_allclose(chain.hessian(w), expected.numpy(), atol=1e-12)


def test_many_points_at_once_are_each_point_by_itself():
    w = random_weights(4, 3, 5)
    assert chain.loss(w).shape == (4, 3)
    for function in (chain.loss, chain.gradient, chain.hessian):
        np.testing.assert_allclose(function(w)[2, 1], function(w[2, 1]))


def test_leaving_one_out_divides_by_no_weight():
    np.testing.assert_array_equal(chain.leave_one_out([0.0, 2.0, 3.0]), [6, 0, 0])
    np.testing.assert_array_equal(chain.leave_one_out([0.0, 0.0, 3.0]), [0, 0, 0])


def test_another_target_moves_the_error():
    np.testing.assert_allclose(chain.gradient([2.0, 3.0], 5.0), [3, 2])
    np.testing.assert_allclose(
        chain.hessian([2.0, 3.0], 5.0), torch.func.hessian(lambda x: 0.5 * (x.prod() - 5) ** 2)(
            torch.tensor([2.0, 3.0])
        )
    )  # fmt: skip


@pytest.mark.parametrize("depth", [2, 3, 7, 8])
def test_slope_and_curvature_of_the_shared_weight_are_derivatives(depth):
    w = np.linspace(-1.3, 1.3, 31)
    h = 1e-6
    slope = (chain.shared_loss(w + h, depth) - chain.shared_loss(w - h, depth)) / (2 * h)
    curvature = (chain.shared_slope(w + h, depth) - chain.shared_slope(w - h, depth)) / (2 * h)
    np.testing.assert_allclose(chain.shared_slope(w, depth), slope, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(chain.shared_curvature(w, depth), curvature, rtol=1e-6, atol=1e-4)


def test_the_shared_weight_loss_is_twice_the_chain_with_equal_weights():
    w = 0.9
    assert chain.shared_loss(w, 7) == pytest.approx(2 * chain.loss([w] * 7))
    assert chain.shared_slope(w, 7) == pytest.approx(2 * chain.gradient([w] * 7).sum())


@pytest.mark.parametrize("depth", [2, 3, 5, 6])
def test_the_flow_time_is_that_of_a_numerical_integrator(depth):
    start = -1 + 0.3 * runtime.numpy_generator(3).standard_normal(depth)

    def arrived(t, w):
        return chain.loss(w) - 1e-3

    arrived.terminal = True
    run = integrate.solve_ivp(
        lambda t, w: -chain.gradient(w),
        (0, 1e6),
        start,
        events=arrived,
        method="LSODA",
        rtol=1e-10,
        atol=1e-12,
    )
    assert chain.flow_time(start[None])[0] == pytest.approx(run.t_events[0][0], rel=1e-4)


def test_small_steps_take_as_long_as_the_flow():
    starts = -1 + 0.2 * runtime.numpy_generator(0).standard_normal((6, 3))
    eta = 1e-3
    steps = chain.first_passage(starts, eta, most=200_000)
    np.testing.assert_allclose(steps * eta, chain.flow_time(starts), rtol=0.01)


def test_the_flow_never_arrives_when_the_smallest_weights_tie_on_the_wrong_side():
    assert chain.flow_time([[-1.0, -1.0, -1.0]])[0] == np.inf
    assert chain.flow_time([[1.0, 1.0, 1.0]])[0] == 0
    assert np.isfinite(chain.flow_time([[0.5, 0.5, 0.7]])[0])
    assert np.isnan(chain.flow_time([[2.0, 2.0, 2.0]])[0])


def test_a_start_that_diverges_or_is_too_slow_has_no_passage():
    passage = chain.first_passage([[1.0, 1.0], [9.0, 9.0], [1e-9, 1e-9]], 0.5, most=20)
    assert passage.tolist() == [0, np.inf, np.inf]


def test_every_start_may_have_its_own_step_and_target():
    starts = np.full((3, 4), 0.9)
    together = chain.first_passage(starts, [0.01, 0.1, 0.1], target=[1.0, 1.0, 0.5])
    alone = [
        chain.first_passage(starts[:1], eta, target=y)[0] for eta, y in ((0.01, 1), (0.1, 1), (0.1, 0.5))
    ]
    assert together.tolist() == alone


@given(arrays.arrays(float, st.integers(1, 8), elements=st.floats(-1e3, 1e3)), st.floats(1e-2, 1e3))
def test_clipping_by_norm_shortens_and_keeps_the_direction(g, threshold):
    clipped = chain.clip_by_norm(g, threshold)
    assert np.linalg.norm(clipped) <= threshold * (1 + 1e-12)
    norm = np.linalg.norm(g)
    if norm <= threshold:
        np.testing.assert_allclose(clipped, g)
    else:
        np.testing.assert_allclose(clipped * norm, g * threshold, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("threshold", [0.5, 100.0])
def test_clipping_is_that_of_torch(threshold):
    g = 3 * runtime.numpy_generator(1).standard_normal(12)
    for ours, theirs in (
        (chain.clip_by_norm, torch.nn.utils.clip_grad_norm_),
        (chain.clip_by_value, torch.nn.utils.clip_grad_value_),
    ):
        parts = [torch.nn.Parameter(torch.zeros(n, dtype=torch.float64)) for n in (5, 7)]
        for part, values in zip(parts, np.split(g, [5]), strict=True):
            part.grad = torch.tensor(values)
        theirs(parts, threshold)
        clipped = torch.cat([part.grad for part in parts]).numpy()
        np.testing.assert_allclose(ours(g, threshold), clipped, rtol=1e-6)


def test_a_zero_gradient_stays_zero_and_a_threshold_must_be_positive():
    np.testing.assert_array_equal(chain.clip_by_norm(np.zeros(3), 1.0), np.zeros(3))
    with pytest.raises(ValueError, match="positive"):
        chain.clip_by_norm(np.ones(3), 0.0)
    with pytest.raises(ValueError, match="positive"):
        chain.clip_by_value(np.ones(3), -1.0)


@pytest.mark.parametrize(("depth", "half_width"), [(2, 1.0), (5, 2.0), (12, 3.0)])
def test_the_share_of_the_box_agrees_with_random_points(depth, half_width):
    w = runtime.numpy_generator(2).uniform(-half_width, half_width, (200_000, depth))
    partial = np.abs(chain.gradient(w)[:, 0])
    share = np.mean((partial > 0.01) & (partial < 100))
    exact = chain.moderate_fraction(depth, half_width, 0.01, 100.0)
    assert abs(share - exact) < 5 * np.sqrt(exact * (1 - exact) / len(w)) + 1e-4


def test_shares_of_the_box_add_up_and_bad_bounds_are_refused():
    parts = [chain.moderate_fraction(8, 2.0, *b) for b in ((0, 0.01), (0.01, 100), (100, np.inf))]
    assert sum(parts) == pytest.approx(1, abs=1e-9)
    with pytest.raises(ValueError, match="bounds"):
        chain.moderate_fraction(8, 2.0, 1.0, 0.5)
