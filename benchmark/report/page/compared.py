"""Charts and tables of what was measured in parts: by size, by class, and so on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from benchmark.report.page.context import PageContext
from benchmark.report.page.html import Cell, Column, Row, loss_name, table
from benchmark.report.page.svg import Axis, Chart
from benchmark.report.panels import Panel
from benchmark.report.tables.formats import UNKNOWN, difference, percent
from benchmark.statistics import MIN_PAIRS

MOST_GROUPS = 12
"""More groups than these are not drawn; the table has them all."""
ROW, GAP = 11, 12  # pixels a loss and between two groups


@dataclass(frozen=True)
class Groups:
    """A way to part the test split.

    Attributes:
        key: in ``details.json``.
        title: what it parts by.
        unit: of what the counts count.
        few: a group with fewer of them than this is one to be careful with.
        metric: what is measured in each group.
    """

    key: str
    title: str
    unit: str
    few: int
    metric: str

    def name(self, group: str, count: float) -> str:
        """A group with what the test split holds of it."""
        return group if math.isnan(count) else f"{group} ({count:,.0f} {self.unit})"


def group_chart(panel: Panel, groups: Groups, frame: pd.DataFrame) -> Markup:
    """A mark and t-interval for each loss in each group; groups from the top.

    Args:
        frame: what :func:`benchmark.report.breakdowns.grouped` gives.
    """
    names = largest(frame)
    losses = list(dict.fromkeys(frame["loss"]))
    counts = frame.drop_duplicates("group").set_index("group")["count"]
    shown = frame[frame["group"].isin(names)]
    sure = shown[shown["n"] >= MIN_PAIRS]
    values = 100 * pd.concat([shown["mean"], sure["low"], sure["high"]]).clip(0, 1)
    labels = [groups.name(name, counts[name]) for name in names]
    chart = Chart(
        Axis.around(f"{groups.metric} (%)", values),
        Axis.categories(labels),
        height=60 + len(names) * (ROW * len(losses) + GAP),
        title=f"{groups.metric} by {groups.title}, {panel.name}",
        description=f"The means and their intervals for {len(losses)} losses; the table below "
        "gives the differences.",
    )
    part = ROW / (ROW * len(losses) + GAP)
    for _, row in shown.iterrows():
        loss = str(row["loss"])
        shift = part * (losses.index(loss) - (len(losses) - 1) / 2)
        _mark(chart, panel, row, names.index(row["group"]) + shift)
    return chart.markup()


def _mark(chart: Chart, panel: Panel, row: pd.Series, y: float) -> None:
    loss = str(row["loss"])
    style = panel.styles[loss]
    tip = f"{loss}, {row['group']}: {percent(row['mean'])} %"
    if row["n"] >= MIN_PAIRS:
        tip += f" [{percent(row['low'])}, {percent(row['high'])}]"
        chart.interval(100 * row["low"], 100 * row["high"], y, style, loss)
    chart.dot(100 * row["mean"], y, style, loss, tip=f"{tip}, n = {row['n']:.0f}")


def largest(frame: pd.DataFrame) -> list[str]:
    """Names of the :data:`MOST_GROUPS` groups with the highest counts, in their order."""
    counts = frame.drop_duplicates("group").set_index("group")["count"]
    kept = set(counts.fillna(0).nlargest(MOST_GROUPS).index)
    return [str(name) for name in counts.index if name in kept]


def group_table(page: PageContext, panel: Panel, groups: Groups, frame: pd.DataFrame) -> Markup:
    """Paired differences to the baseline: a row a loss, a column a group.

    The last row has what the baseline itself reaches, in percent.

    Args:
        frame: what :func:`benchmark.report.breakdowns.grouped` gives with the panel's baseline.
    """
    counts = frame.drop_duplicates("group").set_index("group")["count"]
    columns = [Column("loss")] + [
        Column(groups.name(str(name), count), "right") for name, count in counts.items()
    ]
    judge = Judge(panel)
    task = panel.key[0]
    rows: list[Row] = []
    foot: list[Row] = []
    for name, own in frame.groupby("loss", sort=False):
        loss = str(name)
        head = Cell(loss_name(page, task, loss), loss, loss=loss)
        if loss == panel.baseline:
            label = Cell(f"{loss} (baseline): {groups.metric} (%)", loss=loss)
            foot.append([label, *(percent(mean) for mean in own["mean"])])
        else:
            rows.append([head, *(judge.cell(row) for _, row in own.iterrows())])
    caption = (
        f"{groups.metric} by {groups.title}: difference to {panel.baseline}, percentage points"
    )
    return table(columns, rows, caption, foot=foot)


LEAST = 0.0005
"""A smaller difference is shown as 0.0 points, whatever its interval."""
SIGNS = {"better": " ▲", "worse": " ▼", "": ""}


class Judge:
    """Marks differences whose interval excludes 0, by the rules of the comparison's verdict.

    Nothing is marked from fewer than :data:`benchmark.statistics.MIN_PAIRS` pairs, nor in favour
    of a side with a diverged run, whose surviving runs flatter it, nor a difference that is shown
    as none.

    Args:
        panel: gives the baseline and who diverged.
        more_is_better: whether the metric grows with quality.
    """

    def __init__(self, panel: Panel, more_is_better: bool = True) -> None:
        self.diverged = panel.summary.set_index("loss")["diverged"].to_dict()
        self.baseline = panel.baseline
        self.sign = 1 if more_is_better else -1

    def mark(self, row: pd.Series) -> str:
        """ "better", "worse", or nothing, of a row with loss, diff, its bounds, n_pairs."""
        if row["n_pairs"] < MIN_PAIRS or abs(row["diff"]) < LEAST:
            return ""
        low, high = sorted((self.sign * row["diff_low"], self.sign * row["diff_high"]))
        if low > 0 and not self.diverged.get(row["loss"], 0):
            return "better"
        return "worse" if high < 0 and not self.diverged.get(self.baseline, 0) else ""

    def cell(self, row: pd.Series) -> Cell:
        """The difference in percentage points with its interval, marked; of the baseline itself,
        that it is the baseline. Fewer pairs than can be marked get no interval.
        """
        if row["loss"] == self.baseline:
            return Cell("baseline", float("nan"), "baseline")
        if math.isnan(row["diff"]):
            return Cell(UNKNOWN, float("nan"))
        mark = self.mark(row)
        sure = row["n_pairs"] >= MIN_PAIRS
        text = difference(row["diff"], row["diff_low"] if sure else math.nan, row["diff_high"])
        return Cell(
            text + SIGNS[mark], float(row["diff"]), mark, tip=f"{row['n_pairs']:.0f} pairs of runs"
        )


def differences_note(panel: Panel, frames: list[pd.DataFrame]) -> str:
    """What the differences of the tables above mean, and how far to trust their marks.

    Args:
        frames: those that the tables were made of.
    """
    level = float(panel.summary["level"].iloc[0])
    judged = sum(int((frame["n_pairs"] >= MIN_PAIRS).sum()) for frame in frames)
    sentences = [
        f"Differences: mean of loss minus {panel.baseline} over the repetitions that both have "
        f"done; in [ ] its {100 * level:g} % t-interval, from {MIN_PAIRS} pairs of runs on."
    ]
    if judged:
        chance = (1 - level) * judged
        sentences.append(
            f"▲, ▼: better, worse; the interval excludes 0. Of {judged} such intervals about "
            f"{chance:.1f} would exclude it by chance if no loss differed from the baseline: take "
            "a single mark as a hint of where to look, not as a finding."
        )
        sentences.append(
            "The intervals tell how training varies from repetition to repetition, not how the "
            "numbers would change with other test images."
        )
    unfinished = panel.summary.loc[panel.summary["diverged"] > 0, "loss"].tolist()
    if unfinished:
        sentences.append(
            f"Diverged runs have no part in these means ({', '.join(unfinished)}), and no mark is "
            "given in favour of a loss that has any."
        )
    return " ".join(sentences)
