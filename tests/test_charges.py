"""Students and teachers as charges."""

from __future__ import annotations

import pytest
import torch

from dlopt import runtime
from dlopt.landscape import charges

POTENTIALS = {
    charges.coulomb: lambda r: 1 / r,
    charges.screened: lambda r: torch.exp(-r) / r,
    charges.gaussian: lambda r: torch.exp(-(r**2) / 2),
}


def random_tensor(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=runtime.generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("law", POTENTIALS)
def test_a_law_is_minus_the_slope_of_its_potential_over_the_distance(law):
    r = torch.linspace(0.3, 3, 20, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(POTENTIALS[law](r).sum(), r)
    torch.testing.assert_close(law(r.detach() ** 2), -slope / r.detach())


@pytest.mark.parametrize(("law", "multiple"), [(charges.coulomb, 0.0), (charges.screened, 1.0)])
def test_the_laplacian_is_a_multiple_of_the_potential(law, multiple):
    point = torch.tensor([0.7, -0.4, 1.1], dtype=torch.float64)
    potential = lambda x: POTENTIALS[law](x.norm())  # noqa: E731
    laplacian = torch.func.hessian(potential)(point).trace()
    torch.testing.assert_close(laplacian, multiple * potential(point), atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("law", POTENTIALS)
def test_the_first_step_goes_down_the_gradient_of_the_energy(law):
    students, teachers = random_tensor(1, 3, 3, seed=0), random_tensor(3, 3, seed=1) + 3
    moving = students[0].clone().requires_grad_()
    phi = POTENTIALS[law]
    energy = -phi((moving[:, None] - teachers).norm(dim=-1)).sum()
    for i in range(3):
        for j in range(i):
            energy = energy + phi((moving[i] - moving[j]).norm())
    (gradient,) = torch.autograd.grad(energy, moving)
    path = charges.follow(students, teachers, law, steps=1, stride=0.01)
    expected = -0.01 * gradient / gradient.norm(dim=-1).max()
    torch.testing.assert_close(path[1, 0] - path[0, 0], expected)


def test_one_student_is_caught_by_one_teacher_and_stays():
    students, teachers = torch.tensor([[[2.0, 0, 0]]]), torch.zeros(1, 3)
    path = charges.follow(students, teachers, charges.coulomb, steps=100, stride=0.05)
    assert torch.equal(path[-1, 0], teachers)
    assert torch.equal(path[-2, 0], teachers)
    assert float(charges.smallest_distances(path[-1], teachers)) == 0
