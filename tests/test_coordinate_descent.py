"""Coordinate descent: exact steps, the expected rate κ_D, and its kinship with Kaczmarz's method."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlopt.algorithms.coordinate_descent import (
    coordinate_curvatures,
    coordinate_descent,
    coordinates,
    energy_map,
    worst_expected_factor,
)
from dlopt.algorithms.finite_sums import LinearModel, Quadratic
from dlopt.algorithms.mean_square import least_squares_sgd
from dlopt.algorithms.random_problems import eigenvalues, least_squares, quadratic


def model(ridge: float = 0.2) -> LinearModel:
    base = least_squares(40, 5, noise=0.3, seed=1)
    return LinearModel(base.inputs, base.targets, ridge=ridge)


class TestSteps:
    def test_a_step_minimizes_along_its_coordinate_and_moves_no_other(self):
        problem = model()
        start = torch.ones(5, dtype=torch.float64)
        for j in range(5):
            run = coordinate_descent(problem, start, torch.tensor([[j]]), every=1)
            after = run.iterates[-1, 0]
            assert abs(problem.gradient(after)[j]) < 1e-12
            others = [k for k in range(5) if k != j]
            assert (after[others] == start[others]).all()

    def test_residuals_and_gradients_give_the_same_iterates(self):
        problem = model()
        hessian = torch.autograd.functional.hessian(problem.value, torch.zeros(5).double())
        twin = Quadratic(hessian, problem.minimizer, problem.samples)
        order = coordinates(coordinate_curvatures(problem), 30, members=3, seed=2)
        starts = torch.randn(3, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        ours, theirs = (coordinate_descent(p, starts, order, every=10) for p in (problem, twin))
        torch.testing.assert_close(ours.iterates, theirs.iterates, rtol=1e-10, atol=1e-10)

    def test_d_steps_are_an_epoch(self):
        order = coordinates(torch.ones(5), 20, seed=4)
        run = coordinate_descent(model(), torch.zeros(5).double(), order)
        assert run.epochs.tolist() == [0, 1, 2, 3, 4]
        assert run.gradient_evaluations.tolist() == [0, 40, 80, 120, 160]

    def test_coordinates_are_drawn_in_proportion_to_their_weights(self):
        weights = torch.tensor([1.0, 3.0, 6.0])
        counts = coordinates(weights, 20_000, members=2).flatten().bincount()
        expected = 40_000 * weights / weights.sum()
        assert ((counts - expected).abs() < 5 * expected.sqrt()).all()

    def test_a_loss_that_is_no_parabola_is_refused(self):
        base = least_squares(10, 2)
        with pytest.raises(ValueError, match="logistic"):
            coordinate_curvatures(LinearModel(base.inputs, base.targets.sign(), "logistic"))


class TestRates:
    @given(kappa=st.floats(1.1, 500), d=st.integers(2, 12), seed=st.integers(0, 1000))
    @settings(max_examples=25)
    def test_drawn_by_the_diagonal_the_worst_step_is_demmels_and_the_long_run_at_most_twice_as_fast(
        self, kappa, d, seed
    ):
        hessian = quadratic(eigenvalues(kappa, d), seed=seed).hessian
        step = energy_map(hessian, hessian.diagonal() / hessian.trace())
        q = (torch.linalg.eigvalsh(hessian)[0] / hessian.trace()).item()
        assert worst_expected_factor(step).item() == pytest.approx(1 - q, abs=1e-12)
        assert (1 - q) ** 2 - 1e-10 <= step.spectral_radius.item() <= 1 - q + 1e-10

    def test_the_map_is_what_the_method_does_on_average(self):
        hessian = quadratic(eigenvalues(20, 4), seed=5).hessian
        probabilities = hessian.diagonal() / hessian.trace()
        values, vectors = torch.linalg.eigh(hessian)
        root = vectors * values.sqrt() @ vectors.mT
        start = torch.tensor([1.0, -1.0, 2.0, 0.5]).double()
        problem = Quadratic(hessian, torch.zeros(4).double(), 4)
        every = torch.arange(4).unsqueeze(1)
        after = coordinate_descent(problem, start, every, every=1).values[-1]
        step = energy_map(hessian, probabilities)
        second = step.transported(torch.outer(root @ start, root @ start))
        assert (probabilities * after).sum().item() == pytest.approx(0.5 * second.trace().item())

    def test_on_the_identity_an_epoch_leaves_about_one_over_e(self):
        step = energy_map(torch.eye(20).double(), torch.full((20,), 0.05).double())
        assert step.spectral_radius.item() ** 20 == pytest.approx((1 - 1 / 20) ** 20)
        assert abs(step.spectral_radius.item() ** 20 - math.exp(-1)) < 0.01

    def test_sgd_on_unit_rows_is_coordinate_descent_on_the_transposed_matrix(self):
        rows = least_squares(6, 6, unit_rows=True, seed=6).inputs
        sgd = least_squares_sgd(LinearModel(rows, torch.zeros(6).double()), 1.0)
        by_columns = energy_map(rows @ rows.mT / 6, torch.full((6,), 1 / 6).double())
        torch.testing.assert_close(sgd.spectral_radius, by_columns.spectral_radius)
        torch.testing.assert_close(worst_expected_factor(sgd), worst_expected_factor(by_columns))
