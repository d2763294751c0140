"""Critical points found by minimizing the gradient's length, on functions where they are known."""

import pytest
import torch
from torch.func import grad

from dlopt.landscape.critical_points import GradientEquations, find_critical_points


def two_wells(p):
    """Minima at (±1, 0) with value 0, a saddle at the origin with value 1."""
    return (p[0] ** 2 - 1) ** 2 + p[1] ** 2


@pytest.fixture
def starts():
    return torch.randn(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_the_equations_are_the_gradient_and_the_hessian():
    p = torch.tensor([[0.5, 2.0]], dtype=torch.float64)
    equations = GradientEquations(two_wells)
    torch.testing.assert_close(equations.residual(p)[0], grad(two_wells)(p[0]))
    expected = torch.tensor([[12 * 0.25 - 4, 0.0], [0.0, 2.0]], dtype=torch.float64)
    torch.testing.assert_close(equations.jacobian(p)[0], expected)


def test_the_minima_and_the_saddle_between_them_are_found_with_their_index(starts):
    found = find_critical_points(two_wells, starts)
    critical = found.gradient_norms < 1e-8
    saddle = critical & (found.points[:, 0].abs() < 0.5)
    assert saddle.any()
    assert (critical & ~saddle).any()
    assert (found.index()[saddle] == 0.5).all()
    assert (found.index()[critical & ~saddle] == 0).all()
    torch.testing.assert_close(found.values[saddle], torch.ones_like(found.values[saddle]))


def test_a_gradient_flat_point_is_no_critical_point():
    """x³/3 + x has no critical point; |F'| = x² + 1 is smallest at 0, where F'' = 0."""
    found = find_critical_points(lambda p: p[0] ** 3 / 3 + p[0], torch.tensor([[0.7]], dtype=torch.float64))
    assert found.gradient_norms[0] > 0.99
    assert found.flatness[0] < 1e-3


def test_starts_that_are_done_stay_where_they_are(starts):
    once = find_critical_points(two_wells, starts, rounds=1)
    again = find_critical_points(two_wells, starts, rounds=3)
    done = once.gradient_norms < 1e-8
    assert done.any()
    assert torch.equal(once.points[done], again.points[done])


def test_the_starts_are_left_alone(starts):
    before = starts.clone()
    find_critical_points(two_wells, starts, rounds=1)
    assert torch.equal(before, starts)
