import math

import numpy as np
import pytest
import torch

from dlopt.landscape import tensor_initialization as ti
from dlopt.landscape.dictionary_learning import random_rotations
from dlopt.landscape.student_teacher import distance_to_teacher, outputs
from dlopt.landscape.tensor_power import symmetric_tensor

pytestmark = pytest.mark.usefixtures("on_the_cpu")


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def inputs() -> torch.Tensor:
    return normal(200_000, 3, seed=1)


@pytest.fixture(scope="module")
def grid() -> tuple[torch.Tensor, torch.Tensor]:
    """Gauss-Hermite points in three dimensions, and weights by which a mean over them is an exact expectation."""
    nodes, weights = (torch.from_numpy(part) for part in np.polynomial.hermite_e.hermegauss(10))
    points = torch.cartesian_prod(nodes, nodes, nodes)
    shares = torch.cartesian_prod(weights, weights, weights).prod(dim=-1)
    return points, shares / shares.mean()


def test_hermite_moments_vanish_for_polynomials_of_lower_degree(grid):
    x, share = grid
    linear, quadratic = 2 * x[:, 2] - 1, x[:, 0] * x[:, 1] + 2 * x[:, 2] ** 2 - 1
    cubic = x[:, 0] ** 3 - x[:, 2] * x[:, 1]
    alpha = torch.tensor([1.0, 0.5, -0.5]).double()
    assert ti.second_moment(x, linear * share).abs().max() < 1e-9
    assert ti.third_moment(x, quadratic * share).abs().max() < 1e-9
    assert ti.fourth_moment_along(x, cubic * share, alpha).abs().max() < 1e-9


def test_of_monomials_they_are_the_derivatives(grid):
    x, share = grid
    second = ti.second_moment(x, x[:, 0] ** 2 * share)
    third = ti.third_moment(x, x[:, 0] ** 2 * x[:, 1] * share)
    fourth = ti.fourth_moment_along(x, x[:, 0] ** 3 * x[:, 1] * share, torch.tensor([1.0, 2.0, 0.0]).double())
    assert second[0, 0].item() == pytest.approx(2)
    assert [third[0, 0, 1].item(), third[1, 0, 0].item(), third[0, 1, 0].item()] == pytest.approx([2, 2, 2])
    assert [fourth[0, 0, 1].item(), fourth[0, 0, 0].item()] == pytest.approx([6, 12])
    assert second.abs().sum() + third.abs().sum() == pytest.approx(8)


def test_a_relu_with_bias_has_the_strength_of_the_formula_and_without_bias_none(inputs):
    a = torch.tensor([[0.6, 0.8, 0.0]]).double()
    for bias in (-1.0, 0.0, 0.7):
        strength = -bias * math.exp(-(bias**2) / 2) / math.sqrt(2 * math.pi)
        tensor = ti.third_moment(inputs, torch.relu(inputs @ a[0] + bias))
        expected = symmetric_tensor(a, torch.tensor([strength]).double())
        assert (tensor - expected).abs().max() < 0.03


def test_directions_of_exact_moments_are_exact_whatever_the_signs():
    a = torch.nn.functional.normalize(normal(3, 5, seed=2), dim=-1)
    second = -(a.T * torch.tensor([1.0, 0.5, 2.0]).double()) @ a
    third = symmetric_tensor(a, torch.tensor([1.0, -2.0, 0.3]).double())
    found = ti.directions(second, third, 3, seed=3)
    assert (found @ a.T).abs().amax(dim=0).min() > 1 - 1e-9


def test_scales_turn_directions_into_weights(inputs):
    weights = torch.tensor([[2.0, 0.0, 0.0], [0.0, -1.0, 0.5]]).double()
    found = -torch.nn.functional.normalize(weights, dim=-1)
    scales = ti.weight_scales(inputs, outputs(inputs, weights), found)
    torch.testing.assert_close(scales[:, None] * found, weights, atol=0.03, rtol=0)


def test_the_initialization_is_close_to_the_teacher():
    teacher = random_rotations(1, 6, seed=4)[0][:2]
    inputs = normal(100_000, 6, seed=5)
    guess = ti.tensor_initialization(inputs, outputs(inputs, teacher), 2, seed=6)
    assert distance_to_teacher(guess, teacher) < 0.4
