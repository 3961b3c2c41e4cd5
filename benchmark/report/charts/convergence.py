"""How the metric on the validation split rises while a loss trains."""

from __future__ import annotations

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from benchmark.report.charts.base import LeftOut
from benchmark.report.drawing import add_legend, grey_handle, loss_handle, new_figure
from benchmark.report.panels import Panel

STEEP = 0.25  # part of the epochs in which the curves rise too steeply to tell apart


def convergence(panel: Panel) -> Figure:
    """Metric on the validation split by epoch; see :func:`_curves`."""
    return _curves(panel, "epoch", "epoch")


def convergence_time(panel: Panel) -> Figure:
    """Metric on the validation split by training time; see :func:`_curves`."""
    return _curves(panel, "seconds", "training time (s)")


def _curves(panel: Panel, x: str, x_label: str) -> Figure:
    """Mean over the finished runs of each loss, in a band of one standard deviation.

    The band shows how far runs lie apart, not which loss is better: what repetitions share
    is in it, and only the paired differences are free of that. A diverged run is in no mean
    (which would jump where the run ends); it is a thin line of its own that ends in a cross.

    The vertical axis starts at the lowest band after the first quarter of the epochs, since
    differences at the end would be too small to see beside the rise from zero.
    """
    metric = panel.metric
    if x not in panel.history or metric not in panel.history:
        raise LeftOut(f"the epochs record no {metric} by {x_label}")
    known = panel.history.dropna(subset=[metric, x]).astype({metric: float, x: float})
    known[metric] *= 100
    done = known[known["status"] == "done"].copy()
    if done.empty:
        raise LeftOut("no finished run was evaluated on the validation split")
    # Runs take different times to the same epoch; the mean curve is drawn at their mean time.
    done[x] = done.groupby(["loss", "epoch"])[x].transform("mean")
    shown = [loss for loss in panel.losses if (done["loss"] == loss).any()]
    figure, ax = new_figure(len(panel.losses), height=2.1)
    _mean_curves(ax, panel, done, x, shown)
    handles: list[Artist] = [loss_handle(loss, panel.styles[loss]) for loss in shown]
    if done.groupby(["loss", "epoch"]).size().max() > 1:
        handles.append(Patch(color="0.85", label="mean ± standard deviation"))
    _skip_the_rise(ax, done, metric)
    handles += _diverged_curves(ax, panel, known[known["status"] == "diverged"], x)
    if x == "epoch":
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel=x_label, ylabel=f"{metric} on the validation split (%)")
    add_legend(figure, handles)
    return figure


def _mean_curves(ax: Axes, panel: Panel, done: pd.DataFrame, x: str, shown: list[str]) -> None:
    """A line through the means of each loss, and its band where there are several runs."""
    curves = done.groupby(["loss", "epoch"]).agg(
        x=(x, "first"), mean=(panel.metric, "mean"), sd=(panel.metric, "std")
    )
    every = max(1, done["epoch"].nunique() // 8)
    for loss in shown:
        curve, style = curves.loc[loss], panel.styles[loss]
        ax.plot(
            curve["x"],
            curve["mean"],
            color=style.colour,
            marker=style.marker,
            markersize=3.5,
            markeredgewidth=0,
            markevery=every,
        )
        low, high = curve["mean"] - curve["sd"], curve["mean"] + curve["sd"]
        ax.fill_between(curve["x"], low, high, color=style.colour, alpha=0.15, linewidth=0)


def _skip_the_rise(ax: Axes, done: pd.DataFrame, metric: str) -> None:
    first, last = done["epoch"].min(), done["epoch"].max()
    late = done[done["epoch"] >= first + STEEP * (last - first)]
    if late["epoch"].nunique() < 3:
        return
    spread = late.groupby(["loss", "epoch"])[metric].agg(["mean", "std"]).fillna(0)
    low = (spread["mean"] - spread["std"]).min()
    high = (spread["mean"] + spread["std"]).max()
    margin = 0.05 * max(high - low, 0.1)
    ax.set_ylim(low - margin, high + margin)


def _diverged_curves(ax: Axes, panel: Panel, epochs: pd.DataFrame, x: str) -> list[Artist]:
    """Draw each diverged run up to its last evaluation; return what the legend needs.

    A run that ends outside the vertical axis has its cross at the nearer end of it.
    """
    low, high = ax.get_ylim()
    ends = epochs.sort_values("epoch").groupby(["loss", "repetition"], sort=False)
    for _, run in ends:
        colour = panel.styles[run["loss"].iloc[0]].colour
        ax.plot(run[x], run[panel.metric], color=colour, linewidth=0.6)
        end = min(max(run[panel.metric].iloc[-1], low), high)
        ax.plot(run[x].iloc[-1], end, "x", color=colour, markersize=5, clip_on=False)
    ax.set_ylim(low, high)
    return [grey_handle("diverged run", marker="x", line=0.6)] if len(epochs) else []
