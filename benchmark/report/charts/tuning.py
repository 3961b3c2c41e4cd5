"""How a loss depends on its weight and on what else was tuned."""

from __future__ import annotations

import json
import math
import textwrap

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmark.report.charts.base import LeftOut
from benchmark.report.drawing import COLUMN, LEGEND_ROW, PAGE, grey_handle
from benchmark.report.panels import Panel
from benchmark.statistics import sensitivity

COLUMNS = 4
HEIGHT = 1.5
DASHES = ("-", "--", ":", "-.")


def sensitivity_curves(panel: Panel) -> Figure:
    """The validation metric over the weight: an axes a loss, a line for each other setting.

    A point is the mean over the tuning runs of a setting, a ring marks the setting that the final
    runs use, and a cross at the lower edge a setting of which a run is not done (it diverged,
    failed, or has not ended).
    """
    tried = sensitivity(panel.tuning[panel.tuning["loss"].isin(panel.losses)])
    if tried["done"].sum() == 0:
        raise LeftOut("no tuning run is done")
    losses = [loss for loss in panel.losses if (tried["loss"] == loss).any()]
    columns = min(COLUMNS, len(losses))
    rows = math.ceil(len(losses) / columns)
    size = (COLUMN if columns <= 2 else PAGE, HEIGHT * rows + 2 * LEGEND_ROW)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for ax in grid.flat[len(losses) :]:
        ax.set_visible(False)
    weights = sorted(tried["weight"].unique())
    for ax, loss in zip(grid.flat, losses, strict=False):
        _one_loss(ax, panel, loss, tried[tried["loss"] == loss])
        if weights[0] > 0:
            ax.set_xscale("log")
        ax.set_xticks(weights, [f"{weight:g}" for weight in weights])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlabel("weight")
    for ax in grid[:, 0]:
        ax.set_ylabel(f"{tried['metric'].iloc[0]}, validation (%)")
    figure.legend(
        handles=_legend(tried), loc="outside lower center", ncols=2 if columns <= 2 else 4
    )
    return figure


def _one_loss(ax: Axes, panel: Panel, loss: str, settings: pd.DataFrame) -> None:
    style = panel.styles[loss]
    lines = list(settings.groupby(["lr", "options"], sort=False, dropna=False))
    edge = ax.get_xaxis_transform()  # x in weights, y in parts of the axis
    for number, ((lr, options), line) in enumerate(lines):
        points = line.set_index("weight").sort_index()
        done, lost = points[_whole(points)], points[~_whole(points)]
        chosen = done[done["chosen"].astype(bool)]
        ax.plot(
            done.index,
            100 * done["mean"],
            color=style.colour,
            marker=style.marker,
            markersize=3.5,
            markeredgewidth=0,
            linestyle=DASHES[number % len(DASHES)],
            label=_line_name(lr, options) if len(lines) > 1 else None,
        )
        ring = {"markersize": 7, "markerfacecolor": "none", "markeredgecolor": "0.2"}
        ax.plot(chosen.index, 100 * chosen["mean"], "o", **ring)
        ax.plot(lost.index, [0.04] * len(lost), "x", color=style.colour, transform=edge)
    if len(lines) > 1:
        ax.legend(handlelength=2.5)
    ax.set_title("\n".join(textwrap.wrap(loss, 24)), fontsize=7)


def _line_name(lr: float, options: str | None) -> str:
    """Such as ``lr 0.003, gamma 2``."""
    changed = json.loads(options) if options else {}
    return ", ".join([f"lr {lr:g}", *(f"{key} {value}" for key, value in changed.items())])


def _whole(settings: pd.DataFrame) -> pd.Series:
    """Whether every run of a setting is done."""
    return settings["done"] == settings["runs"]


def _legend(settings: pd.DataFrame) -> list[Artist]:
    handles: list[Artist] = [grey_handle("mean over the tuning runs", size=3.5, line=1.2)]
    if settings["chosen"].any():
        ring = grey_handle("chosen", size=7, hollow=True)
        ring.set_markeredgecolor("0.2")
        handles.append(ring)
    if not _whole(settings).all():
        handles.append(grey_handle("a run is not done", marker="x"))
    return handles
