"""The curvature of a loss on a plane through parameter space, from its values on a grid."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["plane_curvatures"]


def plane_curvatures(values: Tensor, spacing: float) -> Tensor:
    """The two eigenvalues of the plane's Hessian at the inner points of the grid, ascending, (k - 2, k - 2, 2).

    By central differences, so exact for a quadratic.  They are the curvatures of F restricted to the plane: by
    Cauchy's interlacing they lie between the smallest and the largest eigenvalue of the full Hessian, if the plane's
    directions are orthonormal.  A negative one proves that the full Hessian has a negative eigenvalue; two positive
    ones prove nothing.

    Args:
        values: F on a square grid, (k, k), k ≥ 3.
        spacing: between neighboring points, in both directions.
    """
    center = values[1:-1, 1:-1]
    f_aa = values[1:-1, 2:] - 2 * center + values[1:-1, :-2]
    f_bb = values[2:, 1:-1] - 2 * center + values[:-2, 1:-1]
    f_ab = (values[2:, 2:] - values[2:, :-2] - values[:-2, 2:] + values[:-2, :-2]) / 4
    mean, radius = (f_aa + f_bb) / 2, torch.hypot((f_aa - f_bb) / 2, f_ab)
    return torch.stack([mean - radius, mean + radius], dim=-1) / spacing**2
