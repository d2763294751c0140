"""Porcupine networks."""

from __future__ import annotations

import torch
from scipy.optimize import minimize

from dlopt import runtime
from dlopt.arc_cosine import population_loss
from dlopt.landscape import porcupine

LINES = porcupine.lines_in_the_plane(3)


def teacher() -> torch.Tensor:
    return torch.randn(2, 2, generator=runtime.generator(0), dtype=torch.float64)


def test_the_lines_are_unit_vectors_at_equal_angles():
    torch.testing.assert_close(LINES.norm(dim=1), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(LINES[0] @ LINES[1], torch.tensor(0.5, dtype=torch.float64))


def test_a_regions_minimum_is_that_of_scipy_over_positive_lengths():
    signs = torch.tensor([[1.0], [-1.0], [1.0]], dtype=torch.float64)

    def loss(lengths):
        return float(population_loss(torch.as_tensor(lengths)[:, None] * signs * LINES, teacher()))

    found = minimize(loss, [0.5] * 3, bounds=[(1e-12, None)] * 3, options={"ftol": 1e-15, "gtol": 1e-10})
    assert abs(porcupine.region_minimum(LINES, "+-+", teacher()).loss - found.fun) < 1e-6


def test_both_signs_on_every_line_give_the_global_minimum_and_nothing_is_lower():
    best = porcupine.global_minimum(LINES, teacher())
    everywhere = porcupine.region_minimum(LINES, "±±±", teacher())
    assert abs(everywhere.loss - best) < 1e-12
    assert everywhere.is_local
    for kinds in ("+++", "---", "+-±", "-±±"):
        assert porcupine.region_minimum(LINES, kinds, teacher()).loss >= best - 1e-12


def test_a_teacher_on_the_lines_is_matched():
    assert abs(porcupine.global_minimum(LINES, -2 * LINES[:2])) < 1e-10


def test_a_neuron_that_gains_by_turning_around_is_no_local_minimum():
    one = porcupine.lines_in_the_plane(1)
    wrong = porcupine.region_minimum(one, "+", -one)
    assert not wrong.is_local
    assert wrong.balanced == 0
    assert porcupine.region_minimum(one, "-", -one).is_local
