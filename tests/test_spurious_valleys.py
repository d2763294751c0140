"""Risks reduced to a torus, and the lowest pass between two of its points."""

import math

import numpy as np
import pytest
import torch

from dlopt.arc_cosine import population_loss
from dlopt.data import gaussian
from dlopt.landscape.spurious_valleys import directions, pass_height, reduced_risk


def test_the_reduced_risk_is_the_smallest_over_the_output_weights():
    teacher = directions(torch.tensor([0.3, 2.0, 4.0], dtype=torch.float64))
    strengths = torch.tensor([1.0, -1.0, 0.5], dtype=torch.float64)
    angles = torch.tensor([[0.5, 2.5], [1.0, 5.0]], dtype=torch.float64)
    reduced = reduced_risk(angles, teacher, strengths)
    outputs = gaussian(2000, 2, seed=0, dtype=torch.float64)
    for student, value in zip(directions(angles), reduced, strict=True):
        risks = population_loss(student.expand(2000, 2, 2), teacher, outputs, strengths)
        assert float(value) <= float(risks.min())
        assert float(risks.min()) - float(value) < 0.02


def test_a_student_with_the_teachers_directions_has_no_risk():
    angles = torch.tensor([0.4, 3.0], dtype=torch.float64)
    strengths = torch.tensor([2.0, -1.0], dtype=torch.float64)
    assert float(reduced_risk(angles, directions(angles), strengths)) == pytest.approx(0, abs=1e-15)


def test_on_a_circle_the_pass_is_the_lower_of_the_two_maxima():
    values = np.array([0.0, 3.0, 1.0, 2.0, -1.0, 5.0])
    assert pass_height(values, (0,), values == 1.0) == 3.0
    assert pass_height(values, (2,), values == -1.0) == 2.0
    assert pass_height(values, (0,), values == -1.0) == 3.0
    assert pass_height(np.roll(values, 2), (2,), np.roll(values, 2) == -1.0) == 3.0


def test_on_a_torus_paths_go_around_the_edges_and_diagonally():
    values = np.ones((6, 6))
    values[0, 0], values[3, 3] = 0.0, -1.0
    values[5, 5], values[4, 4] = 0.2, 0.4
    assert pass_height(values, (0, 0), values < -0.5) == pytest.approx(0.4)


def test_the_pass_between_valleys_of_a_smooth_function_is_its_saddle():
    ring = np.arange(80) * 2 * math.pi / 80
    values = np.cos(2 * ring)[:, None] + 0.5 * np.cos(ring)[None, :] + 0.1 * np.cos(ring)[:, None]
    start, goal = (20, 40), np.zeros((80, 80), dtype=bool)
    goal[60, 40] = True
    assert pass_height(values, start, goal) == pytest.approx(1 - 0.5 - 0.1, abs=1e-12)


def test_a_goal_is_needed():
    with pytest.raises(ValueError, match="goal"):
        pass_height(np.zeros(4), (0,), np.zeros(4, dtype=bool))
