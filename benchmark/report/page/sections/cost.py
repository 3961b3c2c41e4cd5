"""Section: what the runs cost, and what a loss costs beside the baseline."""

from __future__ import annotations

import math

import pandas as pd
from markupsafe import Markup

from benchmark.report.costs import LOSS, costs, duration, relative_times
from benchmark.report.page.context import PageContext, section
from benchmark.report.page.html import (
    Cell,
    Column,
    Row,
    loss_name,
    panel_blocks,
    paragraph,
    table,
)
from benchmark.report.panels import Panel
from benchmark.report.tables.formats import UNKNOWN, plain
from benchmark.statistics import GROUP


@section("cost", title="Cost", order=75)
def build(page: PageContext) -> Markup | None:
    """Time of the runs, in sum and by loss; None where no run has left its time."""
    data = page.data
    frame = costs(data.runs, data.history, data.tuning)
    if frame.empty or not frame[["runs", "tuning_runs"]].to_numpy().any():
        return None
    if not frame["runs"].any():
        return paragraph(_total(frame))
    level = float(page.summary["level"].iloc[0])
    relative = relative_times(data.runs, page.baselines, level)
    frame = frame.merge(relative, on=LOSS, how="left")
    blocks = panel_blocks(page, lambda panel: _table(page, panel, frame, level))
    return paragraph(_total(frame)) + paragraph(_slowest(data.runs)) + (blocks or Markup(""))


def _total(frame: pd.DataFrame) -> str:
    finals = int(frame["runs"].sum())
    took = f"took {duration(frame['seconds'].sum())} in sum"
    parts = [f"{finals} run{'' if finals == 1 else 's'} {took}" if finals else "No final run yet"]
    if frame["tuning_runs"].sum():
        runs, seconds = int(frame["tuning_runs"].sum()), frame["tuning_seconds"].sum()
        total = duration(frame["seconds"].sum() + seconds)
        makes = f", which makes {total}" if finals else ""
        parts.append(f"{runs} tuning runs {'' if finals else 'took '}{duration(seconds)}{makes}")
    return (
        f"{'; '.join(parts)}. Runs side by side count each, so less may have passed on the clock."
    )


def _slowest(runs: pd.DataFrame) -> str:
    seconds = runs["seconds"].astype(float)
    row = runs.iloc[int(seconds.argmax())]
    return (
        f"The longest run took {duration(seconds.max())}: {row['loss']}, "
        f"repetition {row['repetition']}, on {row['dataset']} with {row['model']}."
    )


def _table(page: PageContext, panel: Panel, frame: pd.DataFrame, level: float) -> Markup:
    key = panel.runs[GROUP].iloc[0]
    own = frame[(frame[GROUP] == key).all(axis=1)].set_index("loss")
    only_tuned = [loss for loss in own.index if loss not in panel.losses]
    own = own.reindex([*panel.losses, *only_tuned])
    baseline = str(panel.summary["baseline"].iloc[0])
    columns = [
        Column("loss"),
        Column("seconds a run", "right", tip="wall time of a done run: mean ± standard deviation"),
        Column("images/s", "right", tip="in training, evaluation excluded"),
        Column(f"training time × {baseline}", "right"),
        Column("final runs", "right", tip="wall time of all in sum, diverged ones included"),
    ]
    tuned = bool(own["tuning_runs"].sum())
    if tuned:
        columns.append(Column("tuning runs", "right", tip="wall time of all in sum"))
    task = str(key["task"])
    rows = [_row(page, task, row, baseline, tuned) for _, row in own.reset_index().iterrows()]
    return table(columns, rows, caption="Time by loss", note=_note(own, baseline, level))


def _row(page: PageContext, task: str, row: pd.Series, baseline: str, tuned: bool) -> Row:
    loss = str(row["loss"])
    mark = "baseline" if loss == baseline else ""
    cells = [
        Cell(loss_name(page, task, loss), loss, mark, loss),
        Cell(_seconds(row), row["seconds_mean"]),
        Cell(_rate(row["images_per_second"]), row["images_per_second"]),
        Cell("1 (baseline)", 1.0) if mark else Cell(_ratio(row), row["ratio"]),
        _sum(row["runs"], row["seconds"]),
    ]
    return [*cells, _sum(row["tuning_runs"], row["tuning_seconds"])] if tuned else cells


def _sum(runs: int, seconds: float) -> Cell:
    """Seconds of some runs, which the column sorts by."""
    return Cell(f"{runs} in {duration(seconds)}" if runs else UNKNOWN, seconds)


def _seconds(row: pd.Series) -> str:
    mean = plain(row["seconds_mean"])
    return mean if math.isnan(row["seconds_sd"]) else f"{mean} ± {plain(row['seconds_sd'])}"


def _rate(value: float) -> str:
    return plain(value, 1 if value < 100 else 0)


def _ratio(row: pd.Series) -> str:
    if math.isnan(row["ratio"]):
        return UNKNOWN
    if math.isnan(row["ratio_low"]):
        return plain(row["ratio"], 2)
    return f"{row['ratio']:.2f} [{row['ratio_low']:.2f}, {row['ratio_high']:.2f}]"


def _note(own: pd.DataFrame, baseline: str, level: float) -> str:
    sentences = []
    if own["ratio"].notna().any():
        sentences.append(
            f"Training time × {baseline}: geometric mean, over the repetitions that both have "
            f"done, of the training time (evaluation excluded) as a multiple of {baseline}'s; its "
            f"{100 * level:g} % t-interval in [ ]."
        )
    sentences.append(
        "Times are those of these machines, with whatever else ran on them at the time."
    )
    return " ".join(sentences)
