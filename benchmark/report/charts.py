"""Charts as PNG and SVG, sized for the column of a journal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from benchmark.report.drawing import (
    RC,
    add_interval,
    add_legend,
    add_loss_axis,
    add_row,
    grey_handle,
    loss_handle,
    new_figure,
)
from benchmark.report.panels import Panel, panels
from benchmark.statistics import MIN_PAIRS, REFERENCES, mean_interval, scores

STEEP = 0.25  # part of the epochs in which the curves rise too steeply to tell apart


class LeftOut(Exception):
    """A chart has nothing to show; the message says why."""


def write_charts(
    runs: pd.DataFrame, history: pd.DataFrame, summary: pd.DataFrame, folder: Path
) -> tuple[list[Path], list[str]]:
    """Draw every chart of every (task, data set, model) into ``folder``, which is made.

    Args:
        runs: one row a run.
        history: one row an epoch of a run.
        summary: what :func:`benchmark.statistics.summarise` made of ``runs``.

    Returns:
        The files written, and a line for each chart left out that says why.
    """
    paths: list[Path] = []
    notes: list[str] = []
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(RC):
        for panel in panels(runs, history, summary):
            for kind, draw in CHARTS.items():
                try:
                    figure = draw(panel)
                except LeftOut as reason:
                    notes.append(f"chart {kind} of {panel.name} left out: {reason}")
                    continue
                figure.axes[0].set_title(panel.name)
                for suffix, metadata in ((".png", {}), (".svg", {"Date": None})):
                    path = folder / f"{kind}-{panel.stem}{suffix}"
                    figure.savefig(path, metadata=metadata)
                    paths.append(path)
    return paths, notes


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


def metric_by_loss(panel: Panel) -> Figure:
    """Every run's metric on the test split, with the mean and its t-interval for each loss.

    A thin line joins the runs of one repetition. A diverged run is a cross at the left edge. The
    interval is left out below three runs, where it would be wider than the chart. References
    too far from the runs to be drawn without squeezing them are named below the axis.
    """
    table = 100 * scores(panel.runs, panel.metric)[panel.losses]
    if table.notna().to_numpy().sum() == 0:
        raise LeftOut("there is no finished run")
    level = float(panel.summary["level"].iloc[0])
    figure, ax = new_figure(len(panel.losses), height=0.7 + 0.3 * len(panel.losses))
    for _, repetition in table.iterrows():
        ax.plot(repetition, range(len(repetition)), color="0.8", linewidth=0.5, zorder=1)
    for row, loss in enumerate(panel.losses):
        add_row(ax, row, table[loss], panel.styles[loss])
        estimate = mean_interval(table[loss], level)
        if estimate.n >= MIN_PAIRS:
            half = estimate.high - estimate.mean
            add_interval(ax, row, estimate.mean, half, panel.styles[loss])
    handles: list[Artist] = [grey_handle("runs, joined by repetition", line=0.5, size=3)]
    if (panel.summary["n"] >= MIN_PAIRS).any():
        handles.append(grey_handle(f"mean and {100 * level:g} % t-interval", line=1.2))
    handles += _diverged_crosses(ax, panel)
    lines, far = _reference_lines(ax, panel)
    add_loss_axis(ax, panel.losses)
    ax.set_xlabel(f"{panel.metric} on the test split (%){far}")
    add_legend(figure, handles + lines)
    return figure


def paired_differences(panel: Panel) -> Figure:
    """Difference of each loss to the baseline: every repetition, the mean, and its t-interval.

    A hollow mean is one that the verdict "cannot tell" goes with.
    """
    baseline = str(panel.summary["baseline"].iloc[0])
    others = panel.summary[panel.summary["loss"] != baseline]
    if others["n_pairs"].sum() == 0:
        raise LeftOut(f"no repetition is done by {baseline} and by another loss")
    table = 100 * scores(panel.runs, panel.metric)
    figure, ax = new_figure(len(panel.losses), height=0.8 + 0.3 * len(others))
    ax.axvline(0, color="0.2", linewidth=0.8)
    for row, (_, loss) in enumerate(others.iterrows()):
        style = panel.styles[loss["loss"]]
        add_row(ax, row, table[loss["loss"]] - table[baseline], style)
        if loss["n_pairs"] >= MIN_PAIRS:
            mean, half = 100 * loss["diff"], 100 * (loss["diff_high"] - loss["diff"])
            add_interval(ax, row, mean, half, style, hollow=loss["verdict"] == "cannot tell")
    add_loss_axis(ax, others["loss"].tolist())
    handles: list[Artist] = [grey_handle("one repetition", size=3)]
    judged = set(others["verdict"])
    if judged & {"better", "worse"}:
        handles.append(grey_handle("better or worse", line=1.2))
    if "cannot tell" in judged:
        handles.append(grey_handle("cannot tell", line=1.2, hollow=True))
    unit = "percentage points"
    if (others["n_pairs"] >= MIN_PAIRS).any():
        unit += f"; mean and {100 * panel.summary['level'].iloc[0]:g} % t-interval"
    ax.set_xlabel(f"{panel.metric} minus that of {baseline}\n({unit})")
    add_legend(figure, handles)
    return figure


CHARTS: dict[str, Callable[[Panel], Figure]] = {
    "convergence": convergence,
    "convergence_time": convergence_time,
    "metric": metric_by_loss,
    "difference": paired_differences,
}


def _mean_curves(ax: Axes, panel: Panel, done: pd.DataFrame, x: str, shown: list[str]) -> None:
    sns.lineplot(
        data=done,
        x=x,
        y=panel.metric,
        hue="loss",
        style="loss",
        hue_order=shown,
        style_order=shown,
        palette={loss: panel.styles[loss].colour for loss in shown},
        markers={loss: panel.styles[loss].marker for loss in shown},
        dashes=False,
        errorbar="sd",
        err_kws={"alpha": 0.15, "linewidth": 0},
        markersize=3.5,
        markeredgewidth=0,
        markevery=max(1, done["epoch"].nunique() // 8),
        legend=False,
        ax=ax,
    )


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


def _diverged_crosses(ax: Axes, panel: Panel) -> list[Artist]:
    """Mark diverged runs at the left edge, clear of the values; return what the legend needs."""
    counts = panel.summary["diverged"].tolist()
    if not any(counts):
        return []
    low, high = ax.get_xlim()
    ax.set_xlim(low - (0.05 + 0.05 * max(counts)) * (high - low), high)
    for row, (loss, count) in enumerate(zip(panel.losses, counts, strict=True)):
        places = [0.025 + 0.04 * i for i in range(count)]
        colour = panel.styles[loss].colour
        transform = ax.get_yaxis_transform()  # x in parts of the axis, y in rows
        ax.plot(places, [row] * count, "x", color=colour, markersize=4.5, transform=transform)
    return [grey_handle("diverged (no value)", marker="x")]


def _reference_lines(ax: Axes, panel: Panel) -> tuple[list[Artist], str]:
    """Lines for untrained and trivial; for those off the axis, a line of text."""
    low, high = ax.get_xlim()
    lines: list[Artist] = []
    far: list[str] = []
    for name, dash in zip(REFERENCES, (":", "--"), strict=True):
        value = 100 * float(panel.summary[name].iloc[0])
        # Farther than the values spread, a line would halve the room that the values have.
        if low - (high - low) <= value <= high + (high - low):
            lines.append(ax.axvline(value, color="0.2", linestyle=dash, linewidth=0.9, label=name))
        elif value == value:
            far.append(f"{name} {value:.1f}")
    return lines, f"\noff the axis: {', '.join(far)}" if far else ""
