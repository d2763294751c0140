"""The two pictures of the backpropagation chapter that are drawings rather than plots."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.patches import Rectangle

from dlopt import figures

__all__ = ["SIGNED", "draw_multiplication_table", "draw_products"]

SIGNED = LinearSegmentedColormap.from_list(
    "signed",
    [
        (0.0, to_rgba(figures.ORANGE)),
        (0.5, to_rgba(figures.ORANGE, 0.0)),
        (0.5, to_rgba(figures.BLUE, 0.0)),
        (1.0, to_rgba(figures.BLUE)),
    ],
)
"""Orange for negative, blue for positive, and transparent at zero, so that it fits a light and a dark page."""

_SIZE = 0.86
"""Side of a block, of a cell of side 1."""


def draw_products(axes: Axes, depth: int) -> None:
    """The matrix products of (9), one block each, one row a layer, from l = L at the top down to l = 1.

    A block that stands in the row above too is faint; what is new in a row is in full color.

    Args:
        axes: where to draw.
        depth: L.
    """
    for row, layer in enumerate(range(depth, 0, -1)):
        axes.text(-0.3, row, rf"$\partial F_0/\partial W^{{{layer}}}$", ha="right", va="center")
        axes.text(0.28, row, "$e$", ha="center", va="center", color=figures.INK)
        for column in range(1, row + 1):
            new = column == row
            _block(axes, column, row, figures.BLUE, 1.0 if new else 0.22)
        _block(axes, row + 1, row, figures.ORANGE, 1.0)
    axes.set(xlim=(-1.9, depth + 1), ylim=(depth - 0.4, -0.7), aspect="equal")
    axes.axis("off")


def _block(axes: Axes, x: float, y: float, color: str, opacity: float) -> None:
    corner = (x - _SIZE / 2, y - _SIZE / 2)
    axes.add_patch(Rectangle(corner, _SIZE, _SIZE, color=color, alpha=opacity, linewidth=0))


def draw_multiplication_table(axes: Axes, error: np.ndarray, signal: np.ndarray) -> None:
    """e^l (z^{l-1})ᵀ as a table of products, e^l down its left margin and z^{l-1} along its top.

    Each of the three is colored on a scale of its own, from minus its largest absolute value to plus it.

    Args:
        axes: where to draw.
        error: e^l, (d_l,).
        signal: z^{l-1}, (d_{l-1},).
    """
    rows, columns = len(error), len(signal)
    _strip(axes, np.outer(error, signal), 0, 0)
    _strip(axes, signal[None, :], 0, -1.7)
    _strip(axes, error[:, None], -1.7, 0)
    axes.set(xlim=(-2, columns + 0.1), ylim=(rows + 0.1, -2), aspect="equal", xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)


def _strip(axes: Axes, values: np.ndarray, x: float, y: float) -> None:
    rows, columns = values.shape
    largest = np.abs(values).max() or 1.0
    axes.pcolormesh(
        x + np.arange(columns + 1), y + np.arange(rows + 1), values, cmap=SIGNED, vmin=-largest, vmax=largest,
        edgecolors=figures.FAINT, linewidth=0.5,
    )  # fmt: skip
