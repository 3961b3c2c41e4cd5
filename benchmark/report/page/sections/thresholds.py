"""Section: what the threshold on a mask's probability decides, and what tuning it changes."""

from __future__ import annotations

import math

import pandas as pd
from markupsafe import Markup

from benchmark.report.breakdowns import Details, curve, grouped
from benchmark.report.page.compared import Judge, differences_note
from benchmark.report.page.context import PageContext, section
from benchmark.report.page.curves import curve_chart
from benchmark.report.page.html import (
    Cell,
    Column,
    Row,
    details,
    figure,
    legend,
    loss_name,
    panel_blocks,
    table,
)
from benchmark.report.panels import Panel
from benchmark.report.tables.formats import difference, percent, plain
from benchmark.statistics import MIN_PAIRS, mean_interval, paired_difference, scores

FIXED, TUNED = "mIoU_fg", "mIoU_fg_tuned"
MANY_CLASSES = 8  # from here on the table of thresholds is folded away
CURVE = (
    "Foreground IoU on the test split when the probability of every class is read at the same "
    "threshold, mean over the finished runs. A loss whose curve is flat needs no tuning; one that "
    "peaks far from 0.5 is judged by a threshold that does not suit it."
)
MARK = " Hollow mark: mean of the thresholds that the runs chose on the validation split."


@section("thresholds", title="Threshold of the masks", order=51)
def build(page: PageContext) -> Markup | None:
    """A block for each table whose runs recorded thresholds."""
    return panel_blocks(page, lambda panel: _block(page, panel))


def _block(page: PageContext, panel: Panel) -> Markup | None:
    found = page.details(panel)
    level = float(panel.summary["level"].iloc[0])
    frame = curve(found, "by_threshold", level=level)
    parts = []
    if not frame.empty:
        parts.append(_figure(page, panel, found, frame))
    compared = tuned_scores(panel, level)
    if compared["tuned"].notna().any():
        parts.append(_comparison(page, panel, compared))
    chosen = grouped(found, "thresholds", level=level)
    if not chosen.empty:
        parts.append(_thresholds(page, panel, chosen))
    return Markup("").join(parts) if parts else None


def _figure(page: PageContext, panel: Panel, found: Details, frame: pd.DataFrame) -> Markup:
    chosen = grouped(found, "thresholds")
    single = chosen["group"].nunique() == 1  # with more, no one threshold is read on this curve
    marked = dict(zip(chosen["loss"], chosen["mean"], strict=True)) if single else None
    chart = curve_chart(
        panel,
        frame,
        "threshold on the probability",
        "foreground IoU (%)",
        f"Foreground IoU by threshold, {panel.name}",
        marked=marked,
    )
    losses = list(dict.fromkeys(frame["loss"]))
    return legend(page, panel.key[0], losses) + figure(chart, CURVE + (MARK if single else ""))


def tuned_scores(panel: Panel, level: float) -> pd.DataFrame:
    """What a threshold chosen on the validation split changes, a row a loss, best first.

    Returns:
        Columns ``loss``, ``fixed`` and ``tuned`` (means of :data:`FIXED` and :data:`TUNED`),
        ``gain``, ``gain_low``, ``gain_high`` (tuned - fixed within the ``n`` runs), and ``diff``,
        ``diff_low``, ``diff_high``, ``n_pairs`` (tuned, to the tuned baseline), all with
        t-intervals; NaN where the runs have not recorded it.
    """
    fixed, tuned = scores(panel.runs, FIXED), scores(panel.runs, TUNED)
    rows = []
    for loss in panel.losses:
        gain = mean_interval(tuned[loss] - fixed[loss], level)
        against = tuned[panel.baseline] if panel.baseline in tuned else tuned[loss] * math.nan
        other = against if loss != panel.baseline else against * math.nan
        diff = paired_difference(tuned[loss], other, level)
        row = {"loss": loss, "fixed": fixed[loss].mean(), "tuned": tuned[loss].mean()}
        row |= {"gain": gain.mean, "gain_low": gain.low, "gain_high": gain.high}
        row |= {"n": gain.n, "diff": diff.mean, "diff_low": diff.low, "diff_high": diff.high}
        rows.append(row | {"n_pairs": diff.n})
    return pd.DataFrame(rows)


def _comparison(page: PageContext, panel: Panel, compared: pd.DataFrame) -> Markup:
    judge = Judge(panel)
    columns = [
        Column("loss"),
        Column("at 0.5 (%)", "right", tip=FIXED),
        Column("tuned (%)", "right", tip=TUNED),
        Column("tuned minus at 0.5", "right"),
        Column(f"tuned: difference to {panel.baseline}", "right"),
    ]
    rows: list[Row] = []
    for _, row in compared.iterrows():
        loss = str(row["loss"])
        sure = row["n"] >= MIN_PAIRS
        gain = difference(row["gain"], row["gain_low"] if sure else math.nan, row["gain_high"])
        rows.append(
            [
                Cell(loss_name(page, panel.key[0], loss), loss, loss=loss),
                Cell(percent(row["fixed"]), float(row["fixed"])),
                Cell(percent(row["tuned"]), float(row["tuned"])),
                Cell(gain, float(row["gain"])),
                judge.cell(row),
            ]
        )
    note = (
        f"{FIXED} takes at each pixel the likeliest class, where its probability is above 0.5; "
        f"{TUNED} reads every class as a mask of its own at the threshold that was best on the "
        "validation split. A loss that leads only in the first ranks the pixels no better: its "
        f"probabilities lie better around 0.5. {differences_note(panel, [compared])}"
    )
    caption = "Mean foreground IoU with the usual and with tuned thresholds"
    return table(columns, rows, caption, note=note)


def _thresholds(page: PageContext, panel: Panel, chosen: pd.DataFrame) -> Markup:
    names = list(dict.fromkeys(chosen["group"]))
    columns = [Column("loss"), *(Column(str(name), "right") for name in names)]
    rows: list[Row] = []
    for name, own in chosen.groupby("loss", sort=False):
        loss = str(name)
        cells = [Cell(plain(value, 2), float(value)) for value in own["mean"]]
        rows.append([Cell(loss_name(page, panel.key[0], loss), loss, loss=loss), *cells])
    drawn = table(columns, rows, "Thresholds chosen on the validation split, mean over the runs")
    if len(names) < MANY_CLASSES:
        return drawn
    return details("Thresholds chosen for each class", drawn)
