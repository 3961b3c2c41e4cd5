"""Where a loss helps: by threshold, by group, how well boxes fit, how far to believe scores.

Drawn from what the finished runs recorded of their test predictions; every line is a mean over
the finished runs of a loss.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.report.breakdowns import calibration, curve, grouped, localisation
from benchmark.report.charts.base import LeftOut
from benchmark.report.drawing import (
    COLUMN,
    PAGE,
    add_legend,
    grey_handle,
    loss_handle,
)
from benchmark.report.panels import Panel
from benchmark.report.tables.words import WORDS

THRESHOLDS = {
    "by_iou": ("IoU threshold", "{precision} (%)"),
    "by_threshold": ("threshold on the probability", "foreground IoU (%)"),
}
"""Breakdown -> labels of the axes; ``precision`` is the task's name for average precision."""
GROUPS = {
    "by_size": "object size",
    "by_aspect": "longer : shorter side",
    "by_share": "foreground share of the image",
    "by_class": "class",
}
MOST_GROUPS = 8
"""More groups than these would not be readable; the largest are drawn."""


def thresholds(panel: Panel) -> Figure:
    """The metric at each threshold, beside precision over recall."""
    precision = WORDS[panel.key[0]].precision
    parts = [
        partial(_curve, panel, (key,), x_label, y_label.format(precision=precision))
        for key, (x_label, y_label) in THRESHOLDS.items()
        if not curve(panel.details, key).empty
    ]
    parts += [
        partial(_curve, panel, ("precision_recall", name), f"recall (%), {name}", "precision (%)")
        for name in _precision_recall(panel)[:1]
    ]
    return _row_of_axes(panel, parts, "thresholds", [])


def by_group(panel: Panel) -> Figure:
    """Paired difference to the baseline in each group of the test split, with its t-interval.

    Below the name of a group stand what the test split holds of it and what the baseline
    reaches there.
    """
    frames = {key: grouped(panel.details, key, baseline=panel.baseline) for key in GROUPS}
    shown = {key: frame for key, frame in frames.items() if frame["diff"].notna().any()}
    parts = [partial(_differences, panel, frame, GROUPS[key]) for key, frame in shown.items()]
    marks: list[Artist] = [grey_handle("mean paired difference and 95 % t-interval", line=1.2)]
    # The baseline is the line at 0.
    others = [loss for loss in panel.losses if loss != panel.baseline]
    return _row_of_axes(panel, parts, "groups", marks, others)


def quality(panel: Panel) -> Figure:
    """How the IoU of matches is distributed, and whether scores keep what they promise."""
    parts = []
    if not (boxes := localisation(panel.details)).empty:
        parts.append(partial(_localisation, panel, boxes))
    if not (scores := calibration(panel.details)).empty:
        parts.append(partial(_calibration, panel, scores))
    return _row_of_axes(panel, parts, "matches or scores", [])


def _precision_recall(panel: Panel) -> list[str]:
    """Names of the recorded precision-recall curves."""
    runs = [run for by_repetition in panel.details.values() for run in by_repetition.values()]
    return list(dict.fromkeys(name for run in runs for name in run.get("precision_recall") or {}))


def _row_of_axes(
    panel: Panel,
    parts: Sequence[Callable[[Axes], None]],
    what: str,
    marks: list[Artist],
    losses: list[str] | None = None,
) -> Figure:
    """One axes a part, side by side, above one legend of ``losses`` (by default all)."""
    if not parts:
        raise LeftOut(f"the runs recorded no {what}")
    width = COLUMN if len(parts) == 1 else PAGE
    figure = Figure(figsize=(width, 2.2), layout="constrained")
    for ax, draw in zip(figure.subplots(1, len(parts), squeeze=False)[0], parts, strict=True):
        draw(ax)
    shown = [loss for loss in losses or panel.losses if loss in panel.details]
    handles: list[Artist] = [loss_handle(loss, panel.styles[loss]) for loss in shown]
    add_legend(figure, handles + marks)
    return figure


def _curve(panel: Panel, path: tuple[str, ...], x_label: str, y_label: str, ax: Axes) -> None:
    scale = 100 if "(%)" in x_label else 1
    for loss, rows in curve(panel.details, *path).groupby("loss", sort=False):
        style = panel.styles[str(loss)]
        ax.plot(
            scale * rows["x"],
            100 * rows["mean"],
            color=style.colour,
            marker=style.marker,
            markersize=3,
            markeredgewidth=0,
            markevery=max(1, len(rows) // 9),
        )
    ax.set(xlabel=x_label, ylabel=y_label)


def _differences(panel: Panel, frame: pd.DataFrame, label: str, ax: Axes) -> None:
    own = frame[frame["loss"] == panel.baseline].set_index("group")
    names = _largest(own)
    others = [loss for loss in panel.losses if loss != panel.baseline]
    ax.axhline(0, color="0.2", linewidth=0.8)
    for place, loss in enumerate(others):
        rows = frame[frame["loss"] == loss].set_index("group").reindex(names)
        shift = (place + 0.5) / len(others) - 0.5
        style = panel.styles[loss]
        ax.errorbar(
            [position + 0.7 * shift for position in range(len(names))],
            100 * rows["diff"],
            yerr=100 * (rows["diff_high"] - rows["diff"]).fillna(0),
            fmt=style.marker,
            color=style.colour,
            markersize=3,
            elinewidth=1,
        )
    ax.set_xticks(range(len(names)), [_group_label(row) for _, row in own.loc[names].iterrows()])
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.grid(visible=False, axis="x")
    if len(names) == MOST_GROUPS < len(own):
        label += f" (the {len(names)} largest of {len(own)})"
    ax.set_xlabel(label)
    ax.set_ylabel("\n".join(textwrap.wrap(f"minus {panel.baseline} (points)", 30)))


def _largest(groups: pd.DataFrame) -> list[str]:
    """Names of the :data:`MOST_GROUPS` groups with the highest count, in their order.

    A group that the test split holds nothing of is not among them.
    """
    counts = groups["count"].fillna(0)
    kept = counts[counts > 0].nlargest(MOST_GROUPS).index
    return [name for name in groups.index if name in kept]


def _group_label(row: pd.Series) -> str:
    lines = textwrap.wrap(str(row.name), 12)
    if pd.notna(row["count"]):
        lines.append(f"n = {row['count']:,.0f}")
    if pd.notna(row["mean"]):
        lines.append(f"{100 * row['mean']:.1f} %")
    return "\n".join(lines)


def _localisation(panel: Panel, frame: pd.DataFrame, ax: Axes) -> None:
    for loss, rows in frame.groupby("loss", sort=False):
        edges = [*rows["x_low"], rows["x_high"].iloc[-1]]
        style = panel.styles[str(loss)]
        ax.stairs(100 * rows["mean"].to_numpy(), edges, color=style.colour, linewidth=1.2)
    matched = WORDS[panel.key[0]].matched
    ax.set(xlabel=f"IoU of matched {matched}", ylabel="share of them (%)")


def _calibration(panel: Panel, frame: pd.DataFrame, ax: Axes) -> None:
    ax.plot([0, 100], [0, 100], color="0.6", linewidth=0.8, linestyle="--")
    for loss, rows in frame.dropna(subset=["confidence", "accuracy"]).groupby("loss", sort=False):
        style = panel.styles[str(loss)]
        ax.plot(
            100 * rows["confidence"],
            100 * rows["accuracy"],
            color=style.colour,
            marker=style.marker,
            markersize=3,
            markeredgewidth=0,
        )
    ax.set(xlabel="mean score (%)", ylabel="right (%)", xlim=(0, 100), ylim=(0, 100))
