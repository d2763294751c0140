"""The spherical three-spin glass."""

from __future__ import annotations

import math

import torch

from dlopt.landscape import spin_glass

N = 12
J = spin_glass.couplings(N, seed=0)
X = spin_glass.random_points(40, N, seed=1)


def form(x):
    return -torch.einsum("ijk,i,j,k->", J, x, x, x) / N**2


def test_the_energy_is_the_cubic_form_per_spin():
    torch.testing.assert_close(spin_glass.energy(J, X), torch.stack([form(x) for x in X]))


def test_gradient_and_curvature_are_those_of_the_energy_along_great_circles():
    x, direction = X[0], X[1] - (X[1] @ X[0]) / N * X[0]
    direction = direction / direction.norm()
    slope, curvature = spin_glass.riemannian_hessian(J, X[:1])

    def along(t):
        return N * form(x * torch.cos(t / N**0.5) + N**0.5 * direction * torch.sin(t / N**0.5))

    zero = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(along(zero), zero, create_graph=True)
    (second,) = torch.autograd.grad(first, zero)
    torch.testing.assert_close(slope[0] @ direction, first.detach())
    torch.testing.assert_close(direction @ curvature[0] @ direction, second)
    assert (curvature[0] @ x).abs().max() < 1e-10


def test_energies_of_random_points_have_the_variance_of_the_model():
    energies = torch.cat(
        [
            spin_glass.energy(spin_glass.couplings(8, seed=s), spin_glass.random_points(50, 8, seed=s + 99))
            for s in range(60)
        ]
    )
    assert abs(energies.std() * 8**0.5 - 1) < 0.15


def test_descent_goes_down_and_stays_on_the_sphere():
    ended = spin_glass.descend(J, X, step_size=0.1, steps=300)
    assert (spin_glass.energy(J, ended) < spin_glass.energy(J, X)).all()
    torch.testing.assert_close(ended.square().sum(dim=1), torch.full_like(ended[:, 0], N))


def test_newton_finds_critical_points_of_many_indices_and_low_ones_lie_low():
    found = spin_glass.critical_points(J, spin_glass.random_points(200, N, seed=2), steps=60)
    assert len(found.energy) > 60
    assert len(found.negative.unique()) > 4
    assert torch.corrcoef(torch.stack(found))[0, 1] > 0.9


def test_the_index_curve_runs_from_the_threshold_through_one_half():
    values = spin_glass.index_fraction(torch.tensor([spin_glass.THRESHOLD, 0.0, -spin_glass.THRESHOLD]))
    torch.testing.assert_close(values, torch.tensor([0.0, 0.5, 1.0]), atol=1e-3, rtol=0)


def test_the_index_curve_is_that_of_random_symmetric_matrices():
    n, u = 400, -0.6
    draw = torch.randn(n, n, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    eigenvalues = torch.linalg.eigvalsh((draw + draw.T) / math.sqrt(2 * n)) * math.sqrt(6)
    share = (eigenvalues - 3 * u < 0).double().mean()
    assert abs(share - spin_glass.index_fraction(torch.tensor(u))) < 0.01
