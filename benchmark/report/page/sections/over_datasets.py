"""Section: one difference, and one rank, of each loss over several data sets."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from benchmark.report.page.context import PageContext, section
from benchmark.report.page.html import Cell, Column, Row, figure, loss_name, paragraph, table
from benchmark.report.page.svg import Axis, Chart
from benchmark.report.tables.formats import UNKNOWN, difference, points
from benchmark.statistics import (
    MIN_PAIRS,
    CriticalDifference,
    critical_difference,
    mean_ranks,
    pooled_differences,
)

WIDTH = 470  # pixels of a chart
ROW, MARGIN = 34, 70  # of its height: for a loss, and beside them
RANKS = (
    "On each data set the losses are ranked by their means, 1 being best; those with diverged runs "
    "come last, and equal ones share a rank. A rank does not tell how far apart two losses lie."
)


@section("over_datasets", title="Over the data sets", order=45)
def build(page: PageContext) -> Markup | None:
    """A block for each (task, model) whose losses share data sets; None where none do."""
    if page.summary.empty:
        return None
    runs, level = page.data.runs, float(page.summary["level"].iloc[0])
    pooled = dict(list(pooled_differences(runs, page.baselines, level).groupby(["task", "model"])))
    ranks = dict(list(mean_ranks(runs).groupby(["task", "model"])))
    keys = dict.fromkeys(zip(runs["task"], runs["model"], strict=True))
    blocks = [
        _block(page, key, pooled.get(key), ranks.get(key), level)
        for key in keys
        if key in pooled or key in ranks
    ]
    return Markup("\n").join(blocks) if blocks else None


def _block(
    page: PageContext,
    key: tuple[str, str],
    pooled: pd.DataFrame | None,
    ranks: pd.DataFrame | None,
    level: float,
) -> Markup:
    parts = []
    if pooled is not None:
        ordered = pooled.sort_values("diff", ascending=False, kind="stable")
        parts += [
            paragraph(_scope(ordered)),
            figure(_forest(page, ordered), _forest_caption(ordered)),
            _differences(page, ordered),
        ]
    if ranks is not None:
        parts += [_ranks(page, ranks), _critical(page, ranks, level)]
    return Markup('<section class="panel" data-task="{}"><h3>{}</h3>{}</section>').format(
        key[0], ", ".join(key), Markup("\n").join(parts)
    )


def _scope(pooled: pd.DataFrame) -> str:
    """What the pooled differences are about, and what not."""
    first = pooled.iloc[0]
    same = pooled["names"].nunique() == 1
    where = f"{first['datasets']} data sets ({first['names']})" if same else "the data sets named"
    text = (
        f"Mean over {where} of each loss's mean paired difference of {first['metric']} to "
        f"{first['baseline']}; every data set counts the same. The {100 * first['level']:g} % "
        "interval is about other repetitions on these data sets. It says nothing of other data sets"
    )
    if pooled["between_low"].notna().any():
        return (
            f"{text}; for that there is a second interval, over the data sets, which takes them "
            "for a random draw of those that one cares for."
        )
    return f"{text}, of which there are too few here to say anything."


def _forest(page: PageContext, pooled: pd.DataFrame) -> Markup:
    """Pooled mean and interval of each loss, and its mean difference on each data set."""
    task, model = str(pooled["task"].iloc[0]), str(pooled["model"].iloc[0])
    single = page.summary[(page.summary["task"] == task) & (page.summary["model"] == model)]
    losses = pooled["loss"].tolist()
    baseline = str(pooled["baseline"].iloc[0])
    ends = [*pooled["diff_low"], *pooled["diff_high"], *single["diff"].dropna(), 0.0]
    label = f"{pooled['metric'].iloc[0]} minus that of {baseline} (percentage points)"
    chart = Chart(
        Axis.around(label, [100 * float(end) for end in ends]),
        Axis.categories(losses, losses=losses),
        title=f"Differences to {baseline} over the data sets, {task}, {model}",
        width=WIDTH,
        height=MARGIN + ROW * len(losses),
    )
    chart.rule(x=0)
    for place, row in enumerate(pooled.to_dict("records")):
        loss, style = str(row["loss"]), page.style(task, str(row["loss"]))
        for one in single[single["loss"] == loss].to_dict("records"):
            tip = f"{loss} on {one['dataset']}: {points(one['diff'])}"
            chart.dot(100 * one["diff"], place - 0.18, style, loss, tip, small=True)
        tip = f"{loss}: {difference(row['diff'], row['diff_low'], row['diff_high'])}"
        low, high, middle = (100 * row[name] for name in ("diff_low", "diff_high", "diff"))
        chart.interval(low, high, place + 0.12, style, loss, tip)
        chart.dot(middle, place + 0.12, style, loss, tip, hollow=not row["claim"])
    return chart.markup()


def _forest_caption(pooled: pd.DataFrame) -> str:
    return (
        "Small marks: mean difference on one data set. Large marks: mean over the data sets with "
        f"its {100 * pooled['level'].iloc[0]:g} % interval for these data sets, each for one "
        "comparison alone; filled where better or worse holds after Holm's correction, hollow "
        "elsewhere."
    )


def _differences(page: PageContext, pooled: pd.DataFrame) -> Markup:
    between = bool(pooled["between_low"].notna().any())
    columns = [
        Column("loss"),
        Column("pairs", "right", tip="repetitions done by both losses, all data sets together"),
        Column("difference", "right"),
        Column("verdict"),
    ]
    several = pooled["names"].nunique() > 1
    if several:
        columns.append(Column("data sets"))
    if between:
        columns.append(Column("interval over data sets", "right", sort=False))
    rows = [_difference_row(page, row, several, between) for _, row in pooled.iterrows()]
    return table(columns, rows, caption="Differences over the data sets", note=_note(pooled))


def _difference_row(page: PageContext, row: pd.Series, several: bool, between: bool) -> Row:
    task, loss = str(row["task"]), str(row["loss"])
    low, high = row["between_low"], row["between_high"]
    cells = [
        Cell(loss_name(page, task, loss), loss, loss=loss),
        Cell(str(row["n_pairs"]), float(row["n_pairs"])),
        Cell(difference(row["diff"], row["diff_low"], row["diff_high"]), row["diff"]),
        _verdict(str(row["verdict"]), str(row["claim"])),
    ]
    if several:
        cells.append(Cell(str(row["names"])))
    if between:
        known = f"[{points(low)}, {points(high)}]"
        cells.append(Cell(known if low == low else UNKNOWN))
    return cells


def _verdict(verdict: str, claim: str) -> Cell:
    """The verdict, and whether it outlasts the correction for the number of comparisons."""
    if verdict in ("better", "worse") and not claim:
        return Cell(f"{verdict}, uncorrected")
    return Cell(verdict, mark=claim or "quiet")


def _note(pooled: pd.DataFrame) -> str:
    sentences = [
        "Percentage points, with the interval for these data sets in [ ]. Better, worse: the "
        f"interval excludes 0, over at least {MIN_PAIRS} pairs on every data set, and the test "
        "holds after Holm's correction for the comparisons of this table; uncorrected: only the "
        "interval does. Cannot tell does not mean that the losses are equal."
    ]
    if left_out := sorted({name for name in pooled["left_out"] if name}):
        sentences.append(f"Left out, for lack of pairs: {'; '.join(left_out)}.")
    if pooled[["diverged", "baseline_diverged"]].any(axis=None):
        sentences.append(
            "Diverged runs have no value to pair, so a difference covers the runs that survived, "
            "and no verdict is given in favour of a side that diverged; that verdict is called "
            "diverged."
        )
    return " ".join(sentences)


def _ranks(page: PageContext, ranks: pd.DataFrame) -> Markup:
    columns = [
        Column("loss"),
        Column("mean rank", "right"),
        Column("best", "right"),
        Column("worst", "right"),
    ]
    rows = [
        [
            Cell(loss_name(page, row["task"], row["loss"]), row["loss"], loss=row["loss"]),
            *(Cell(f"{row[name]:.3g}", row[name]) for name in ("mean_rank", "best", "worst")),
        ]
        for row in ranks.to_dict("records")
    ]
    left_out = ranks["left_out"].iloc[0]
    missing = f" Left out, for lack of a value: {left_out}." if left_out else ""
    caption = f"Ranks over {ranks['datasets'].iloc[0]} data sets"
    return table(columns, rows, caption=caption, note=RANKS + missing)


def _critical(page: PageContext, ranks: pd.DataFrame, level: float) -> Markup:
    """The critical-difference diagram, or why there is none."""
    found = critical_difference(ranks, int(ranks["datasets"].iloc[0]), level)
    if found.reason:
        return paragraph(f"No test of the ranks: {found.reason}.", "note")
    if found.p_value > 1 - level:
        return paragraph(f"The ranks do not differ: Friedman test, p = {found.p_value:.2g}.")
    return figure(_diagram(page, ranks, found), _diagram_caption(found, level))


def _diagram(page: PageContext, ranks: pd.DataFrame, found: CriticalDifference) -> Markup:
    """Each loss's mean rank with half of the critical difference to both sides.

    Two losses differ exactly where their lines do not overlap.
    """
    task, losses = str(ranks["task"].iloc[0]), ranks["loss"].tolist()
    half = found.value / 2
    ends = [rank + side for rank in ranks["mean_rank"] for side in (-half, half)]
    chart = Chart(
        Axis.around("mean rank (1 is best)", ends),
        Axis.categories(losses, losses=losses),
        title=f"Critical differences of the mean ranks, {task}, {ranks['model'].iloc[0]}",
        width=WIDTH,
        height=MARGIN + ROW * len(losses),
    )
    for place, (loss, rank) in enumerate(zip(losses, ranks["mean_rank"], strict=True)):
        style = page.style(task, loss)
        tip = f"{loss}: mean rank {rank:.2f}"
        chart.interval(rank - half, rank + half, place, style, loss, tip)
        chart.dot(rank, place, style, loss, tip)
    return chart.markup()


def _diagram_caption(found: CriticalDifference, level: float) -> str:
    groups = "; ".join(", ".join(group) for group in found.groups)
    told = f" Not told apart: {groups}." if groups else ""
    return (
        f"Mean ranks; losses whose lines do not overlap differ at {100 * level:g} % "
        f"(Nemenyi test, critical difference {found.value:.2f}, after a Friedman test with "
        f"p = {found.p_value:.2g}).{told}"
    )
