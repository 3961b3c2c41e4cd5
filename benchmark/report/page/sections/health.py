"""Section: gradients and steps of the training, where a loss shows trouble before its metric."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from benchmark.report.health import by_epoch, totals
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
from benchmark.report.page.svg import Axis, Chart, small_multiples
from benchmark.report.panels import Panel
from benchmark.report.tables.formats import UNKNOWN, percent

SHOWN = {
    "grad_norm": ("Gradient norm, mean of the epoch's steps", "gradient norm", 1),
    "grad_norm_max": ("Gradient norm, largest of the epoch's steps", "gradient norm", 1),
    "zero_gradient": ("Positives without gradient", "share of the positives (%)", 100),
}
POSITIVES = {
    "detection": "boxes that are to fit an object",
    "segmentation": "pixels of the foreground",
    "instance": "boxes that are to fit an object",
}
MOST_TIPS = 25  # epochs with a value to hover


@section("health", title="Training health", order=56)
def build(page: PageContext) -> Markup | None:
    """A block for each table whose runs recorded gradients."""
    return panel_blocks(page, lambda panel: _block(page, panel))


def _block(page: PageContext, panel: Panel) -> Markup | None:
    frames = {quantity: by_epoch(panel.history, quantity) for quantity in SHOWN}
    # A share that is 0 throughout is told by the table.
    frames = {quantity: frame for quantity, frame in frames.items() if frame["max"].any()}
    summed = totals(panel.history)
    recorded = summed.drop(columns=["loss", "nonfinite_runs", "runs"]).notna().any(axis=None)
    if not frames and not recorded:
        return None
    parts = []
    if frames:
        charts = [_chart(panel, quantity, frame) for quantity, frame in frames.items()]
        titles = [SHOWN[quantity][0] for quantity in frames]
        losses = [
            loss for loss in panel.losses if any((f["loss"] == loss).any() for f in frames.values())
        ]
        parts.append(legend(page, panel.key[0], losses))
        parts.append(figure(small_multiples(charts, titles), _caption(panel)))
    parts.append(_table(page, panel, summed))
    return Markup("").join(parts)


def _chart(panel: Panel, quantity: str, frame: pd.DataFrame) -> Markup:
    """Mean by epoch with a band from the least to the largest run; diverged runs dashed."""
    title, label, scale = SHOWN[quantity]
    diverged = panel.history[panel.history["status"] == "diverged"].dropna(subset=[quantity])
    values = scale * pd.concat([frame["min"], frame["max"], diverged[quantity]])
    share = scale == 100
    upright = Axis.around(label, [*values, *[0] * share], log=not share)
    last = max(frame["epoch"].max(), 1)
    across = Axis("epoch", min(frame["epoch"].min(), last - 1), last, integer=True)
    chart = Chart(across, upright, title=f"{title}, {panel.name}")
    for name, rows in frame.groupby("loss", sort=False):
        loss, style, epochs = str(name), panel.styles[str(name)], rows["epoch"].tolist()
        low, mean, high = (scale * rows[part] for part in ("min", "mean", "max"))
        chart.band(epochs, low.tolist(), high.tolist(), style, loss)
        tips = [
            f"{loss}\nepoch {epoch}: {value:.3g}, n = {n}"
            for epoch, value, n in zip(epochs, mean, rows["n"], strict=True)
        ]
        few = len(epochs) <= MOST_TIPS
        chart.line(epochs, mean.tolist(), style, loss, tips=tips if few else None)
    for key, rows in diverged.groupby(["loss", "repetition"], sort=False):
        loss = str(key[0])
        ys = (scale * rows[quantity]).tolist()
        chart.line(rows["epoch"].tolist(), ys, panel.styles[loss], loss, dashed=True, markers=False)
    return chart.markup()


def _caption(panel: Panel) -> str:
    text = (
        "Mean over the finished runs, with a band from the lowest run to the highest. The gradient "
        "is that of the whole model, before clipping; it grows with the weight of the loss, so "
        "its course says more than its height. Positives without gradient: "
        f"{POSITIVES[panel.key[0]]} that the loss under test gives no gradient."
    )
    if (panel.runs["status"] == "diverged").any():
        text += " Dashed lines: runs that diverged, each by itself."
    return text


def _table(page: PageContext, panel: Panel, summed: pd.DataFrame) -> Markup:
    columns = [
        Column("loss"),
        Column("gradient norm", "right", tip="mean over runs and epochs"),
        Column("largest", "right", tip="of all steps"),
        Column("no gradient, first epoch (%)", "right", tip="share of the positives"),
        Column("last epoch (%)", "right", tip="share of the positives without gradient"),
        Column("steps not finite", "right"),
    ]
    order = summed["loss"].map(panel.losses.index)
    rows: list[Row] = []
    for _, row in summed.iloc[order.argsort()].iterrows():
        loss = str(row["loss"])
        bad = bool(row["nonfinite_steps"] > 0)
        rows.append(
            [
                Cell(loss_name(page, panel.key[0], loss), loss, loss=loss),
                *(_number(row[name]) for name in ("grad_norm", "grad_norm_max")),
                *(Cell(percent(row[n]), float(row[n])) for n in ("zero_first", "zero_last")),
                Cell(_steps(row), row["nonfinite_steps"], "warning" * bad),
            ]
        )
    note = (
        "All runs together, those that did not finish included. Steps not finite: their loss or "
        "gradient was infinite or not a number."
    )
    return table(columns, rows, "Gradients and steps", note)


def _number(value: float) -> Cell:
    return Cell(UNKNOWN if pd.isna(value) else f"{value:.3g}", float(value))


def _steps(row: pd.Series) -> str:
    if pd.isna(row["nonfinite_steps"]):
        return UNKNOWN
    text = f"{row['nonfinite_steps']:.0f}"
    if row["nonfinite_steps"]:
        text += f" in {row['nonfinite_runs']} of {row['runs']} runs"
    return text
