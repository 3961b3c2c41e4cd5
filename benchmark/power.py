"""What ``run.py power`` tells: which differences repetitions can find, and how many they take."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.collecting import collect
from benchmark.options import UserError
from benchmark.report.tables import UNKNOWN
from benchmark.statistics import (
    PRIMARY,
    baseline_labels,
    detectable_difference,
    groups,
    paired_difference,
    repetitions_needed,
    scores,
    sd_interval,
)
from benchmark.statistics.frames import check_runs, with_label
from benchmark.store import Store

DIFFERENCES = (0.2, 0.5, 1.0, 2.0)
"""Percentage points that are looked at when none are asked for."""
REPETITIONS = (3, 5, 10, 20)
"""Numbers of repetitions whose detectable difference is shown for a given spread."""
LOOK: Any = {
    "box": SIMPLE_HEAD,
    "title_justify": "left",
    "pad_edge": False,
    "padding": (0, 1, 0, 0),
}

NOTE = (
    "All but repetitions in percentage points. sd: of the paired differences. Detectable: the "
    "true difference that so many pairs find with power {power:g} in a two-sided paired t-test at "
    "{alpha:g}, for one comparison alone; after a correction for several, it is larger. "
    "Repetitions needed: to find a difference like that; below it, the same at the ends of the "
    "{level:g} % interval of the sd, which few repetitions leave wide."
)
FOUND = (
    "The difference found is no good guide to the true one: of several losses, those that came "
    "out far from the baseline are in part those that were lucky."
)


@dataclass(frozen=True)
class Question:
    """What is asked of the repetitions.

    Attributes:
        differences: in percentage points, above 0.
        power: probability to find a true difference.
        level: of the t-interval that must exclude 0.
    """

    differences: tuple[float, ...] = DIFFERENCES
    power: float = 0.8
    level: float = 0.95

    def __post_init__(self) -> None:
        for value in self.differences:
            if not (math.isfinite(value) and value > 0):
                raise UserError(f"--difference: must be above 0 percentage points, got {value:g}")
        if not 1 - self.level < self.power < 1:
            raise UserError(
                f"--power: must lie between {1 - self.level:.2g} and 1, got {self.power:g}"
            )


@dataclass(frozen=True)
class Spread:
    """Paired differences of a loss to the baseline; ``sd`` and ``found`` as fractions.

    ``n`` is the number of pairs, or 0 where it is not known.
    """

    loss: str
    n: int
    sd: float
    found: float = math.nan


def power_of_folder(
    console: Console,
    folder: Path,
    question: Question,
    baseline: str | None = None,
    metric: str | None = None,
) -> None:
    """Print, for each table of a results folder, what its repetitions could detect.

    Raises:
        UserError: the folder holds no runs, or has no such baseline or metric.
    """
    store = Store.existing(folder)
    runs, _ = collect(store)
    if runs.empty:
        raise UserError(f"{folder}: holds no run yet")
    experiment = store.experiment()
    chosen = experiment.baselines() if experiment else {}
    try:
        named = {} if baseline is None else with_label(runs, baseline)
        tables = list(spreads(runs, {**chosen, **named}, metric))
    except ValueError as error:
        raise UserError(f"{folder}: {error}") from None
    for title, found in tables:
        console.print(_spread_table(title, found, question))
        console.print(_needed_table(found, question, of_runs=True))
    console.print(Text(f"{_note(question)} {FOUND}"))


def power_of_spread(
    console: Console, sd: float, repetitions: int | None, question: Question
) -> None:
    """Print what a spread of ``sd`` percentage points, found in ``repetitions``, lets one detect.

    Raises:
        UserError: ``sd`` is not a number above 0.
    """
    if not (math.isfinite(sd) and sd > 0):
        raise UserError(f"--sd: must be above 0 percentage points, got {sd:g}")
    known = [Spread(f"sd {sd:g}", repetitions or 0, sd / 100)]
    console.print(_needed_table(known, question, of_runs=False))
    console.print(_detectable_table(sd / 100, question))
    console.print(Text(_note(question)))


def spreads(
    runs: pd.DataFrame,
    baselines: str | Mapping[str, str] | None = None,
    metric: str | None = None,
) -> Iterator[tuple[str, list[Spread]]]:
    """For each (task, data set, model) a title and the spread of each loss but the baseline.

    Raises:
        ValueError: as :func:`benchmark.statistics.summarise`.
    """
    check_runs(runs, metric)
    labels = baseline_labels(runs, baselines)
    for (task, dataset, model), group in groups(runs):
        name, baseline = metric or PRIMARY[task], labels[task]
        table = scores(group, name)
        against = table.get(baseline, pd.Series(math.nan, table.index))
        found = []
        for loss in table.columns.drop(baseline, errors="ignore"):
            pairs = paired_difference(table[loss], against)
            found.append(Spread(str(loss), pairs.n, pairs.sd, pairs.mean))
        yield f"{task}, {dataset}, {model}: {name} against {baseline}", found


def needed(spread: Spread, difference: float, question: Question) -> str:
    """Repetitions that find ``difference`` (a fraction), with their range, as text."""
    if difference == 0 or math.isnan(difference) or math.isnan(spread.sd):
        return UNKNOWN

    def count(sd: float) -> str:
        n = repetitions_needed(sd, difference, question.power, question.level)
        return f"{n:.0f}" if math.isfinite(n) else "> 10⁶"

    if spread.n < 2:
        return count(spread.sd)
    low, high = sd_interval(spread.sd, spread.n, question.level)
    return f"{count(spread.sd)}\n{count(low)}–{count(high)}"


def _spread_table(title: str, found: Sequence[Spread], question: Question) -> Table:
    """What the runs of each loss show, and could have shown."""
    table = Table(title=Text(title), **LOOK)
    table.add_column("loss", overflow="fold")
    for heading in ("pairs", "sd", "interval of the sd", "found", "detectable"):
        table.add_column(heading, justify="right")
    for spread in found:
        bounds = sd_interval(spread.sd, spread.n, question.level)
        interval = UNKNOWN if spread.n < 2 else "–".join(map(_points, bounds))
        detectable = detectable_difference(spread.sd, spread.n, question.power, question.level)
        cells = [_points(spread.sd), interval, _points(spread.found, "+"), _points(detectable)]
        table.add_row(*map(Text, (spread.loss, str(spread.n), *cells)))
    return table


def _needed_table(found: Sequence[Spread], question: Question, of_runs: bool) -> Table:
    """How many repetitions each difference takes; ``of_runs`` adds the difference found."""
    table = Table(title=Text("repetitions needed"), **LOOK)
    table.add_column("loss" if of_runs else "", overflow="fold")
    headings = [f"for {value:g}" for value in question.differences] + ["for found"] * of_runs
    for heading in headings:
        table.add_column(heading, justify="right", overflow="fold")
    for spread in found:
        wanted = [value / 100 for value in question.differences] + [spread.found] * of_runs
        cells = [needed(spread, difference, question) for difference in wanted]
        table.add_row(*map(Text, (spread.loss, *cells)))
    return table


def _detectable_table(sd: float, question: Question) -> Table:
    table = Table(**LOOK)
    table.add_column("repetitions", justify="right")
    table.add_column("detectable difference", justify="right")
    for n in REPETITIONS:
        found = detectable_difference(sd, n, question.power, question.level)
        table.add_row(str(n), _points(found))
    return table


def _points(fraction: float, sign: str = "") -> str:
    """Percentage points with two digits, for spreads are often below 0.1."""
    if math.isnan(fraction):
        return UNKNOWN
    return f"{100 * fraction:{sign}.2f}".replace("-", "−")


def _note(question: Question) -> str:
    return NOTE.format(
        power=question.power, alpha=round(1 - question.level, 6), level=100 * question.level
    )
