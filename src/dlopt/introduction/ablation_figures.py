"""How the trials of :mod:`dlopt.introduction.ablation` are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from dlopt import figures
from dlopt.introduction.ablation import Recipe, Signal, Trial

__all__ = ["INGREDIENTS", "draw_grid", "draw_signals", "draw_trials"]

INGREDIENTS = ("Kaiming init.", "skips", "batch norm.")
"""The three ingredients of the grid, in the order of its columns of marks."""


def _marks(recipe: Recipe) -> tuple[bool, bool, bool]:
    return recipe.initialization == "Kaiming", recipe.skip, recipe.normalization


def draw_grid(axes: Axes, trials: Sequence[Trial], *, chance: float = 0.1) -> None:
    """Mean test accuracy, one row for each set of ingredients and one column for each depth.

    Args:
        axes: where to draw.
        trials: one for each depth and each set of ingredients; few ingredients come first.
        chance: the accuracy at which the color scale starts.
    """
    depths = sorted({trial.recipe.depth for trial in trials})
    rows = sorted({_marks(trial.recipe) for trial in trials}, key=lambda marks: marks[::-1])
    colors = mpl.colormaps["viridis"]
    for trial in trials:
        column, row = depths.index(trial.recipe.depth), rows.index(_marks(trial.recipe))
        share = (trial.mean - chance) / (1 - chance)
        axes.add_patch(
            mpl.patches.Rectangle(
                (column - 0.48, row - 0.45), 0.96, 0.9, color=colors(max(share, 0.0)), linewidth=0
            )
        )
        ink = "black" if share > 0.55 else "white"
        axes.annotate(
            f"{100 * trial.mean:.0f}%", (column, row), color=ink, ha="center", va="center", fontsize=11
        )
    for row, marks in enumerate(rows):
        for place, present in enumerate(marks):
            axes.plot(
                -2.6 + 0.75 * place,
                row,
                marker="o",
                markersize=7,
                color=figures.ORANGE if present else figures.FAINT,
            )
    for place, name in enumerate(INGREDIENTS):
        axes.annotate(name, (-2.6 + 0.75 * place, -0.65), ha="center", va="bottom", rotation=25, fontsize=9)
    for column, depth in enumerate(depths):
        axes.annotate(f"{depth} layers", (column, -0.65), ha="center", va="bottom", fontsize=10)
    axes.set(xlim=(-3.1, len(depths) - 0.45), ylim=(len(rows) - 0.5, -1.75))
    axes.set_axis_off()


def draw_trials(axes: Axes, trials: Mapping[str, Trial], color: str, *, chance: float = 0.1) -> None:
    """One row of dots for each trial, a dot for each seed, over a line that ends at their mean.

    Args:
        axes: where to draw.
        trials: label -> trial, from top to bottom.
        color: of the dots.
        chance: the accuracy of guessing, drawn as a prediction.
    """
    for row, trial in enumerate(trials.values()):
        accuracies = 100 * trial.accuracies
        axes.plot(
            [0, accuracies.mean()], [row, row], color=color, linewidth=5, alpha=0.3, solid_capstyle="butt"
        )
        axes.plot(accuracies, np.full(len(accuracies), row), "o", color=color, markersize=4, alpha=0.8)
    figures.theory(axes, [100 * chance] * 2, [-0.6, len(trials) - 0.4])
    axes.set_yticks(range(len(trials)), list(trials))
    axes.set(xlim=(0, 101), ylim=(len(trials) - 0.4, -0.6), xlabel="test accuracy (%)")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def draw_signals(axes: Sequence[Axes], signals: Mapping[str, Signal], colors: Sequence[str]) -> None:
    """Three pairs of axes against the layer: size, distinctness, and gradient norm, on logarithmic scales.

    Args:
        axes: three.
        signals: label -> signal.
        colors: one for each.
    """
    titles = ("size of the signal", "angle between images", "size of the gradient")
    labels = ("mean square of $h^l$", "mean of $1-\\cos$", r"$\|\partial F/\partial W^l\|$")
    for panel, title, label, values in zip(
        axes, titles, labels, zip(*signals.values(), strict=True), strict=True
    ):
        for name, runs, color in zip(signals, values, colors, strict=False):
            layers = range(1, runs.shape[1] + 1)
            figures.spread(panel, layers, np.log10(runs), color, name)
        panel.set(title=title, xlabel="layer $l$", ylabel=rf"$\log_{{10}}$ {label}")
    lines, names = axes[0].get_legend_handles_labels()
    axes[0].figure.legend(
        lines, names, loc="outside upper center", ncols=len(names), labelcolor="linecolor", handlelength=0
    )
