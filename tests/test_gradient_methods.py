"""Gradient descent, heavy ball, Nesterov: torch.optim's steps, the rates of theory, members, devices."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlopt.algorithms import gradient_methods
from dlopt.algorithms.equal_norms import equal_energy_start
from dlopt.algorithms.finite_sums import Quadratic
from dlopt.algorithms.gradient_methods import gradient_descent, heavy_ball, nesterov
from dlopt.algorithms.random_problems import eigenvalues, least_squares, quadratic

KAPPA = 50.0


def bowl(d: int = 8, kappa: float = KAPPA) -> Quadratic:
    return quadratic(eigenvalues(kappa, d), seed=1)


class TestAgainstPyTorch:
    @pytest.mark.parametrize("method", ["gradient descent", "heavy ball", "nesterov"])
    def test_the_steps_are_those_of_torch(self, method):
        problem = least_squares(30, 5, noise=0.3, seed=2)
        alpha, beta = 0.1, 0.0 if method == "gradient descent" else 0.8
        start = torch.ones(5, dtype=torch.float64)
        if method == "gradient descent":
            run = gradient_descent(problem, start, alpha, 40)
        else:
            run = (heavy_ball if method == "heavy ball" else nesterov)(problem, start, alpha, beta, 40)
        theta = start.clone().requires_grad_()
        optimizer = torch.optim.SGD([theta], lr=alpha, momentum=beta, nesterov=method == "nesterov")
        # torch's Nesterov keeps the point y_t at which gradients are taken
        for t in range(40):
            expected = theta.detach().clone()
            if method == "nesterov":
                before = run.iterates[max(t - 1, 0)]
                ours = run.iterates[t] + beta * (run.iterates[t] - before)
            else:
                ours = run.iterates[t]
            torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
            optimizer.zero_grad()
            problem.value(theta).backward()
            optimizer.step()


class TestRates:
    def test_the_best_step_shrinks_the_worst_start_by_its_factor(self):
        two = Quadratic(torch.tensor([1 / KAPPA, 1.0]).double().diag(), torch.zeros(2).double(), 2)
        run = gradient_descent(
            two, equal_energy_start(two), gradient_methods.best_step_size(1, 1 / KAPPA), 20
        )
        factors = run.values[1:] / run.values[:-1]
        torch.testing.assert_close(factors, torch.full_like(factors, ((KAPPA - 1) / (KAPPA + 1)) ** 2))

    def test_the_heavy_balls_rate_is_the_root_of_its_momentum_for_every_eigenvalue(self):
        alpha, beta = gradient_methods.heavy_ball_parameters(1.0, 1 / KAPPA)
        assert math.sqrt(beta) == pytest.approx((KAPPA**0.5 - 1) / (KAPPA**0.5 + 1))
        for value in eigenvalues(KAPPA, 9).tolist():
            matrix = torch.tensor([[1 + beta - alpha * value, -beta], [1.0, 0.0]], dtype=torch.float64)
            radius = torch.linalg.eigvals(matrix).abs().max().item()
            assert radius == pytest.approx(math.sqrt(beta), abs=1e-7)

    @given(kappa=st.floats(1.5, 300), seed=st.integers(0, 1000))
    @settings(max_examples=25)
    def test_nesterov_keeps_its_promise_on_every_quadratic(self, kappa, seed):
        problem = quadratic(eigenvalues(kappa, 6), seed=seed)
        start = equal_energy_start(problem, seed=seed)
        run = nesterov(problem, start, *gradient_methods.nesterov_parameters(1.0, 1 / kappa), 60)
        promise = (1 - kappa**-0.5) ** torch.arange(61) * (run.values[0] + 0.5 / kappa * start.square().sum())
        assert (run.values <= promise * (1 + 1e-9) + 1e-15).all()


class TestRuns:
    def test_members_go_the_way_they_would_go_alone(self):
        problem = bowl()
        starts = torch.randn(3, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        alphas = torch.tensor([0.1, 0.5, 1.0], dtype=torch.float64)
        together = nesterov(problem, starts, alphas, 0.5, 12, every=4)
        for member in range(3):
            alone = nesterov(problem, starts[member], alphas[member], 0.5, 12, every=4)
            torch.testing.assert_close(together.iterates[:, member], alone.iterates, rtol=0, atol=1e-14)
            torch.testing.assert_close(together.values[:, member], alone.values)

    def test_a_step_costs_an_epoch(self):
        run = gradient_descent(least_squares(30, 5), torch.zeros(5).double(), 0.1, 12, every=3)
        assert run.gradient_evaluations.tolist() == [0, 90, 180, 270, 360]
        assert run.epochs.tolist() == [0, 3, 6, 9, 12]

    @pytest.mark.cuda
    def test_a_gpu_takes_the_same_steps(self):
        here = bowl()
        there = Quadratic(here.hessian.cuda(), here.minimizer.cuda(), here.samples)
        start = torch.ones(8, dtype=torch.float64)
        parameters = gradient_methods.heavy_ball_parameters(1.0, 1 / KAPPA)
        run = heavy_ball(there, start.cuda(), *parameters, 20)
        torch.testing.assert_close(run.iterates.cpu(), heavy_ball(here, start, *parameters, 20).iterates)
