"""How a loss depends on its weight."""

from __future__ import annotations

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmark.report.charts.base import LeftOut
from benchmark.report.drawing import add_legend, grey_handle, loss_handle, new_figure
from benchmark.report.panels import Panel
from benchmark.statistics import sensitivity

OTHERS = ["lr", "options"]


def sensitivity_curves(panel: Panel) -> Figure:
    """The validation metric over the weight of each loss, the rest as in its chosen setting.

    A point is the mean over the tuning runs of a setting, a ring marks the chosen one, and a
    cross at the lower edge a setting of which a run is not done (it diverged, failed, or has not
    ended).
    """
    settings = sensitivity(panel.tuning[panel.tuning["loss"].isin(panel.losses)])
    if settings["done"].sum() == 0:
        raise LeftOut("no tuning run is done")
    losses = [loss for loss in panel.losses if (settings["loss"] == loss).any()]
    lines = {loss: _at_the_chosen(settings[settings["loss"] == loss]) for loss in losses}
    figure, ax = new_figure(len(panel.losses), height=2.1)
    for loss, line in lines.items():
        _one_loss(ax, panel, loss, line)
    weights = sorted(settings["weight"].unique())
    if weights[0] > 0:
        ax.set_xscale("log")
    ax.set_xticks(weights, [f"{weight:g}" for weight in weights])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set(xlabel="weight of the loss", ylabel=f"{settings['metric'].iloc[0]} on validation (%)")
    handles: list[Artist] = [loss_handle(loss, panel.styles[loss]) for loss in losses]
    add_legend(figure, handles + _marks(pd.concat(lines.values())))
    return figure


def _at_the_chosen(settings: pd.DataFrame) -> pd.DataFrame:
    """The settings of one loss that differ from the chosen one by nothing but the weight."""
    chosen = settings.loc[settings["chosen"].astype(bool), OTHERS].iloc[0]
    same = settings[OTHERS].eq(chosen) | (settings[OTHERS].isna() & chosen.isna())
    return settings[same.all(axis=1)].set_index("weight").sort_index()


def _one_loss(ax: Axes, panel: Panel, loss: str, line: pd.DataFrame) -> None:
    style = panel.styles[loss]
    done, lost = line[_whole(line)], line[~_whole(line)]
    chosen = done[done["chosen"].astype(bool)]
    (curve,) = ax.plot(done.index, 100 * done["mean"], color=style.colour)
    curve.set(marker=style.marker, markersize=3.5, markeredgewidth=0)
    (ring,) = ax.plot(chosen.index, 100 * chosen["mean"], "o", color=style.colour)
    ring.set(markersize=7, markerfacecolor="none")
    edge = ax.get_xaxis_transform()  # x in weights, y in parts of the axis
    ax.plot(lost.index, [0.04] * len(lost), "x", color=style.colour, transform=edge)


def _whole(settings: pd.DataFrame) -> pd.Series:
    """Whether every run of a setting is done."""
    return settings["done"] == settings["runs"]


def _marks(settings: pd.DataFrame) -> list[Artist]:
    marks: list[Artist] = []
    if settings["chosen"].any():
        marks.append(grey_handle("chosen", size=7, hollow=True))
    if not _whole(settings).all():
        marks.append(grey_handle("a run is not done", marker="x"))
    return marks
