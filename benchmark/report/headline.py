"""The conclusions as sentences that a person can quote."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from benchmark.report import remarks
from benchmark.report.data import ReportData
from benchmark.report.findings import finding, planned_of
from benchmark.report.phrases import counted
from benchmark.report.pooled import over_datasets
from benchmark.statistics import groups, pooled_differences


@dataclass(frozen=True)
class Headline:
    """What the runs of one (task, data set, model) say, or those of several data sets.

    Attributes:
        task, dataset, model: what it is about; ``dataset`` names all, joined by ", ", where it
            pools several.
        text: a few sentences of plain text.
        lead: its beginning, to be quoted alone.
        kind: "claim" (some loss is better or worse than the baseline), "no claim", "incomplete"
            (runs are still to come) or "pooled".
    """

    task: str
    dataset: str
    model: str
    text: str
    lead: str
    kind: str


def headlines(data: ReportData, summary: pd.DataFrame) -> list[Headline]:
    """One for each (task, data set, model) of the summary, in its order; then those pooled.

    A (task, model) is pooled where at least two data sets have pairs of runs of the same losses.
    Last come tables that have only tuning runs so far.
    """
    tuning = dict(groups(data.tuning)) if len(data.tuning) else {}
    runs = dict(groups(data.runs)) if len(summary) else {}
    singles = [
        _headline(key, runs[key], rows, tuning.get(key, data.tuning.iloc[:0]))
        for key, rows in groups(summary)
    ]
    waiting = [_only_tuning(key, own) for key, own in tuning.items() if key not in runs]
    return [*singles, *_pooled(data, summary), *waiting]


def _headline(
    key: tuple[str, str, str], runs: pd.DataFrame, rows: pd.DataFrame, tuning: pd.DataFrame
) -> Headline:
    task, dataset, model = key
    lead = f"On {dataset} with {model}, {finding(rows, planned_of(runs))}"
    absent = remarks.without_runs(runs, tuning)
    sentences = [
        lead,
        remarks.best(runs, rows),
        remarks.exact_test(rows),
        remarks.power(runs, rows),
        remarks.highest_mean(rows),
        remarks.thresholds(runs, rows),
        remarks.edges(tuning),
        remarks.diverged(runs, rows),
        remarks.no_value(runs, rows),
        remarks.failed(runs, rows),
        remarks.unfinished(runs, rows),
        absent,
    ]
    claims = rows["claim"].isin(["better", "worse"]).any()
    incomplete = absent or rows["unfinished"].any()
    kind = "incomplete" if incomplete else "claim" if claims else "no claim"
    return Headline(task, dataset, model, " ".join(s for s in sentences if s), lead, kind)


def _only_tuning(key: tuple[str, str, str], tuning: pd.DataFrame) -> Headline:
    task, dataset, model = key
    ended = int((~tuning["status"].isin(["running", "pending"])).sum())
    runs = counted(len(tuning), "tuning run")
    verb = "has" if ended == 1 else "have"
    text = f"On {dataset} with {model}, there is no final run yet: {ended} of {runs} {verb} ended."
    return Headline(task, dataset, model, text, text, "incomplete")


def _pooled(data: ReportData, summary: pd.DataFrame) -> list[Headline]:
    if summary.empty:
        return []
    baselines = {str(task): str(own["baseline"].iloc[0]) for task, own in summary.groupby("task")}
    pooled = pooled_differences(data.runs, baselines, float(summary["level"].iloc[0]))
    found = []
    for (task, model), rows in pooled.groupby(["task", "model"], sort=False):
        own = data.runs[(data.runs["task"] == task) & (data.runs["model"] == model)]
        datasets, lead, rest = over_datasets(str(model), rows, own)
        names = ", ".join(datasets)
        found.append(Headline(str(task), names, str(model), f"{lead} {rest}", lead, "pooled"))
    return found
