"""Exact moments of random affine iterations, beside enumeration, Gaussian draws and SGD itself."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlopt.algorithms.mean_square import (
    RandomAffineMap,
    dense_operator,
    gaussian_fourth_moment,
    half_vectorized,
    least_squares_sgd,
    scheduled_moments,
    spectral_radius,
    symmetric_matrix,
)
from dlopt.algorithms.random_problems import least_squares
from dlopt.algorithms.sampling import with_replacement
from dlopt.algorithms.stochastic_gradient import sgd


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def symmetric(*shape: int, seed: int) -> torch.Tensor:
    s = normal(*shape, seed=seed)
    return s + s.mT


def random_map(seed: int, k: int = 3, d: int = 3, batch: int = 1) -> RandomAffineMap:
    weights = normal(k, seed=seed + 2).abs() + 0.1
    return RandomAffineMap(
        0.4 * normal(k, d, d, seed=seed), normal(k, d, seed=seed + 1), weights / weights.sum(), batch
    )


def by_enumeration(chosen: RandomAffineMap, mean, second):
    """The moments after one step, summed over all k^b outcomes of a batch, for a two-point law of z."""
    root = torch.linalg.cholesky(second - mean[:, None] * mean)
    points = [mean + sign * len(mean) ** 0.5 * column for column in root.T for sign in (1, -1)]
    k = len(chosen.matrices)
    first, square = torch.zeros_like(mean), torch.zeros_like(second)
    for outcome in itertools.product(range(k), repeat=chosen.batch):
        index = list(outcome)
        probability = chosen.probabilities[index].prod() / len(points)
        a, b = chosen.matrices[index].mean(dim=0), chosen.offsets[index].mean(dim=0)
        for z in points:
            after = a @ z + b
            first = first + probability * after
            square = square + probability * after[:, None] * after
    return first, square


seeds = st.integers(0, 10_000)


class TestRandomAffineMap:
    @settings(max_examples=20)
    @given(seeds, st.integers(1, 3))
    def test_a_step_is_the_sum_over_all_outcomes(self, seed, batch):
        chosen = random_map(seed, batch=batch)
        mean = normal(3, seed=seed + 5)
        root = normal(3, 3, seed=seed + 6)
        second = root @ root.mT + torch.eye(3) + mean[:, None] * mean
        expected = by_enumeration(chosen, mean, second)
        for ours, theirs in zip(chosen.step(mean, second), expected, strict=True):
            torch.testing.assert_close(ours, theirs)

    @settings(max_examples=20)
    @given(seeds, st.integers(1, 4), st.integers(1, 5))
    def test_the_operator_is_the_matrix_of_what_is_transported(self, seed, batch, d):
        chosen = random_map(seed, d=d, batch=batch)
        second = symmetric(d, d, seed=seed + 7)
        product = symmetric_matrix(chosen.operator @ half_vectorized(second))
        torch.testing.assert_close(product, chosen.transported(second))
        torch.testing.assert_close(dense_operator(chosen.transported, d), chosen.operator)

    @settings(max_examples=20)
    @given(seeds, st.integers(1, 3))
    def test_the_lifted_matrix_is_a_step(self, seed, batch):
        chosen = random_map(seed, batch=batch)
        mean, second = normal(3, seed=seed + 8), symmetric(3, 3, seed=seed + 9)
        state = torch.cat([half_vectorized(second), mean, torch.ones(1, dtype=torch.float64)])
        after_mean, after = chosen.step(mean, second)
        expected = torch.cat([half_vectorized(after), after_mean, state[-1:]])
        torch.testing.assert_close(chosen.lifted @ state, expected)

    @settings(max_examples=20)
    @given(seeds, st.integers(1, 3))
    def test_the_stationary_moments_are_a_fixed_point(self, seed, batch):
        chosen = random_map(seed, batch=batch)
        if chosen.spectral_radius > 0.95:
            return
        mean, second = chosen.stationary
        for before, after in zip((mean, second), chosen.step(mean, second), strict=True):
            torch.testing.assert_close(before, after)
        assert torch.linalg.eigvalsh(second - mean[:, None] * mean)[0] > -1e-10

    def test_leading_axes_are_a_grid_of_maps(self):
        single = [random_map(seed) for seed in range(4)]
        weights = single[0].probabilities
        grid = RandomAffineMap(
            torch.stack([one.matrices for one in single]).view(2, 2, 3, 3, 3),
            torch.stack([one.offsets for one in single]).view(2, 2, 3, 3),
            weights,
        )
        one = RandomAffineMap(single[3].matrices, single[3].offsets, weights)
        torch.testing.assert_close(grid.spectral_radius[1, 1], one.spectral_radius)
        torch.testing.assert_close(grid.stationary[1][1, 1], one.stationary[1])
        torch.testing.assert_close(grid.lifted[1, 1], one.lifted)

    def test_a_map_whose_second_moment_explodes_has_no_stationary_state(self):
        with pytest.raises(ValueError, match="not below 1"):
            _ = RandomAffineMap(1.1 * torch.eye(2, dtype=torch.float64)[None]).stationary

    def test_what_is_no_random_map_is_refused(self):
        eye = torch.eye(2, dtype=torch.float64).repeat(3, 1, 1)
        with pytest.raises(ValueError, match="shape"):
            RandomAffineMap(eye, torch.zeros(2, 2))
        with pytest.raises(ValueError, match="probabilities"):
            RandomAffineMap(eye, probabilities=torch.tensor([0.5, 0.6, -0.1]))
        with pytest.raises(ValueError, match="batch"):
            RandomAffineMap(eye, batch=0)


class TestLeastSquaresSgd:
    def test_its_map_is_unbiased_and_leaves_the_minimizer_in_the_mean(self):
        problem = least_squares(30, 4, noise=0.5, seed=1)
        chosen = least_squares_sgd(problem, 0.05)
        expected = torch.eye(4) - 0.05 * problem.covariance
        torch.testing.assert_close(chosen.mean_matrix, expected)
        assert chosen.mean_offset.abs().max() < 1e-14

    def test_its_map_is_the_step_of_the_compiled_loop(self):
        problem = least_squares(30, 4, noise=0.5, seed=1)
        start = normal(4, seed=2)
        order = with_replacement(30, 1, members=8, seed=3)
        run = sgd(problem, start, 0.05, order, every=1)
        chosen = least_squares_sgd(problem, 0.05)
        index = order[:, 0, 0]
        away = chosen.matrices[index] @ (start - problem.minimizer) + chosen.offsets[index]
        torch.testing.assert_close(run.iterates[1], away + problem.minimizer)

    @pytest.mark.parametrize("batch", [1, 3])
    def test_the_moments_are_those_of_many_runs(self, batch):
        problem = least_squares(20, 3, noise=0.5, unit_rows=True, seed=4)
        start = normal(3, seed=5)
        schedule = 1 / (1 + torch.arange(30.0, dtype=torch.float64)) ** 0.5
        run = sgd(problem, start, schedule, with_replacement(20, 30, batch, members=20_000, seed=6), every=10)
        away = run.iterates - problem.minimizer
        mean, second = scheduled_moments(problem, start, schedule, torch.tensor([0, 10, 20, 30]), batch=batch)
        products = away[..., :, None] * away[..., None, :]
        deviation = products.std(dim=1) / 20_000**0.5 + 1e-12
        assert ((products.mean(dim=1) - second).abs() < 6 * deviation).all()
        assert ((away.mean(dim=1) - mean).abs() < 6 * away.std(dim=1) / 20_000**0.5 + 1e-12).all()

    def test_a_constant_schedule_ends_in_the_stationary_state(self):
        problem = least_squares(20, 3, noise=0.5, unit_rows=True, seed=4)
        _, second = scheduled_moments(problem, torch.zeros(3), torch.full((2, 600), 0.3), torch.tensor([600]))
        torch.testing.assert_close(second[0, 1], least_squares_sgd(problem, 0.3).stationary[1])

    def test_fixed_mini_batches_with_all_samples_are_gradient_descent(self):
        problem = least_squares(20, 3, seed=7)
        chosen = least_squares_sgd(problem, 0.1, batches=torch.arange(20)[None])
        expected = (1 - 0.1 * torch.linalg.eigvalsh(problem.covariance)).abs().max() ** 2
        torch.testing.assert_close(chosen.spectral_radius, expected)

    def test_for_inputs_of_norm_one_the_factor_is_between_its_bounds(self):
        for seed in range(10):
            problem = least_squares(25, 4, unit_rows=True, seed=seed)
            low = problem.strong_convexity
            rho = least_squares_sgd(problem, 1.0).spectral_radius
            assert (1 - low) ** 2 <= rho <= 1 - low

    def test_another_loss_is_refused(self):
        problem = least_squares(5, 2, seed=8)
        logistic = type(problem)(problem.inputs, problem.targets.sign(), "logistic")
        with pytest.raises(ValueError, match="squared loss"):
            least_squares_sgd(logistic, 0.1)


class TestSymmetricMatricesAsVectors:
    @given(seeds, st.integers(1, 6))
    def test_there_and_back_and_inner_products_stay(self, seed, d):
        a, b = symmetric(d, d, seed=seed), symmetric(d, d, seed=seed + 1)
        torch.testing.assert_close(symmetric_matrix(half_vectorized(a)), a)
        torch.testing.assert_close(half_vectorized(a) @ half_vectorized(b), (a * b).sum())

    def test_four_entries_are_no_symmetric_matrix(self):
        with pytest.raises(ValueError, match="no half"):
            symmetric_matrix(torch.zeros(4))

    def test_the_spectral_radius_of_a_rotation_is_one(self):
        turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
        assert spectral_radius(turn).item() == pytest.approx(1.0)


def test_the_gaussian_fourth_moment_is_that_of_gaussian_draws():
    root, second = normal(3, 3, seed=9), symmetric(3, 3, seed=10)
    hessian = root @ root.mT
    x = normal(400_000, 3, seed=11) @ root.mT
    forms = ((x @ second) * x).sum(dim=1)
    samples = forms[:, None, None] * x[:, :, None] * x[:, None, :]
    deviation = samples.std(dim=0) / len(x) ** 0.5
    difference = samples.mean(dim=0) - gaussian_fourth_moment(hessian, second)
    assert (difference.abs() < 6 * deviation).all()
