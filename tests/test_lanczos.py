"""Lanczos and its quadrature against dense eigenvalues."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlopt import lanczos as lz
from dlopt.models import FullyConnected

pytestmark = pytest.mark.usefixtures("on_the_cpu")


def rotated(values: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """A symmetric matrix with these eigenvalues and random eigenvectors."""
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(len(values), len(values), generator=generator).double()).Q
    return basis * values @ basis.T


def product(matrix: torch.Tensor):
    return lambda v: v @ matrix


def starts(*shape: int, seed: int = 0) -> torch.Tensor:
    return lz.unit_vectors(shape, seed=seed, dtype=torch.float64)


spectra = st.lists(st.floats(-10, 10), min_size=2, max_size=40).map(
    lambda values: torch.tensor(values, dtype=torch.float64)
)


class TestLanczos:
    @given(values=spectra, steps=st.integers(1, 12), seed=st.integers(0, 99))
    @settings(max_examples=60)
    def test_the_basis_is_orthonormal_and_makes_the_matrix_tridiagonal(self, values, steps, seed):
        matrix = rotated(values, seed)
        found = lz.lanczos(product(matrix), starts(3, len(values), seed=seed), steps)
        gram = found.basis @ found.basis.mT
        alive = gram.diagonal(dim1=-2, dim2=-1) > 0.5
        assert torch.allclose(gram, torch.diag_embed(alive.double()), atol=1e-10)
        both = (alive.unsqueeze(-1) & alive.unsqueeze(-2)).double()
        reduced = found.basis @ matrix @ found.basis.mT
        assert torch.allclose(reduced, found.matrix() * both, atol=1e-8 * (1 + values.abs().max()))

    def test_without_reorthogonalization_the_recursion_is_the_same_while_it_is_exact(self):
        matrix = rotated(torch.linspace(-1, 1, 50).double())
        plain, kept = (
            lz.lanczos(product(matrix), starts(50), 12, reorthogonalize=choice) for choice in (False, True)
        )
        assert torch.allclose(plain.matrix(), kept.matrix(), atol=1e-10)

    def test_without_reorthogonalization_a_converged_eigenvalue_comes_back_as_copies(self):
        values = torch.cat([torch.linspace(0, 1, 199), torch.tensor([100.0])]).double()
        copies = {}
        for choice in (False, True):
            found = lz.quadrature(
                lz.lanczos(product(rotated(values)), starts(200), 100, reorthogonalize=choice)
            )
            copies[choice] = int((found.nodes > 99).sum())
        assert copies[True] == 1 < copies[False]

    def test_an_exhausted_space_ends_the_recursion_without_inventing_eigenvalues(self):
        matrix = rotated(torch.tensor([2.0, 2, 2, 3, 3, 5]).double())
        found = lz.lanczos(product(matrix), starts(4, 6), 6)
        rule = lz.quadrature(found)
        assert torch.equal(found.remainder, torch.zeros(4).double())
        assert torch.allclose(rule.weights.sum(dim=-1), torch.ones(4).double())
        assert ((rule.weights > 1e-12).sum(dim=-1) == 3).all()
        assert rule.nodes.min() > 2 - 1e-10
        assert rule.nodes.max() < 5 + 1e-10

    def test_more_steps_than_dimensions_are_cut(self):
        assert lz.lanczos(product(torch.eye(3)), torch.ones(3), 10).diagonal.shape == (3,)

    def test_the_data_type_is_the_starts_and_the_tridiagonal_matrix_is_double(self):
        found = lz.lanczos(product(torch.diag(torch.arange(5.0))), torch.ones(2, 5), 3)
        assert found.basis.dtype == torch.float32
        assert found.matrix().dtype == torch.float64

    def test_no_step_and_a_start_of_zero_are_refused(self):
        with pytest.raises(ValueError, match="one step or more"):
            lz.lanczos(product(torch.eye(3)), torch.ones(3), 0)
        with pytest.raises(ValueError, match="not zero"):
            lz.lanczos(product(torch.eye(3)), torch.zeros(3), 2)

    @pytest.mark.cuda
    def test_cuda_computes_what_the_cpu_does(self):
        matrix = rotated(torch.linspace(-1, 1, 50).double())
        here = lz.lanczos(product(matrix), starts(3, 50), 20)
        there = lz.lanczos(product(matrix.cuda()), starts(3, 50).cuda(), 20)
        assert torch.allclose(here.matrix(), there.matrix().cpu(), atol=1e-9)


class TestQuadrature:
    @given(values=spectra, steps=st.integers(1, 8), seed=st.integers(0, 99))
    @settings(max_examples=60)
    def test_it_is_exact_for_polynomials_of_degree_twice_the_steps_less_one(self, values, steps, seed):
        values = values / 10
        start = starts(len(values), seed=seed)
        rule = lz.quadrature(lz.lanczos(product(rotated(values, seed)), start, steps))
        exact, vectors = torch.linalg.eigh(rotated(values, seed))
        mass = (vectors.T @ start) ** 2
        for degree in range(2 * min(steps, len(values))):
            assert math.isclose(
                float((rule.weights * rule.nodes**degree).sum()),
                float((mass * exact**degree).sum()),
                abs_tol=1e-9,
            )

    def test_it_is_not_exact_one_degree_further(self):
        values = torch.linspace(-1, 1, 20).double()
        start = starts(20)
        rule = lz.quadrature(lz.lanczos(product(torch.diag(values)), start, 3))
        error = (rule.weights * rule.nodes**6).sum() - (start**2 * values**6).sum()
        assert abs(error) > 1e-4

    def test_the_leading_axes_are_independent(self):
        matrices = torch.stack([rotated(torch.linspace(0, s, 30).double(), s) for s in (1, 2)])
        together = lz.spectral_density(
            lambda v: (v.unsqueeze(-2) @ matrices).squeeze(-2), starts(5, 2, 30), 8
        )
        assert together.nodes.shape == together.weights.shape == (2, 40)
        for index in range(2):
            alone = lz.spectral_density(product(matrices[index]), starts(5, 2, 30)[:, index], 8)
            assert torch.allclose(together.nodes[index], alone.nodes, atol=1e-10)
            assert torch.allclose(together.weights[index], alone.weights, atol=1e-10)


class TestSpectralDensity:
    @given(seed=st.integers(0, 999), outliers=st.integers(0, 5), scale=st.floats(0.1, 10))
    @settings(max_examples=15)
    def test_it_finds_a_random_bulk_and_its_outliers(self, seed, outliers, scale):
        generator = torch.Generator().manual_seed(seed)
        values = scale * torch.cat(
            [torch.randn(300 - outliers, generator=generator), 10 + 5 * torch.arange(outliers)]
        ).double().sort().values  # fmt: skip
        matrix = rotated(values, seed)
        rule = lz.spectral_density(product(matrix), starts(10, 300, seed=seed), 80)
        width = 0.1 * scale
        grid = torch.linspace(float(values[0]) - 6 * width, float(values[-1]) + 6 * width, 3000).double()
        exact = lz.smoothed_density(values, torch.full((300,), 1 / 300).double(), grid, width)
        found = lz.smoothed_density(*rule, grid, width)
        assert lz.density_distance(found, exact, grid) < 0.3
        assert abs(rule.nodes.max() - values[-1]) < 1e-6 * scale or outliers == 0

    def test_its_mean_is_the_trace(self):
        matrix = rotated(torch.linspace(-1, 3, 100).double())
        rule = lz.spectral_density(product(matrix), starts(400, 100), 3)
        assert abs((rule.nodes * rule.weights).sum() - 1) < 0.03

    def test_a_smoothed_density_integrates_to_one_and_is_a_gaussian_for_each_point(self):
        grid = torch.linspace(-10, 10, 4001).double()
        nodes, weights = torch.tensor([-1.0, 2.0]).double(), torch.tensor([0.25, 0.75]).double()
        for sigma in (0.5, torch.tensor([0.5, 0.2])):
            density = lz.smoothed_density(nodes, weights, grid, sigma)
            assert math.isclose(float(torch.trapezoid(density, grid)), 1, abs_tol=1e-9)
        alone = lz.smoothed_density(nodes[:1], weights[:1] * 4, grid, 0.5)
        expected = torch.distributions.Normal(-1.0, 0.5).log_prob(grid).exp()
        assert torch.allclose(alone, expected.double(), atol=1e-7)

    def test_the_distance_of_disjoint_densities_is_two_and_of_equal_ones_zero(self):
        grid = torch.linspace(-10, 10, 4001).double()
        left, right = (torch.distributions.Normal(m, 0.3).log_prob(grid).exp() for m in (-5.0, 5.0))
        assert math.isclose(float(lz.density_distance(left, right, grid)), 2, abs_tol=1e-6)
        assert lz.density_distance(left, left, grid) == 0

    def test_unit_vectors_are_uniform_on_the_sphere_and_reproducible(self):
        vectors = starts(4000, 5)
        assert torch.allclose(vectors.norm(dim=-1), torch.ones(4000).double())
        assert torch.allclose(vectors.T @ vectors / 4000, torch.eye(5).double() / 5, atol=0.02)
        assert torch.equal(vectors, starts(4000, 5))
        assert lz.unit_vectors((3,)).dtype == torch.float32


class TestTopEigenvalues:
    VALUES = torch.cat([torch.tensor([-7.0]), torch.linspace(-1, 1, 60), torch.tensor([3.0, 5.0])]).double()

    @pytest.mark.parametrize(("by", "expected"), [("value", [5, 3]), ("magnitude", [-7, 5])])
    def test_they_are_ordered_by_value_or_by_magnitude(self, by, expected):
        matrix = rotated(self.VALUES)
        found = lz.top_eigenvalues(product(matrix), starts(2, 63), 30, count=2, by=by)
        assert torch.allclose(found.values, torch.tensor([expected, expected]).double(), atol=1e-8)
        error = (found.vectors @ matrix - found.values.unsqueeze(-1) * found.vectors).norm(dim=-1)
        assert error.max() < 1e-6

    def test_the_residuals_are_those_of_the_vectors_before_convergence_too(self):
        matrix = rotated(self.VALUES)
        found = lz.top_eigenvalues(product(matrix), starts(63), 6, count=4)
        error = (found.vectors @ matrix - found.values.unsqueeze(-1) * found.vectors).norm(dim=-1)
        assert torch.allclose(error, found.residuals, atol=1e-12)
        assert error.max() > 1e-3

    def test_an_unknown_order_and_too_many_are_refused(self):
        with pytest.raises(ValueError, match="'value' or 'magnitude'"):
            lz.top_eigenvalues(product(torch.eye(3)), torch.ones(3), 2, by="size")
        with pytest.raises(ValueError, match="between 1 and the 2 steps"):
            lz.top_eigenvalues(product(torch.eye(3)), torch.ones(3), 2, count=3)


def test_unit_vectors_do_not_repeat_the_weights_of_a_network_with_their_seed():
    network = FullyConnected((40, 50), dtype=torch.float64)
    weights = network.weights[0].detach().flatten()
    overlap = starts(weights.numel()) @ weights / weights.norm()
    assert abs(overlap) < 0.1
