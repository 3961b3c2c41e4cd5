"""Section: the metric over the training, the area below it, and the time to a target."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import pandas as pd
from markupsafe import Markup

from benchmark.report.page.context import PageContext, section
from benchmark.report.page.html import (
    Cell,
    Column,
    figure,
    legend,
    loss_name,
    panel_blocks,
    table,
)
from benchmark.report.page.svg import Axis, Chart, small_multiples
from benchmark.report.panels import Panel
from benchmark.report.rise import areas, evaluated, late_range, mean_curves, times
from benchmark.report.tables import UNKNOWN, difference, percent, plain, spread
from benchmark.report.tables.convergence import WITHOUT_DIVERGED
from benchmark.statistics import Target

CLOCKS = {"epoch": "epoch", "seconds": "training time (s)"}


@section("convergence", title="Convergence", order=40)
def build(page: PageContext) -> Markup | None:
    """Charts and a table for each table whose runs were evaluated during training."""
    return panel_blocks(page, lambda panel: _block(page, panel))


def _block(page: PageContext, panel: Panel) -> Markup | None:
    target = page.targets.get(panel.key)
    charts = {
        title: chart
        for x, title in CLOCKS.items()
        if (chart := _chart(panel, x, title, target)) is not None
    }
    if not charts:
        return None
    task = panel.key[0]
    shown = list(dict.fromkeys(evaluated(panel, "epoch")["loss"]))
    names = legend(page, task, [loss for loss in panel.losses if loss in shown])
    drawn = small_multiples(list(charts.values()), [f"By {title}" for title in charts])
    return names + figure(drawn, _caption(panel, target)) + _table(page, panel, target)


def _chart(panel: Panel, x: str, title: str, target: Target | None) -> Markup | None:
    known = evaluated(panel, x)
    done, diverged = (known[known["status"] == status] for status in ("done", "diverged"))
    if done.empty:
        return None
    metric = panel.metric
    curves = mean_curves(done, metric, x)
    shown = [100 * value for value in late_range(curves)]
    aimed = target is not None and target.metric == metric
    if target is not None and aimed:
        shown.append(100 * target.value)
    chart = Chart(
        x=Axis.around(title, [*curves["x"], *diverged[x]], margin=0.02, integer=x == "epoch"),
        y=Axis.around(f"{metric} on the validation split (%)", shown),
        width=470,
        height=300,
        title=f"{metric} on the validation split by {title}: {panel.name}",
        description="; ".join(_end(loss, own) for loss, own in curves.groupby("loss", sort=False)),
    )
    if target is not None and aimed:
        chart.rule(y=100 * target.value, label="target", dashed=True)
    for loss, own in curves.groupby("loss", sort=False):
        _curve(chart, panel, str(loss), own, title)
    for _, own in diverged.groupby(["loss", "repetition"], sort=False):
        _diverged(chart, panel, own, x)
    return chart.markup()


def _curve(chart: Chart, panel: Panel, loss: str, own: pd.DataFrame, title: str) -> None:
    style = panel.styles[loss]
    mean, sd = 100 * own["mean"], 100 * own["sd"]
    tips = [
        f"{loss}, epoch {row['epoch']:g}"
        + (f", {plain(row['x'], 0)} s" if title != "epoch" else "")
        + f": {spread(row['mean'], row['sd'])} % (n = {row['n']})"
        for row in own.to_dict("records")
    ]
    x = own["x"].tolist()
    chart.band(x, (mean - sd).tolist(), (mean + sd).tolist(), style, loss)
    chart.line(x, mean.tolist(), style, loss, tips)


def _diverged(chart: Chart, panel: Panel, own: pd.DataFrame, x: str) -> None:
    """A thin line of its own that ends in a cross, at the nearer edge where it ends outside."""
    loss, repetition, epoch = own.iloc[-1][["loss", "repetition", "epoch"]]
    style = panel.styles[loss]
    heights = (100 * own[panel.metric]).tolist()
    chart.line(own[x].tolist(), heights, style, loss, thin=True, markers=False)
    axis = chart.frame.y
    tip = f"{loss}, repetition {repetition}: diverged after epoch {epoch:g}"
    end = min(max(heights[-1], axis.low), axis.high)
    chart.cross(float(own[x].iloc[-1]), end, style, loss, tip)


def _end(loss: object, own: pd.DataFrame) -> str:
    last = own.iloc[-1]
    return f"{loss}: {percent(last['mean'])} % after epoch {int(last['epoch'])}"


def _caption(panel: Panel, target: Target | None) -> str:
    sentences = [
        "Lines: mean over the finished runs of a loss; bands: one standard deviation, which "
        "shows how far runs lie apart, not which loss is better. The vertical axis starts where "
        "the first steep quarter of the epochs has passed."
    ]
    if (panel.history["status"] == "diverged").any():
        sentences.append(
            "Thin lines: diverged runs, each to its last evaluation; they are in no mean."
        )
    if target is not None:
        sentences.append(f"Target: {target.metric} of {percent(target.value)} %, {target.source}.")
    return " ".join(sentences)


def _table(page: PageContext, panel: Panel, target: Target | None) -> Markup:
    level = float(panel.summary["level"].iloc[0])
    area = areas(panel, level).to_dict("index")
    columns = {
        "loss": Column("loss"),
        "area": Column("area under (%)", "right", tip="mean height of the curve by epoch"),
        "difference": Column("difference", "right", tip="to the baseline, percentage points"),
    }
    found: dict[Hashable, dict[Hashable, Any]] | None = None
    if target is not None:
        found = times(panel, target).to_dict("index")
        columns["reached"] = Column("reached target", "right")
        columns["epochs"] = Column("epochs to target", "right", tip="half of the runs")
        columns["seconds"] = Column(
            "seconds to target", "right", tip="half of the runs; training only"
        )
    rows = []
    for loss in panel.losses:
        cells = _area_cells(page, panel, loss, area[loss])
        if found is not None:
            cells += _time_cells(found.get(loss))
        rows.append(cells)
    note = (
        f"Area under: mean height of a run's curve of {panel.metric} on the validation split "
        "over the epochs, in percent, mean ± standard deviation over finished runs; a loss that "
        "learns sooner has a larger one. Difference: paired, to the baseline "
        f"{panel.baseline}, with its {100 * level:g} % t-interval, uncorrected."
    )
    if panel.summary["diverged"].any():
        note += f" {WITHOUT_DIVERGED}"
    if target is not None:
        note += (
            f" Target: {target.metric} of {percent(target.value)} % on the validation split "
            f"({target.source}); times are those by which half of the runs that ended had got "
            "there, never where fewer did."
        )
    return table(list(columns.values()), rows, "How fast the losses learn", note)


def _area_cells(page: PageContext, panel: Panel, loss: str, row: dict[Hashable, Any]) -> list[Cell]:
    is_baseline = loss == panel.baseline
    return [
        Cell(loss_name(page, panel.key[0], loss), loss, loss=loss),
        Cell(spread(row["mean"], row["sd"]), float(row["mean"])),
        Cell(
            "baseline"
            if is_baseline
            else difference(row["diff"], row["diff_low"], row["diff_high"]),
            0.0 if is_baseline else float(row["diff"]),
            "quiet" if is_baseline else "",
        ),
    ]


def _time_cells(row: dict[Hashable, Any] | None) -> list[Cell]:
    if row is None:
        return [Cell(UNKNOWN, math.nan)] * 3
    medians = [float(row["epochs"]), float(row["seconds"])]
    return [
        Cell(f"{row['reached']} of {row['n']}", float(row["reached"] / row["n"])),
        *(
            Cell(
                "never" if math.isinf(value) else plain(value, 0),
                value if math.isfinite(value) else math.nan,
            )
            for value in medians
        ),
    ]
