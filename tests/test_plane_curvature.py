"""Curvatures of a plane from a grid of values."""

import torch

from dlopt.landscape.plane_curvature import plane_curvatures


def quadratic(matrix, k=7, spacing=0.3):
    t = spacing * (torch.arange(k, dtype=torch.float64) - k // 2)
    b, a = torch.meshgrid(t, t, indexing="ij")
    p = torch.stack([a, b], dim=-1)
    return 0.5 * (p @ matrix * p).sum(dim=-1)


def test_a_quadratic_has_the_eigenvalues_of_its_matrix_everywhere():
    matrix = torch.tensor([[2.0, 1.5], [1.5, -1.0]], dtype=torch.float64)
    measured = plane_curvatures(quadratic(matrix), 0.3)
    torch.testing.assert_close(measured, torch.linalg.eigvalsh(matrix).expand(5, 5, 2))


def test_a_bowl_has_none_below_zero_and_a_dome_has_two():
    eye = torch.eye(2, dtype=torch.float64)
    assert (plane_curvatures(quadratic(eye), 0.3) > 0).all()
    assert (plane_curvatures(quadratic(-eye), 0.3) < 0).all()
