"""Section: whether scores and probabilities can be taken at their word."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from benchmark.report.breakdowns import calibration, single
from benchmark.report.page.compared import Judge, differences_note
from benchmark.report.page.context import PageContext, section
from benchmark.report.page.html import (
    Cell,
    Column,
    Row,
    figure,
    legend,
    loss_name,
    panel_blocks,
    table,
)
from benchmark.report.page.svg import Axis, Chart
from benchmark.report.panels import Panel
from benchmark.report.tables.formats import UNKNOWN, percent
from benchmark.statistics import MIN_PAIRS

FEWEST = 20  # predictions of a bin that are worth a mark
WHAT = {
    "detection": (
        "score of the detection",
        "A detection is right where it matches an object of its class at an IoU of 0.5 or more.",
    ),
    "segmentation": (
        "probability of a class",
        "A pixel's probability for a class is right where the pixel is of that class.",
    ),
    "instance": (
        "score of the detection",
        "A detection is right where its mask matches that of an object of its class at an IoU of "
        "0.5 or more.",
    ),
}


@section("calibration", title="Calibration", order=54)
def build(page: PageContext) -> Markup | None:
    """A block for each table whose runs recorded their calibration."""
    return panel_blocks(page, lambda panel: _block(page, panel))


def _block(page: PageContext, panel: Panel) -> Markup | None:
    found = page.details(panel)
    frame = calibration(found)
    if frame.empty:
        return None
    level = float(panel.summary["level"].iloc[0])
    errors = single(found, "calibration", "ece", baseline=panel.baseline, level=level)
    losses = list(dict.fromkeys(frame["loss"]))
    return (
        legend(page, panel.key[0], losses)
        + figure(_chart(panel, frame), _caption(panel.key[0]))
        + _table(page, panel, errors)
    )


def _chart(panel: Panel, frame: pd.DataFrame) -> Markup:
    """Share that is right by mean score, one line a loss, beside the diagonal."""
    chart = Chart(
        Axis(f"mean {WHAT[panel.key[0]][0]} (%)", 0, 100),
        Axis("right (%)", 0, 100),
        height=380,
        title=f"Reliability diagram, {panel.name}",
        description="The table below gives each loss's expected calibration error.",
    )
    chart.line([0, 100], [0, 100], dashed=True, markers=False)
    known = frame[frame["count"] >= FEWEST]
    for name, rows in known.groupby("loss", sort=False):
        loss = str(name)
        tips = [
            f"{loss}\nscores from {row['x_low']:.1f} to {row['x_high']:.1f}: mean "
            f"{percent(row['confidence'])} %, right {percent(row['accuracy'])} %, "
            f"{row['count']:,.0f} predictions"
            for _, row in rows.iterrows()
        ]
        xs, ys = (100 * rows["confidence"]).tolist(), (100 * rows["accuracy"]).tolist()
        chart.line(xs, ys, panel.styles[loss], loss, tips=tips)
    return chart.markup()


def _caption(task: str) -> str:
    return (
        f"Predictions of all finished runs in ten bins of their score. {WHAT[task][1]} Below the "
        "dashed diagonal a loss promises too much, above it too little. Bins with fewer than "
        f"{FEWEST} predictions are not drawn."
    )


def _table(page: PageContext, panel: Panel, errors: pd.DataFrame) -> Markup:
    judge = Judge(panel, more_is_better=False)
    columns = [
        Column("loss"),
        Column("calibration error (%)", "right", tip="less is better"),
        Column(f"difference to {panel.baseline}", "right", tip="negative is better"),
        Column("n", "right", tip="finished runs"),
    ]
    rows: list[Row] = [
        [
            Cell(loss_name(page, panel.key[0], str(row["loss"])), row["loss"], loss=row["loss"]),
            Cell(_with_interval(row), float(row["mean"])),
            judge.cell(row),
            str(row["n"]),
        ]
        for _, row in errors.sort_values("mean", kind="stable").iterrows()
    ]
    note = (
        "Expected calibration error: mean gap between score and share that is right over the ten "
        "bins, weighted by their numbers of predictions, so that the many predictions of low score "
        "decide most of it; mean over the runs. Less is better."
    )
    if len(errors) > 1:
        note += f" {differences_note(panel, [errors])}"
    return table(columns, rows, "Expected calibration error", note)


def _with_interval(row: pd.Series) -> str:
    if row["n"] < MIN_PAIRS:
        return percent(row["mean"]) if row["n"] else UNKNOWN
    return f"{percent(row['mean'])} [{percent(row['low'])}, {percent(row['high'])}]"
