"""Figures are legible on the light and on the dark page, and the code shown is the code that runs."""

from __future__ import annotations

import itertools

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb

from dlopt import figures

LIGHT_PAGE, DARK_PAGE = "#ffffff", "#14181e"


def luminance(color: str) -> float:
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return float(np.dot([0.2126, 0.7152, 0.0722], channels))


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("page", [LIGHT_PAGE, DARK_PAGE])
@pytest.mark.parametrize("color", figures.COLORS)
def test_every_line_color_stands_out_from_both_pages(color, page):
    assert contrast(color, page) >= 2.5


@pytest.mark.parametrize("page", [LIGHT_PAGE, DARK_PAGE])
def test_ink_is_legible_on_both_pages(page):
    assert contrast(figures.INK, page) >= 3.7


# How protanopes and deuteranopes see linear RGB (Viénot, Brettel and Mollon, 1999).
PROTANOPIA = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
DEUTERANOPIA = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])


@pytest.mark.parametrize("vision", [np.eye(3), PROTANOPIA, DEUTERANOPIA])
@pytest.mark.parametrize("pair", list(itertools.combinations(figures.COLORS[:4], 2)))
def test_the_first_four_colors_are_told_apart_without_color_vision(vision, pair):
    seen = [np.clip(vision @ np.array(to_rgb(color)) ** 2.2, 0, 1) ** (1 / 2.2) for color in pair]
    assert np.linalg.norm(seen[0] - seen[1]) > 0.1


def test_the_style_is_transparent_and_leaves_no_figure_open():
    figures.use_style()
    fig, axes = figures.canvas(1, 2)
    assert len(axes) == 2
    assert fig.get_figwidth() == figures.WIDTH
    assert mpl.rcParams["savefig.transparent"]
    assert fig.get_facecolor()[3] == 0
    plt.close(fig)


def test_the_band_reaches_from_the_smallest_to_the_largest_run():
    fig, axes = figures.canvas()
    runs = np.array([[1.0, 2.0], [3.0, 8.0], [2.0, 4.0]])
    figures.spread(axes, [0, 1], runs, figures.BLUE)
    (line,) = axes.lines
    assert line.get_ydata().tolist() == [2.0, 4.0]
    corners = axes.collections[0].get_paths()[0].vertices
    assert corners[:, 1].min() == 1.0
    assert corners[:, 1].max() == 8.0
    with pytest.raises(ValueError, match=r"shape \(seeds, 3\)"):
        figures.spread(axes, [0, 1, 2], runs, figures.BLUE)
    plt.close(fig)


def example(x: float) -> float:
    """The square.

    Longer words about it.
    """

    def inner(y: float) -> float:
        """One line."""
        return y * y  # as the equation says

    return inner(x)


def test_the_source_shown_is_the_source_with_its_docstrings_cut_to_one_line():
    shown = figures.source_of(example)
    assert '    """The square."""\n' in shown
    assert "Longer words" not in shown
    assert "return y * y  # as the equation says" in shown
    names: dict = {}
    exec(shown, names)
    assert names["example"](3) == 9
