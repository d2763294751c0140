"""Verdicts on critical points, also in cases that are built to fool them."""

import pytest
import torch

from dlopt.landscape.certificates import certify, perturbation_test, polish

ORIGIN = torch.zeros(2, dtype=torch.float64)


def valley(x: torch.Tensor) -> torch.Tensor:
    """(y - x²)(y - 3x²): a strict minimum along every straight line through 0, and no minimum."""
    return (x[..., 1] - x[..., 0] ** 2) * (x[..., 1] - 3 * x[..., 0] ** 2)


@pytest.mark.parametrize(
    ("loss", "verdict"),
    [
        (lambda x: 1 + x[0] ** 2 + 3 * x[1] ** 2, "strict minimum"),
        (lambda x: x[0] ** 2 - 1e-6 * x[1] ** 2, "saddle"),
        (lambda x: -(x**2).sum(), "saddle"),
        (lambda x: x[0] ** 2 + x[1] ** 4, "degenerate"),
        (lambda x: x[0] ** 2 - x[1] ** 4, "degenerate"),
        (valley, "degenerate"),
        (lambda x: (x**2).sum() + 1e-3 * x[0], "not critical"),
    ],
)
def test_derivatives_decide_what_they_can_and_leave_the_rest_open(loss, verdict):
    assert certify(loss, ORIGIN).verdict == verdict


def test_a_certificate_holds_the_loss_the_gradient_and_the_extreme_eigenvalues():
    found = certify(lambda x: 5 + x[0] ** 2 + 3 * x[1] ** 2 + 0.1 * x[1], ORIGIN, tolerance=1.0)
    assert (found.loss, found.gradient_norm) == (pytest.approx(5), pytest.approx(0.1))
    assert (found.smallest, found.largest) == (pytest.approx(2), pytest.approx(6))
    assert found.distance == pytest.approx(0.1)
    assert found.lipschitz_allowed == pytest.approx(20)


def test_the_exact_minimum_is_within_the_distance_of_the_certificate():
    def loss(x: torch.Tensor) -> torch.Tensor:
        return torch.cosh(x[0] - 1) + (x[1] + 2) ** 2 + 0.1 * x[0] * x[1]

    exact = polish(loss, torch.tensor([1.0, -2.0], dtype=torch.float64), steps=8)
    near = exact + 1e-4
    assert certify(loss, exact).gradient_norm < 1e-14
    assert float((near - exact).norm()) <= certify(loss, near, tolerance=1.0).distance


def test_newtons_steps_go_to_the_saddle_that_is_next_to_them():
    end = polish(lambda x: x[0] ** 2 - x[1] ** 2 + x[1] ** 4, ORIGIN + 0.1, steps=6)
    torch.testing.assert_close(end, ORIGIN, rtol=0, atol=1e-14)


def test_random_directions_find_a_wide_way_down_and_miss_a_narrow_one_in_many_dimensions():
    def losses(points: torch.Tensor) -> torch.Tensor:
        return (points[:, 1:] ** 2).sum(dim=-1) - 0.1 * points[:, 0] ** 2

    plane, space = ORIGIN, torch.zeros(200, dtype=torch.float64)
    assert perturbation_test(losses, plane, [0.1, 1.0], 500, 0).min() > 0
    assert perturbation_test(losses, space, [0.1, 1.0], 500, 0).max() < 0
    assert certify(lambda x: losses(x.unsqueeze(0))[0], space).verdict == "saddle"


def test_each_radius_has_its_own_largest_decrease():
    decrease = perturbation_test(lambda x: -(x**2).sum(dim=-1), ORIGIN, [0.5, 2.0], 3, 1)
    torch.testing.assert_close(decrease, torch.tensor([0.25, 4.0], dtype=torch.float64))


def test_a_point_is_one_vector():
    with pytest.raises(ValueError, match="one vector"):
        certify(lambda x: x.sum(), torch.zeros(2, 2))
