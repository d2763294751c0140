"""Sublevel sets {θ : F(θ) ≤ c} of a function known on a grid: their components, and how high one must climb.

Two grid points are neighbors if they differ by one step along one axis; a set is connected if its points are joined
by steps between neighbors that stay inside.  The grid may have any number of axes.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

__all__ = ["components", "count_components", "local_minima", "minimax_level", "persistence"]


def components(values: Tensor, level: float) -> Tensor:
    """The connected components of {F ≤ c}: 0 outside, else the number 1, 2, … of the component, as ``values``.

    Args:
        values: F on the grid, any shape.
        level: c.
    """
    labels, _ = ndimage.label((values <= level).cpu().numpy())
    return torch.from_numpy(labels).to(values.device)


def count_components(values: Tensor, level: float) -> int:
    """The number of connected components of {F ≤ c}; 0 where the set is empty."""
    return int(components(values, level).max())


def minimax_level(values: Tensor, start: tuple[int, ...], end: tuple[int, ...]) -> float:
    """min over grid paths from ``start`` to ``end`` of the largest F on the path.

    It is the smallest c for which both points lie in one component of {F ≤ c}, found by bisection over the values.

    Args:
        values: F on the grid.
        start, end: indices of two grid points, one number for each axis.
    """
    levels = values.flatten().unique()
    low = int(torch.searchsorted(levels, torch.maximum(values[start], values[end])))
    high = len(levels) - 1
    while low < high:
        middle = (low + high) // 2
        labels = components(values, levels[middle].item())
        if labels[start] == labels[end]:
            high = middle
        else:
            low = middle + 1
    return levels[low].item()


def persistence(values: Tensor) -> Tensor:
    """The levels (birth, death) between which each component of {F ≤ c} lives as c rises, (components, 2).

    A component is born at a local minimum and dies at the level at which it meets an older one; the oldest never
    dies (∞).  {F ≤ c} has as many components as there are pairs with birth ≤ c < death.  Pairs of length 0 are left
    out, so each row is one strict local minimum, which may be a plateau.  Rows are ordered by birth.

    Source: Edelsbrunner, Letscher and Zomorodian, Topological persistence and simplification (2002), in degree 0.
    """
    heights = values.cpu().numpy()
    flat, shape = heights.ravel(), heights.shape
    parent = np.full(flat.size, -1)

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    pairs = []
    for node in np.argsort(flat, kind="stable").tolist():
        parent[node] = node
        for neighbor in _neighbors(node, shape):
            if parent[neighbor] < 0:
                continue
            older, younger = sorted((root(node), root(neighbor)), key=lambda top: flat[top])
            if older != younger:
                parent[younger] = older
                if flat[younger] < flat[node]:
                    pairs.append((flat[younger], flat[node]))
    pairs.append((flat.min(), np.inf))
    return torch.tensor(sorted(pairs), dtype=torch.float64)


def local_minima(values: Tensor) -> Tensor:
    """Grid points at which F is no larger than at any neighbor, plateaus included: truth values, as ``values``."""
    cross = ndimage.generate_binary_structure(values.ndim, 1)
    lowest = ndimage.minimum_filter(values.cpu().numpy(), footprint=cross, mode="nearest")
    return values <= torch.from_numpy(lowest).to(values)


def _neighbors(node: int, shape: tuple[int, ...]) -> list[int]:
    """The flat indices one step away along each axis."""
    found, stride = [], 1
    for length in reversed(shape):
        place = node // stride % length
        if place > 0:
            found.append(node - stride)
        if place < length - 1:
            found.append(node + stride)
        stride *= length
    return found
