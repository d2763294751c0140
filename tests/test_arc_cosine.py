"""Closed forms of ReLU expectations, against sampling, finite differences and their own derivatives."""

import pytest
import torch
from torch.autograd.functional import hessian

from dlopt import arc_cosine
from dlopt.data import gaussian


def _vectors(k: int, d: int, seed: int) -> torch.Tensor:
    return gaussian(k, d, seed=seed, dtype=torch.float64)


def test_relu_products_are_the_means_of_products_of_neurons():
    u, v = _vectors(3, 4, 0), _vectors(2, 4, 1)
    x = gaussian(400_000, 4, seed=2, dtype=torch.float64)
    left, right = x @ u.T, x @ v.T
    sampled = left.relu().T @ right.relu() / len(x)
    torch.testing.assert_close(arc_cosine.relu_products(u, v), sampled, rtol=0.02, atol=0.01)


@pytest.mark.parametrize(("c", "zero", "one"), [(-1.0, 0.0, 0.0), (0.0, 0.5, 1 / torch.pi), (1.0, 1.0, 1.0)])
def test_the_kernels_at_opposite_orthogonal_and_equal_vectors(c, zero, one):
    c = torch.tensor(c, dtype=torch.float64)
    assert float(arc_cosine.kappa_0(c)) == pytest.approx(zero, abs=1e-15)
    assert float(arc_cosine.kappa_1(c)) == pytest.approx(one, abs=1e-15)


def test_the_population_loss_is_half_the_mean_squared_difference():
    student, teacher, a, b = _vectors(3, 4, 3), _vectors(2, 4, 4), _vectors(1, 3, 5)[0], _vectors(1, 2, 6)[0]
    x = gaussian(400_000, 4, seed=7, dtype=torch.float64)
    difference = (x @ student.T).relu() @ a - (x @ teacher.T).relu() @ b
    closed = arc_cosine.population_loss(student, teacher, a, b)
    assert float(closed) == pytest.approx(float((difference**2).mean() / 2), rel=0.02)


def test_the_written_gradient_is_the_differentiated_loss_for_a_batch_of_students():
    student = _vectors(15, 4, 8).view(5, 3, 4).requires_grad_()
    teacher, a, b = _vectors(2, 4, 9), _vectors(5, 3, 10), _vectors(1, 2, 11)[0]
    loss = arc_cosine.population_loss(student, teacher, a, b)
    assert loss.shape == (5,)
    (gradient,) = torch.autograd.grad(loss.sum(), student)
    torch.testing.assert_close(arc_cosine.population_gradient(student, teacher, a, b), gradient)


def test_at_the_teacher_the_loss_and_its_gradient_vanish_and_the_hessian_is_positive():
    teacher = torch.eye(3, dtype=torch.float64)
    assert float(arc_cosine.population_loss(teacher, teacher)) == pytest.approx(0, abs=1e-15)
    assert float(arc_cosine.population_gradient(teacher, teacher).abs().max()) < 1e-15
    matrix = hessian(lambda w: arc_cosine.population_loss(w.view(3, 3), teacher), teacher.flatten().clone())
    assert float(torch.linalg.eigvalsh(matrix).min()) > 0.05


def test_the_hessian_is_the_finite_difference_of_the_gradient():
    student, teacher = _vectors(2, 3, 12), _vectors(3, 3, 13)
    matrix = hessian(lambda w: arc_cosine.population_loss(w.view(2, 3), teacher), student.flatten())
    step = 1e-6
    rows = []
    for direction in torch.eye(6, dtype=torch.float64):
        shift = step * direction.view(2, 3)
        up = arc_cosine.population_gradient(student + shift, teacher)
        down = arc_cosine.population_gradient(student - shift, teacher)
        rows.append(((up - down) / (2 * step)).flatten())
    torch.testing.assert_close(matrix, torch.stack(rows), rtol=1e-6, atol=1e-8)
