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
from benchmark.report.rise import evaluated, late_range, mean_curves


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
    known = evaluated(panel, x)
    curves = mean_curves(known[known["status"] == "done"], metric, x)
    if curves.empty:
        raise LeftOut("no finished run was evaluated on the validation split")
    shown = [loss for loss in panel.losses if (curves["loss"] == loss).any()]
    figure, ax = new_figure(len(panel.losses), height=2.1)
    _mean_curves(ax, panel, curves, shown)
    handles: list[Artist] = [loss_handle(loss, panel.styles[loss]) for loss in shown]
    if curves["n"].max() > 1:
        handles.append(Patch(color="0.85", label="mean ± standard deviation"))
    edges = late_range(curves)
    margin = 0.05 * max(max(edges) - min(edges), 0.001)
    ax.set_ylim(100 * (min(edges) - margin), 100 * (max(edges) + margin))
    handles += _diverged_curves(ax, panel, known[known["status"] == "diverged"], x)
    if x == "epoch":
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel=x_label, ylabel=f"{metric} on the validation split (%)")
    add_legend(figure, handles)
    return figure


def _mean_curves(ax: Axes, panel: Panel, curves: pd.DataFrame, shown: list[str]) -> None:
    """A line through the means of each loss, and its band where there are several runs."""
    every = max(1, curves["epoch"].nunique() // 8)
    for loss in shown:
        curve, style = curves[curves["loss"] == loss], panel.styles[loss]
        ax.plot(
            curve["x"],
            100 * curve["mean"],
            color=style.colour,
            marker=style.marker,
            markersize=3.5,
            markeredgewidth=0,
            markevery=every,
        )
        low, high = curve["mean"] - curve["sd"], curve["mean"] + curve["sd"]
        x, colour = curve["x"], style.colour
        ax.fill_between(x, 100 * low, 100 * high, color=colour, alpha=0.15, linewidth=0)


def _diverged_curves(ax: Axes, panel: Panel, epochs: pd.DataFrame, x: str) -> list[Artist]:
    """Draw each diverged run up to its last evaluation; return what the legend needs.

    A run that ends outside the vertical axis has its cross at the nearer end of it.
    """
    low, high = ax.get_ylim()
    for _, run in epochs.groupby(["loss", "repetition"], sort=False):
        colour = panel.styles[run["loss"].iloc[0]].colour
        height = 100 * run[panel.metric]
        ax.plot(run[x], height, color=colour, linewidth=0.6)
        end = min(max(height.iloc[-1], low), high)
        ax.plot(run[x].iloc[-1], end, "x", color=colour, markersize=5, clip_on=False)
    ax.set_ylim(low, high)
    return [grey_handle("diverged run", marker="x", line=0.6)] if len(epochs) else []
