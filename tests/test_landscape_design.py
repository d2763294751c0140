"""Losses designed to have no bad local minima."""

from __future__ import annotations

import math

import torch

from dlopt import runtime
from dlopt.landscape import landscape_design as design


def random_tensor(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=runtime.generator(seed), dtype=torch.float64)


def density(x: torch.Tensor, means: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    return (shares * torch.exp(-(x - means).square().sum(dim=-1) / 2)).sum()


def test_the_score_is_the_fourth_derivative_of_the_density_over_it():
    means, shares = random_tensor(2, 2, seed=0), torch.tensor([0.3, 0.7], dtype=torch.float64)
    x = random_tensor(2, seed=1)
    derivative = lambda point: density(point, means, shares)  # noqa: E731
    for _ in range(4):
        derivative = torch.func.jacrev(derivative)
    expected = derivative(x) / density(x, means, shares)
    score = design.score_tensor(x[None], torch.ones(1, dtype=torch.float64), means, shares)
    torch.testing.assert_close(score, expected)


def test_steins_identity_holds_for_relu_on_gaussian_inputs_by_monte_carlo():
    teacher = torch.linalg.qr(random_tensor(3, 3, seed=2)).Q[:2]
    inputs = random_tensor(400_000, 3, seed=3)
    targets = design.without_quadratic(inputs, torch.relu(inputs @ teacher.T).sum(dim=-1))
    origin, one = torch.zeros(1, 3).to(inputs), torch.ones(1).to(inputs)
    measured = design.score_tensor(inputs, targets, origin, one)
    expected = design.power_tensor(teacher, torch.full((2,), -1 / math.sqrt(2 * math.pi)).to(inputs))
    assert (measured - expected).abs().max() < 0.05


def test_the_shares_of_the_components_add_up_to_one():
    inputs, means = random_tensor(10, 2, seed=4), random_tensor(3, 2, seed=5)
    shares = design.mixture_density(inputs, means, torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64))
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(10, dtype=torch.float64))


def test_removing_the_quadratic_part_leaves_nothing_of_a_quadratic():
    inputs = random_tensor(50, 3, seed=6)
    assert (
        design.without_quadratic(inputs, 1 + inputs[:, 0] - inputs[:, 1] * inputs[:, 2]).abs().max() < 1e-10
    )


def test_the_gradient_is_autograds():
    tensor = design.power_tensor(random_tensor(3, 4, seed=7), torch.ones(3, dtype=torch.float64))
    student = random_tensor(2, 5, 4, seed=8).requires_grad_()
    options = {"mu": 0.3, "penalty": 0.7}
    (expected,) = torch.autograd.grad(design.designed_loss(student, tensor, **options).sum(), student)
    torch.testing.assert_close(design.designed_gradient(student.detach(), tensor, **options), expected)


def test_the_loss_is_the_sum_over_pairs_that_it_says():
    tensor, student = random_tensor(3, 3, 3, 3, seed=9), random_tensor(2, 3, seed=10)
    tensor = sum(tensor.permute(order) for order in ((0, 1, 2, 3), (2, 3, 0, 1)))
    t = lambda u, v: torch.einsum("abcd,a,b,c,d->", tensor, u, u, v, v)  # noqa: E731
    u, v = student
    expected = t(u, v) + t(v, u) - 0.2 * (t(u, u) + t(v, v))
    expected = expected + 3 * sum((w @ w - 1) ** 2 for w in student)
    torch.testing.assert_close(design.designed_loss(student, tensor, mu=0.2, penalty=3.0), expected)


def test_the_teacher_is_found_and_its_order_and_signs_do_not_count():
    teacher = torch.linalg.qr(random_tensor(4, 4, seed=11)).Q
    tensor = design.power_tensor(teacher, torch.ones(4, dtype=torch.float64))
    start = random_tensor(5, 4, 4, seed=12) / 2
    found = design.descend(start, tensor, mu=0.1, penalty=1.0, step_size=0.02, steps=600)
    assert (design.recovery_error(found, teacher) < 1e-4).all()
    assert float(design.recovery_error(-2 * teacher.flip(0), teacher)) < 1e-7
