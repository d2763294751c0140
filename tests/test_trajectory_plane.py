"""The plane in which a training run moves most."""

import math

import pytest
import torch

from dlopt.landscape.trajectory_plane import captured, principal_plane


def test_a_path_in_a_plane_is_captured_whole():
    t = torch.linspace(0, 2, 30, dtype=torch.float64)
    directions = torch.linalg.qr(torch.randn(9, 2, dtype=torch.float64)).Q.T
    path = torch.stack([t, t**2], dim=-1) @ directions + 1
    plane = principal_plane(path)
    assert plane.captured == pytest.approx(1)
    torch.testing.assert_close(path[-1] + plane.coordinates @ plane.directions, path)
    torch.testing.assert_close(plane.directions @ plane.directions.T, torch.eye(2, dtype=torch.float64))
    assert not plane.coordinates[-1].any()


def test_a_random_walk_has_three_quarters_of_its_variance_in_two_components():
    steps = torch.randn(300, 20_000, generator=torch.Generator().manual_seed(0))
    share = principal_plane(steps.cumsum(dim=0)).captured
    assert share == pytest.approx(6 / math.pi**2 * (1 + 1 / 4), abs=0.02)


def test_a_random_plane_captures_two_dimensions_worth():
    generator = torch.Generator().manual_seed(1)
    points = torch.randn(4000, 40, generator=generator, dtype=torch.float64)
    random = torch.linalg.qr(torch.randn(40, 2, generator=generator, dtype=torch.float64)).Q.T
    assert captured(points, random) == pytest.approx(2 / 40, rel=0.1)
