"""Polygonal paths and the three ways to say how far a loss rises on them."""

import pytest
import torch

from dlopt.landscape import paths

LOSSES = torch.tensor([[1.0, 3.0, 2.0, 2.5, 2.0], [2.0, 1.0, 1.0, 0.5, 0.0]])


def test_a_polygon_goes_through_its_knots_in_equal_steps():
    knots = torch.tensor([[0.0, 0.0], [4.0, 0.0], [4.0, 2.0]])
    points = paths.polygon(knots, 4)
    assert points.shape == (9, 2)
    assert torch.equal(points[::4], knots)
    torch.testing.assert_close(points[5], torch.tensor([4.0, 0.5]))


def test_barrier_is_measured_from_the_straight_line_between_the_ends():
    torch.testing.assert_close(paths.barrier(LOSSES), torch.tensor([1.75, 0.0]))


def test_excess_is_measured_from_the_higher_end():
    torch.testing.assert_close(paths.excess(LOSSES), torch.tensor([1.0, 0.0]))


def test_the_largest_rise_is_from_an_earlier_point_to_a_later_one():
    torch.testing.assert_close(paths.largest_rise(LOSSES), torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(paths.largest_rise(torch.tensor([2.0, 0.0, 1.5])), torch.tensor(1.5))


def test_a_path_needs_two_knots():
    with pytest.raises(ValueError, match="two knots"):
        paths.polygon(torch.zeros(1, 3), 4)
