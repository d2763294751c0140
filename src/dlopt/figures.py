"""One visual language for the whole book.

Figures are transparent and drawn in mid-tone ink, so that one image serves the light and the dark page; their
colors are told apart without color vision and are darkest-to-lightest in the order they are handed out.
Call :func:`use_style` once, at the top of a chapter.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = [
    "BLUE", "COLORS", "FAINT", "GREEN", "INK", "ORANGE", "PURPLE", "RED", "SKY",
    "canvas", "glue", "label_line", "show_code", "source_of", "spread", "theory", "use_style",
]  # fmt: skip

INK = "#7d838c"
"""Text, axes and ticks: at least 3.7 to 1 against both the white and the dark page."""
FAINT = "#9aa0a83a"
"""Grid lines and bands in the background."""
BLUE, ORANGE, GREEN = "#2f80c3", "#e07b00", "#0f9d78"
"""The first three colors."""
RED, PURPLE, SKY = "#d9534f", "#a46fc4", "#54a9dd"
"""The other three."""
COLORS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)
"""In the order in which they are handed out; a seventh line on one pair of axes is one too many."""

WIDTH = 7.2
"""Width of a figure in inches: the text's column at 100 dots an inch."""


def use_style(*, raster: bool = False) -> None:
    """Set matplotlib up for the book, and figures in notebooks to SVG.

    Args:
        raster: PNG instead of SVG, for photographs and scatters of thousands of points.
    """
    mpl.rcParams.update(
        {
            "figure.dpi": 100,
            "savefig.dpi": 200,
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "savefig.facecolor": "none",
            "savefig.transparent": True,
            "figure.constrained_layout.use": True,
            "svg.fonttype": "path",
            "svg.hashsalt": "dlopt",
            "font.size": 10,
            "axes.titlesize": 10.5,
            "axes.labelsize": 10,
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.edgecolor": INK,
            "axes.titlecolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.linewidth": 0.8,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": FAINT,
            "grid.linewidth": 0.6,
            "axes.prop_cycle": mpl.cycler(color=COLORS),
            "lines.linewidth": 1.8,
            "lines.markersize": 4.5,
            "legend.frameon": False,
            "image.cmap": "viridis",
        }
    )
    _inline_format("png" if raster else "svg")


def _inline_format(name: str) -> None:
    """Tell the notebook's inline backend the image format; outside a notebook there is nothing to tell."""
    try:
        from IPython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ModuleNotFoundError:
        return
    if get_ipython() is not None:
        options = {"metadata": {"Date": None}} if name == "svg" else {"dpi": 200}
        set_matplotlib_formats(name, facecolor="none", **options)


def canvas(
    rows: int = 1, columns: int = 1, *, height: float = 3.0, width: float = WIDTH, **options: Any
) -> tuple[Figure, Any]:
    """A figure of the book's width and its axes.

    Args:
        rows, columns: the grid of axes.
        height: height of the whole figure, in inches.
        width: width of the whole figure, in inches.
        options: passed on to :func:`matplotlib.pyplot.subplots`.

    Returns:
        The figure, and one ``Axes`` or an array of them of shape (rows, columns), squeezed.
    """
    return plt.subplots(rows, columns, figsize=(width, height), **options)


def label_line(axes: Axes, text: str, x: float, y: float, color: str, **options: Any) -> None:
    """Write ``text`` in the line's own color next to it, at data coordinates: better than a legend."""
    axes.annotate(
        text,
        (x, y),
        xytext=(4, 0),
        textcoords="offset points",
        color=color,
        va="center",
        fontsize=9,
        **options,
    )


def spread(axes: Axes, x: Sequence[float], runs: np.ndarray, color: str, label: str | None = None) -> None:
    """The median of ``runs`` as a line over the band from their smallest to their largest value.

    Args:
        axes: where to draw.
        x: shape (points,).
        runs: shape (seeds, points).
        color: of line and band.
        label: for a legend, if there is one.
    """
    runs = np.asarray(runs, dtype=float)
    if runs.ndim != 2 or runs.shape[1] != len(x):
        raise ValueError(f"runs must have shape (seeds, {len(x)}), not {runs.shape}.")
    axes.fill_between(x, runs.min(axis=0), runs.max(axis=0), color=color, alpha=0.22, linewidth=0)
    axes.plot(x, np.median(runs, axis=0), color=color, label=label)


def theory(axes: Axes, x: Iterable[float], y: Iterable[float], label: str | None = None) -> None:
    """A prediction: always a dashed line in ink, drawn over the measurement."""
    axes.plot(list(x), list(y), color=INK, linestyle=(0, (4, 2)), linewidth=1.3, label=label, zorder=5)


def source_of(*subjects: Callable | type) -> str:
    """The source of ``subjects`` as it runs, each docstring cut to its first line."""
    return "\n\n".join(_shortened(textwrap.dedent(inspect.getsource(subject))) for subject in subjects)


def _shortened(source: str) -> str:
    """``source`` with every docstring of more than one line cut to its first."""
    lines = source.splitlines()
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in sorted(
        (node for node in ast.walk(ast.parse(source)) if isinstance(node, definitions)),
        key=lambda node: -node.lineno,
    ):
        if (text := ast.get_docstring(node, clean=False)) is None:
            continue
        statement = node.body[0]
        if statement.end_lineno > statement.lineno:
            margin = " " * statement.col_offset
            first = text.strip().splitlines()[0]
            lines[statement.lineno - 1 : statement.end_lineno] = [f'{margin}"""{first}"""']
    return "\n".join(lines)


def show_code(*subjects: Callable | type) -> None:
    """Display the source of functions or classes of the package: the tested code is the code the reader sees."""
    from IPython.display import Markdown, display

    display(Markdown(f"```python\n{source_of(*subjects)}\n```"))


def glue(name: str, value: Any) -> None:
    """Keep ``value`` for the prose of the page under ``name``; without the site's tools this does nothing."""
    try:
        from myst_nb import glue as keep
    except ModuleNotFoundError:
        return
    keep(name, value.item() if isinstance(value, np.generic) else value, display=False)
