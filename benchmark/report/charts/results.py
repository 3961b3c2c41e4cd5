"""What the runs reach on the test split, and how they differ from the baseline."""

from __future__ import annotations

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.report.charts.base import LeftOut
from benchmark.report.drawing import (
    add_interval,
    add_legend,
    add_loss_axis,
    add_row,
    grey_handle,
    new_figure,
)
from benchmark.report.panels import Panel
from benchmark.statistics import MIN_PAIRS, REFERENCES, mean_interval, scores


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

    A mean is filled where better or worse holds after Holm's correction, as on the page.
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
            add_interval(ax, row, mean, half, style, hollow=not loss["claim"])
    add_loss_axis(ax, others["loss"].tolist())
    handles: list[Artist] = [grey_handle("one repetition", size=3)]
    claimed = others.loc[others["n_pairs"] >= MIN_PAIRS, "claim"] != ""
    if claimed.any():
        handles.append(grey_handle("better or worse, corrected", line=1.2))
    if not claimed.all():
        handles.append(grey_handle("neither", line=1.2, hollow=True))
    unit = "percentage points"
    if (others["n_pairs"] >= MIN_PAIRS).any():
        unit += f"; mean and {100 * panel.summary['level'].iloc[0]:g} % t-interval"
    ax.set_xlabel(f"{panel.metric} minus that of {baseline}\n({unit})")
    add_legend(figure, handles)
    return figure


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
