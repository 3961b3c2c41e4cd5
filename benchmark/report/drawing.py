"""How every chart looks: sizes, fonts, the style of each loss, and the marks that charts share."""

from __future__ import annotations

import textwrap
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmark.report.styles import Style

COLUMN, PAGE = 3.4, 7.0  # inches: the width of one column, and of the page
MANY_LOSSES = 8  # more than these get the page's width
LEGEND_ROW = 0.17  # inches
GREY = "0.45"
RC: Any = {
    **sns.axes_style("ticks", {"axes.grid": True, "grid.color": "0.92"}),
    **{f"{part}size": 7 for part in ("font.", "axes.title", "axes.label", "legend.font")},
    **{f"{axis}tick.labelsize": 7 for axis in "xy"},
    **{f"{axis}tick.major.size": 2.5 for axis in "xy"},
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so that machines agree
    "savefig.dpi": 200,
    # Text stays text, and identifiers come from a fixed salt: the same data, the same file.
    "svg.fonttype": "none",
    "svg.hashsalt": "lossbench",
    "pdf.fonttype": 42,  # TrueType, which journals ask for
}


def new_figure(losses: int, height: float) -> tuple[Figure, Axes]:
    """A figure ``height`` inches high, before the legend, wide enough for this many losses."""
    figure = Figure(
        figsize=(COLUMN if losses <= MANY_LOSSES else PAGE, height), layout="constrained"
    )
    return figure, figure.subplots()


def add_legend(figure: Figure, handles: list[Artist]) -> None:
    """A legend below the axes, for which the figure grows."""
    columns = 2 if figure.get_figwidth() < PAGE else 4
    lines = sum(str(handle.get_label()).count("\n") + 1 for handle in handles)
    rows = 1 + -(-lines // columns)
    figure.set_figheight(figure.get_figheight() + LEGEND_ROW * rows)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, handlelength=1.8)


def add_loss_axis(ax: Axes, losses: list[str]) -> None:
    """Name the rows 0, 1, … of the vertical axis, from the top, after the losses."""
    ax.set_yticks(range(len(losses)), [textwrap.fill(loss, 18) for loss in losses])
    ax.set_ylim(len(losses) - 0.4, -0.5)
    ax.grid(visible=False, axis="y")
    ax.tick_params(axis="y", length=0)


def add_row(ax: Axes, row: int, values: pd.Series, style: Style) -> None:
    """One dot a run, on the line of ``row``."""
    rows = [row] * len(values)
    ax.plot(values, rows, "o", color=style.colour, markersize=3, alpha=0.6, markeredgewidth=0)


def add_interval(
    ax: Axes, row: int, mean: float, half: float, style: Style, hollow: bool = False
) -> None:
    """A mean and its interval ``mean ± half``, a little below the line of ``row``."""
    ax.errorbar(
        mean,
        row + 0.25,
        xerr=half,
        fmt="o",
        color=style.colour,
        markerfacecolor="white" if hollow else style.colour,
        markersize=4,
        markeredgewidth=1,
        capsize=2,
        elinewidth=1.2,
    )


def loss_handle(loss: str, style: Style) -> Line2D:
    """The legend's entry for a loss."""
    label = textwrap.fill(loss, 24)
    return Line2D([], [], color=style.colour, marker=style.marker, markersize=3.5, label=label)


def grey_handle(
    label: str,
    marker: str = "o",
    line: float = 0,
    size: float = 4,
    hollow: bool = False,
) -> Line2D:
    """The legend's entry for a mark that every loss has in its own colour.

    ``line`` is the width of the line through it in points, 0 for none.
    """
    return Line2D(
        [],
        [],
        color=GREY,
        marker=marker,
        markerfacecolor="white" if hollow else GREY,
        markersize=size,
        linestyle="-" if line else "",
        linewidth=line,
        label=label,
    )
