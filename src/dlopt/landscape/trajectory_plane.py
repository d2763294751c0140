"""The plane in which a training run moves most: the two leading principal components of its steps' positions."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["TrajectoryPlane", "captured", "principal_plane"]


class TrajectoryPlane(NamedTuple):
    """Two orthonormal directions, and the run projected on them."""

    directions: Tensor
    """(2, P)."""
    coordinates: Tensor
    """(T, 2), relative to the last point."""
    captured: float
    """The share of the run's variance that lies in the plane."""


def captured(trajectory: Tensor, directions: Tensor) -> float:
    """Σ_t ‖Π(θ_t − θ̄)‖² / Σ_t ‖θ_t − θ̄‖² for the projection Π on orthonormal directions.

    Args:
        trajectory: θ_0, …, θ_{T-1}, (T, P).
        directions: (k, P), orthonormal.
    """
    centered = trajectory - trajectory.mean(dim=0)
    return ((centered @ directions.T).square().sum() / centered.square().sum()).item()


def principal_plane(trajectory: Tensor) -> TrajectoryPlane:
    """The two leading right singular vectors of the centered trajectory, (T, P).

    A long random walk in many dimensions, which prefers no direction, has the share 6/(πk)² in its k-th component:
    0.76 in the first two.  A large share alone is no evidence of structure.

    Source: Li et al., "Visualizing the loss landscape of neural nets" (2018); Antognini and Sohl-Dickstein, "PCA of
    high dimensional random walks with comparison to neural network training" (2018), for the random walk.
    """
    centered = trajectory - trajectory.mean(dim=0)
    directions = torch.linalg.svd(centered, full_matrices=False).Vh[:2]
    return TrajectoryPlane(
        directions, (trajectory - trajectory[-1]) @ directions.T, captured(trajectory, directions)
    )
