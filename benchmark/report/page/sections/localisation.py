"""Section: how well the boxes, or masks, that find an object fit it."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from benchmark.report.breakdowns import Details, localisation, matched_share, part, single
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
from benchmark.report.tables.formats import percent
from benchmark.report.tables.words import WORDS

CAPTION = (
    "Detections matched to an object at an IoU of 0.5 or more, by that IoU: share of them in "
    "classes of 0.025, mean over the finished runs. Losses match different objects: one that finds "
    "more hard ones may show a lower mean IoU for it, so read it beside the share of objects found."
)


@section("localisation", title="How well detections fit", order=52)
def build(page: PageContext) -> Markup | None:
    """A block for each table whose runs recorded the IoU of their matches; boxes after masks."""
    return panel_blocks(page, lambda panel: _block(page, panel))


def _block(page: PageContext, panel: Panel) -> Markup | None:
    found = page.details(panel)
    parts = [
        _fit(page, panel, found, WORDS[panel.key[0]].matched),
        _fit(page, panel, part(found, "boxes"), "boxes"),
    ]
    return Markup("").join(filter(None, parts)) or None


def _fit(page: PageContext, panel: Panel, found: Details, matched: str) -> Markup | None:
    """Chart and table of the matched boxes or masks."""
    level = float(panel.summary["level"].iloc[0])
    frame = localisation(found, level)
    if frame.empty:
        return None
    fit = single(found, "localisation", "mean", baseline=panel.baseline, level=level)
    share = matched_share(found, panel.baseline, level)
    losses = list(dict.fromkeys(frame["loss"]))
    return (
        legend(page, panel.key[0], losses)
        + figure(_chart(panel, frame, matched), CAPTION)
        + _table(page, panel, fit, share, matched)
    )


def _chart(panel: Panel, frame: pd.DataFrame, matched: str) -> Markup:
    """The shares as steps, one outline a loss."""
    chart = Chart(
        Axis("IoU with the object", float(frame["x_low"].min()), float(frame["x_high"].max())),
        Axis.around(f"share of the matched {matched} (%)", [0, *(100 * frame["mean"])]),
        width=640,
        title=f"IoU of the matched {matched}, {panel.name}",
        description="The table below gives each loss's mean.",
    )
    for name, rows in frame.groupby("loss", sort=False):
        loss, style = str(name), panel.styles[str(name)]
        xs = rows[["x_low", "x_high"]].to_numpy().ravel().tolist()
        ys = (100 * rows["mean"]).repeat(2).tolist()
        chart.line(xs, ys, style, loss, markers=False)
        for _, row in rows.iterrows():
            low, high, share = row["x_low"], row["x_high"], row["mean"]
            tip = f"{loss}\nIoU {low:.3f} to {high:.3f}: {percent(share)} %"
            chart.dot((low + high) / 2, 100 * share, style, loss, tip=tip, small=True)
    return chart.markup()


def _table(
    page: PageContext, panel: Panel, fit: pd.DataFrame, share: pd.DataFrame, matched: str
) -> Markup:
    judge = Judge(panel)
    against = f"difference to {panel.baseline}"
    columns = [
        Column("loss"),
        Column("mean IoU (%)", "right", tip=f"of the matched {matched}"),
        Column(against, "right"),
        Column("objects found (%)", "right", tip="matched by a detection at IoU 0.5 or more"),
        Column(against, "right"),
        Column("n", "right", tip="finished runs"),
    ]
    fit = fit.set_index("loss").reindex(share["loss"]).reset_index()
    rows: list[Row] = []
    for (_, own), (_, found) in zip(fit.iterrows(), share.iterrows(), strict=True):
        loss = str(own["loss"])
        rows.append(
            [
                Cell(loss_name(page, panel.key[0], loss), loss, loss=loss),
                Cell(percent(own["mean"]), float(own["mean"])),
                judge.cell(own),
                Cell(percent(found["mean"]), float(found["mean"])),
                judge.cell(found),
                str(found["n"]),
            ]
        )
    note = differences_note(panel, [fit, share]) if len(fit) > 1 else ""
    title = f"Fit of the matched {matched}, and how many objects they find"
    return table(columns, rows, title, note)
