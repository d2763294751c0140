"""The machine on paper: right results, and rounds and operations that add up."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlopt.algorithms.parallel_model import matrix_vector_product, tree_sum


@given(n=st.integers(1, 40), m=st.integers(1, 40), processors=st.integers(1, 2000))
@settings(max_examples=60)
def test_the_product_is_right_and_no_machine_beats_work_and_depth(n, m, processors):
    g = torch.Generator().manual_seed(n * 100 + m)
    matrix = torch.randn(n, m, generator=g, dtype=torch.float64)
    vector = torch.randn(m, generator=g, dtype=torch.float64)
    product = matrix_vector_product(matrix, vector, processors)
    torch.testing.assert_close(product.result, matrix @ vector)
    assert product.operations == n * m + n * (m - 1)
    assert product.rounds >= max(math.ceil(product.operations / processors), 1 + math.ceil(math.log2(m)))


@pytest.mark.parametrize("n", [2, 3, 7, 8, 33])
def test_the_rounds_are_those_of_the_formulas(n):
    matrix, vector = torch.ones(n, n), torch.ones(n)
    assert matrix_vector_product(matrix, vector, 1).rounds == 2 * n**2 - n
    assert matrix_vector_product(matrix, vector, n).rounds == 2 * n - 1
    assert matrix_vector_product(matrix, vector, n**2).rounds == 1 + math.ceil(math.log2(n))


def test_a_sum_of_one_term_takes_no_time():
    assert tree_sum(torch.ones(4, 1), 3).rounds == 0


def test_a_machine_without_processors_is_refused():
    with pytest.raises(ValueError, match="at least one processor"):
        matrix_vector_product(torch.ones(2, 2), torch.ones(2), 0)
