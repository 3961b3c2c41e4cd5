"""The two layouts that pictures share: a few losses in one panel, or a panel for each loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmark.report.drawing import GREY, PAGE, add_legend
from benchmark.report.styles import PALETTE, Style, loss_styles

COLUMNS = 5
PANEL_HEIGHT = 1.12  # inches
LINES: tuple[Literal["-", "--"], ...] = ("-", "--")


@dataclass(frozen=True)
class Curve:
    """A column of the data, how the legend calls it, and the unit of its largest value."""

    column: str
    label: str
    unit: str = ""


@dataclass(frozen=True)
class Horizontal:
    """The column along the horizontal axis, its label, and whether it is logarithmic."""

    column: str
    label: str
    log: bool = False
    ticks: tuple[float, ...] = ()
    tick_labels: tuple[str, ...] = ()

    def apply(self, ax: Axes) -> None:
        """Scale and ticks of ``ax``; the label is the caller's, since not all panels have it."""
        if self.log:
            ax.set_xscale("log")
        if self.ticks:
            labels = self.tick_labels or [f"{tick:g}" for tick in self.ticks]
            ax.set_xticks(self.ticks, labels)
            ax.minorticks_off()


def page(rows: int, columns: int, height: float) -> tuple[Figure, np.ndarray]:
    """A figure of the page's width and ``height`` inches before the legend, and its axes
    ``[rows, columns]``."""
    figure = Figure(figsize=(PAGE, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def draw_lines(ax: Axes, data: pd.DataFrame, x: str, y: str, styles: dict[str, Style]) -> None:
    """One line a loss. The first is the broadest, so that lines that coincide all show."""
    widths = np.linspace(2.6, 0.9, len(styles))
    for i, (loss, style) in enumerate(styles.items()):
        rows = data[data["loss"] == loss]
        ax.plot(
            rows[x],
            rows[y],
            color=style.colour,
            linewidth=widths[i],
            marker=style.marker,
            markersize=3,
            markevery=(i / 8 / len(styles), 0.16),
            markeredgecolor="white",
            markeredgewidth=0.3,
        )


def line_legend(figure: Figure, styles: dict[str, Style]) -> None:
    """A legend below the axes with one entry a loss of :func:`draw_lines`."""
    add_legend(figure, _line_handles(styles))


def side_legend(ax: Axes, styles: dict[str, Style]) -> None:
    """The same to the right of one panel, where panels show different losses."""
    ax.legend(
        handles=_line_handles(styles),
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        handlelength=1.8,
    )


def _line_handles(styles: dict[str, Style]) -> list[Artist]:
    widths = np.linspace(2.6, 0.9, len(styles))
    return [
        Line2D([], [], color=s.colour, marker=s.marker, markersize=3, linewidth=w, label=loss)
        for (loss, s), w in zip(styles.items(), widths, strict=True)
    ]


def gallery(
    data: pd.DataFrame, x: Horizontal, curves: Sequence[Curve], shared_scale: bool = False
) -> Figure:
    """A small panel for each loss, every curve divided by its largest absolute value.

    The shape is what can be compared between panels; the largest values stand above each.

    Args:
        data: one row a point: ``loss``, the column of ``x``, and those of ``curves``.
        shared_scale: divide all curves of a loss by the largest value among them.
    """

    def draw(ax: Axes, loss: str) -> None:
        rows = data[data["loss"] == loss]
        tops = [_largest(rows[[curve.column]]) for curve in curves]
        if shared_scale:
            tops = [max(tops)] * len(tops)
        lowest = 0.0
        for i, (curve, top) in enumerate(zip(curves, tops, strict=True)):
            y = rows[curve.column] / (top or 1)
            lowest = min(lowest, y.min())
            ax.plot(rows[x.column], y, LINES[i], color=PALETTE[i], linewidth=1.6 - 0.4 * i)
        x.apply(ax)
        ax.set_ylim(-0.06 if lowest > -0.01 else lowest - 0.06, 1.08)
        ax.set_yticks([0, 1] if lowest > -0.5 else [-1, 0, 1])
        shown = dict.fromkeys(f"{t:.3g}{c.unit}" for c, t in zip(curves, tops, strict=True))
        head(ax, loss, "max " + "; ".join(shown))

    names = list(dict.fromkeys(data["loss"]))
    figure = panel_each(names, draw)
    for ax in figure.axes[-COLUMNS:]:  # the lowest of each column
        ax.set_xlabel(x.label)
    figure.supylabel("divided by its largest value", fontsize=7)
    add_legend(
        figure,
        [
            Line2D([], [], color=PALETTE[i], linestyle=LINES[i], linewidth=1.6, label=curve.label)
            for i, curve in enumerate(curves)
        ],
    )
    return figure


def panel_each(
    losses: Sequence[str],
    draw: Callable[[Axes, str], None],
    columns: int = COLUMNS,
    panel_height: float = PANEL_HEIGHT,
) -> Figure:
    """A figure with a panel for each loss, in rows; ``draw(axes, loss)`` fills one."""
    rows = -(-len(losses) // columns)
    figure, axes = page(rows, columns, 0.5 + panel_height * rows)
    for ax, loss in zip(axes.flat, losses, strict=False):
        draw(ax, loss)
    for ax in axes.flat[len(losses) :]:
        ax.remove()
    return figure


def head(ax: Axes, title: str, note: str) -> None:
    """A panel's title, and a small grey line below it."""
    ax.set_title(title, pad=10)
    ax.text(
        0.5, 1.02, note, transform=ax.transAxes, ha="center", va="bottom", fontsize=5.5, color=GREY
    )


def _largest(values: pd.DataFrame) -> float:
    numbers = values.to_numpy(dtype=float)
    finite = np.abs(numbers[np.isfinite(numbers)])
    return float(finite.max()) if finite.size else 0.0


def styles_of(data: pd.DataFrame) -> dict[str, Style]:
    """A style for each loss of ``data``, in its order."""
    return loss_styles(list(dict.fromkeys(data["loss"])))
