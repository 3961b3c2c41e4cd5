"""One row a loss: its mean, its difference to the baseline, and when to claim one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from benchmark.statistics.frames import (
    GROUP,
    PRIMARY,
    REFERENCES,
    RUN,
    RUN_COLUMNS,
    STATUSES,
    groups,
    reference,
    scores,
)
from benchmark.statistics.intervals import Estimate, paired_difference

MIN_PAIRS = 3
"""Fewest pairs of runs that a verdict may rest on; see :func:`summarise`."""

SUMMARY_COLUMNS = [
    *GROUP,
    *("rank", "loss", "metric", "n", "diverged", "failed", "unfinished"),
    *("mean", "std", "min", "max"),
    *("baseline", "level", "diff", "diff_low", "diff_high", "n_pairs", "verdict"),
    *REFERENCES,
]


def summarise(
    runs: pd.DataFrame,
    baseline: str | Mapping[str, str] | None = None,
    metric: str | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """One row a loss of every (task, data set, model), best first.

    Args:
        baseline: label of the loss to compare with, or a label for each task. A task without
            one takes its first loss in the order of ``runs``.
        metric: column to summarise; by default the :data:`PRIMARY` one of each task.
        level: confidence level of the intervals.

    Returns:
        A frame with :data:`SUMMARY_COLUMNS`: ``n`` done runs with a value of the metric, the
        counts of ``diverged``, ``failed`` (timed out included) and ``unfinished`` runs;
        ``mean``, ``std`` (n - 1), ``min``, ``max`` over the n; ``diff`` to the baseline with its
        interval over ``n_pairs`` repetitions done by both; what the untrained model and the
        trivial predictor get; and ``verdict``:

        - "baseline" for the baseline itself, whose ``diff`` is NaN;
        - "too few repetitions": fewer than :data:`MIN_PAIRS` = 3 pairs. Two pairs leave one
          degree of freedom: the interval rests on one distance between two numbers, and nothing
          in them could show that its assumption of normal differences fails;
        - "better", "worse": the interval excludes 0;
        - "cannot tell": it does not. This is not a finding that the losses are equal.

        Losses with a diverged run come after all those without, the more the later, and a loss
        with no value comes last; otherwise the mean decides. What diverged has no value to pair,
        so the interval covers only the repetitions that survived, and flatters the side that
        diverged: no verdict is given in favour of that side.

        Each interval is for one comparison alone, not corrected for their number: with 20
        losses no different from the baseline, one "better" or "worse" is expected at 95 %.

    Raises:
        ValueError: a column is missing, a task, status, baseline or metric is not known, two
            rows are the same run, or ``level`` is not in (0, 1).
    """
    if runs.empty:
        return pd.DataFrame(columns=SUMMARY_COLUMNS)
    _check(runs, metric)
    baselines = _baselines(runs, baseline)
    rows: list[dict[str, Any]] = []
    for (task, dataset, model), group in groups(runs):
        shared = {"task": task, "dataset": dataset, "model": model}
        ranked = _summarise_group(group, metric or PRIMARY[task], baselines[task], level)
        rows += [{**shared, "rank": rank, **row} for rank, row in enumerate(ranked, start=1)]
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def _summarise_group(
    runs: pd.DataFrame, metric: str, baseline: str, level: float
) -> list[dict[str, Any]]:
    table = scores(runs, metric)
    statuses = {str(loss): Counter(rows["status"]) for loss, rows in runs.groupby("loss")}
    against = table[baseline] if baseline in table else pd.Series(float("nan"), table.index)
    baseline_diverged = baseline in table and statuses[baseline]["diverged"] > 0
    shared = {
        "metric": metric,
        "baseline": baseline,
        "level": level,
        **{name: reference(runs, name, metric) for name in REFERENCES},
    }
    rows = []
    for loss in map(str, table.columns):
        values, count = table[loss], statuses[loss]
        row: dict[str, Any] = {
            **shared,
            "loss": loss,
            "n": int(values.count()),
            "diverged": count["diverged"],
            "failed": count["failed"] + count["timed out"],
            "unfinished": count["running"] + count["pending"],
            **{name: float(values.agg(name)) for name in ("mean", "std", "min", "max")},
        }
        if loss == baseline:
            row |= {"n_pairs": 0, "verdict": "baseline"}
        else:
            diff = paired_difference(values, against, level)
            row |= {"diff": diff.mean, "diff_low": diff.low, "diff_high": diff.high}
            row |= {"n_pairs": diff.n}
            row |= {"verdict": _verdict(diff, row["diverged"] > 0, baseline_diverged)}
        rows.append(row)
    return sorted(rows, key=lambda r: (r["n"] == 0, r["diverged"], -r["mean"] if r["n"] else 0.0))


def _verdict(difference: Estimate, diverged: bool, baseline_diverged: bool) -> str:
    if difference.n < MIN_PAIRS:
        return "too few repetitions"
    if difference.low > 0 and not diverged:
        return "better"
    if difference.high < 0 and not baseline_diverged:
        return "worse"
    return "cannot tell"


def _check(runs: pd.DataFrame, metric: str | None) -> None:
    missing = [name for name in RUN_COLUMNS if name not in runs]
    if missing:
        raise ValueError(f"the table of runs lacks the column(s) {', '.join(missing)}")
    for column, allowed in (("task", tuple(PRIMARY)), ("status", STATUSES)):
        unknown = runs.loc[~runs[column].isin(allowed), column]
        if len(unknown):
            raise ValueError(
                f"{column} '{unknown.iloc[0]}' is not known; allowed: {', '.join(allowed)}"
            )
    if metric is not None and metric not in runs:
        numbers = map(str, runs.select_dtypes("number").columns)
        metrics = [name for name in numbers if "/" not in name and name not in RUN_COLUMNS]
        raise ValueError(f"metric '{metric}' is not in the runs; there are: {', '.join(metrics)}")
    twice = runs[runs.duplicated(RUN, keep=False)]
    if len(twice):
        first = twice.iloc[0]
        same = twice[(twice[RUN] == first[RUN]).all(axis=1)]
        cells = f" ({', '.join(map(str, same['cell']))})" if "cell" in same else ""
        raise ValueError(
            f"{len(same)} runs are {first['task']}, {first['dataset']}, {first['model']}, "
            f"{first['loss']}, repetition {first['repetition']}{cells}: report on each "
            f"experiment's results by themselves"
        )


def _baselines(runs: pd.DataFrame, baseline: str | Mapping[str, str] | None) -> dict[str, str]:
    """The label of the baseline for each task of the runs."""
    losses = {
        str(task): list(dict.fromkeys(group["loss"]))
        for task, group in runs.groupby("task", sort=False)
    }
    if isinstance(baseline, str):
        wanted = {task: baseline for task, labels in losses.items() if baseline in labels}
        if not wanted:
            known = ", ".join(label for labels in losses.values() for label in labels)
            raise ValueError(f"baseline '{baseline}' is not among the losses; allowed: {known}")
    else:
        wanted = dict(baseline or {})
    for task, label in wanted.items():
        if task not in PRIMARY:
            raise ValueError(
                f"baseline is given for the task '{task}'; allowed: {', '.join(PRIMARY)}"
            )
        if label not in losses.get(task, [label]):
            raise ValueError(
                f"baseline '{label}' is not among the losses of {task}; "
                f"allowed: {', '.join(losses[task])}"
            )
    return {task: wanted.get(task, labels[0]) for task, labels in losses.items()}
