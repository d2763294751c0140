"""Semidefinite programs with a unit diagonal, factorized."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from dlopt import runtime
from dlopt.landscape import semidefinite


def random_cost(n: int, seed: int) -> torch.Tensor:
    cost = torch.randn(n, n, generator=runtime.generator(seed), dtype=torch.float64)
    return (cost + cost.T).fill_diagonal_(0)


def random_factor(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=runtime.generator(seed), dtype=torch.float64)


def test_each_sweep_lowers_the_value_and_keeps_rows_of_length_one():
    cost, v = random_cost(12, 0), semidefinite.unit_rows(random_factor(5, 12, 3, seed=1))
    for _ in range(5):
        after = semidefinite.mixing_method(cost, v, sweeps=1)
        assert (semidefinite.value(cost, after) <= semidefinite.value(cost, v) + 1e-12).all()
        torch.testing.assert_close(after.norm(dim=-1), torch.ones(5, 12, dtype=torch.float64))
        v = after


def test_the_start_is_left_as_it_was():
    start = random_factor(4, 2, seed=2)
    before = start.clone()
    semidefinite.mixing_method(random_cost(4, 3), start, sweeps=2)
    assert torch.equal(start, before)


def test_the_dual_bound_is_below_every_cut_and_every_factor():
    cost = random_cost(8, 4)
    bound = semidefinite.dual_bound(cost, random_factor(20, 8, 3, seed=5)).max()
    cuts = torch.tensor(list(product((-1.0, 1.0), repeat=8)), dtype=torch.float64)[..., None]
    assert (semidefinite.value(cost, cuts) >= bound).all()
    factors = semidefinite.unit_rows(random_factor(200, 8, 5, seed=6))
    assert (semidefinite.value(cost, factors) >= bound).all()


def test_at_the_optimum_of_large_rank_the_bound_is_attained():
    cost = random_cost(10, 7)
    v = semidefinite.mixing_method(cost, random_factor(10, 5, seed=8), sweeps=2000)
    gap = semidefinite.value(cost, v) - semidefinite.dual_bound(cost, v)
    assert abs(float(gap)) < 1e-8


def test_a_cost_with_a_diagonal_is_refused():
    with pytest.raises(ValueError, match="diagonal"):
        semidefinite.mixing_method(torch.eye(3), torch.ones(3, 2), sweeps=1)
