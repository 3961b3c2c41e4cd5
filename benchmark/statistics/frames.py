"""The data frame of runs: its columns, its groups, and the scores in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

PRIMARY = {"detection": "AP", "segmentation": "mIoU_fg", "instance": "mask_AP"}
"""The metric that ranks the losses of a task."""

STATUSES = ("done", "diverged", "failed", "timed out", "running", "pending")
REFERENCES = ("untrained", "trivial")
"""Predictors to measure a model against; ``<reference>/<metric>`` is a column of the runs."""

GROUP = ["task", "dataset", "model"]
RUN = [*GROUP, "loss", "repetition"]
RUN_COLUMNS = [*RUN, "status"]
NO_METRICS = frozenset({"repetition", "seconds", "train_seconds", "weight", "lr"})
"""Columns of numbers that no run is judged by."""
LESS_IS_BETTER = frozenset({"ECE", "mask_ECE"})
"""Metrics that cannot rank the losses, for the highest value would lead."""


def groups(frame: pd.DataFrame) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Each (task, data set, model) with its rows, in the order in which they first appear."""
    for (task, dataset, model), rows in frame.groupby(GROUP, sort=False):
        yield (str(task), str(dataset), str(model)), rows


def scores(runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Values of ``metric`` as a table ``[repetition, loss]`` for the runs of one group.

    ``runs`` holds one task, data set and model. The losses keep the order of ``runs``; what is
    not done, or where the metric is undefined, is NaN.
    """
    values = runs[metric] if metric in runs else pd.Series(float("nan"), index=runs.index)
    done = values.where(runs["status"] == "done").astype(float)
    table = done.set_axis(pd.MultiIndex.from_frame(runs[["repetition", "loss"]])).unstack("loss")
    return table.sort_index()[list(dict.fromkeys(runs["loss"]))]


def reference(runs: pd.DataFrame, name: str, metric: str) -> float:
    """Mean over repetitions of what the predictor ``name`` (of :data:`REFERENCES`) gets.

    ``runs`` holds one task, data set and model. Every loss of a repetition starts from the same
    weights, so a repetition counts once, however many of its runs report the value. NaN where
    none does.
    """
    column = f"{name}/{metric}"
    if column not in runs:
        return float("nan")
    return float(runs[column].astype(float).groupby(runs["repetition"]).mean().mean())


def check_runs(runs: pd.DataFrame, metric: str | None) -> None:
    """Refuse, with a ``ValueError``, a table of runs that cannot be compared by ``metric``.

    A column is missing, a task or status is not known, the metric is not among those of the runs
    (times and settings are none) or one of :data:`LESS_IS_BETTER`, or two rows are the same run.
    """
    missing = [name for name in RUN_COLUMNS if name not in runs]
    if missing:
        raise ValueError(f"the table of runs lacks the column(s) {', '.join(missing)}")
    for column, allowed in (("task", tuple(PRIMARY)), ("status", STATUSES)):
        unknown = runs.loc[~runs[column].isin(allowed), column]
        if len(unknown):
            raise ValueError(
                f"{column} '{unknown.iloc[0]}' is not known; allowed: {', '.join(allowed)}"
            )
    numbers = map(str, runs.select_dtypes("number").columns)
    if metric in LESS_IS_BETTER:
        raise ValueError(
            f"metric '{metric}' is better the lower it is, but losses are ranked by metrics that "
            "are better the higher they are; the report page has it under Calibration"
        )
    metrics = [name for name in numbers if name not in NO_METRICS | LESS_IS_BETTER]
    if metric is not None and metric not in metrics:
        shown = ", ".join(name for name in metrics if "/" not in name)
        raise ValueError(f"metric '{metric}' is not in the runs; there are: {shown}")
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


def baseline_labels(
    runs: pd.DataFrame, baseline: str | Mapping[str, str] | None = None
) -> dict[str, str]:
    """The label of the baseline for each task of the runs.

    Args:
        baseline: a label, or one for each task. A task without one takes its first loss in the
            order of ``runs``. One given for a task stands even if none of its runs is there,
            as while they are still to come.

    Raises:
        ValueError: a task is not known, or no task has runs of the one label given.
    """
    wanted = with_label(runs, baseline) if isinstance(baseline, str) else dict(baseline or {})
    for task in wanted:
        if task not in PRIMARY:
            raise ValueError(
                f"baseline is given for the task '{task}'; allowed: {', '.join(PRIMARY)}"
            )
    return {task: wanted.get(task, labels[0]) for task, labels in _losses(runs).items()}


def with_label(runs: pd.DataFrame, baseline: str) -> dict[str, str]:
    """The label ``baseline`` for each task that has runs of that loss.

    Raises:
        ValueError: no task has.
    """
    losses = _losses(runs)
    found = {task: baseline for task, labels in losses.items() if baseline in labels}
    if not found:
        known = dict.fromkeys(label for labels in losses.values() for label in labels)
        raise ValueError(
            f"baseline '{baseline}' is not among the losses; allowed: {', '.join(known)}"
        )
    return found


def _losses(runs: pd.DataFrame) -> dict[str, list[str]]:
    """Task -> labels of its losses, both as they first appear."""
    return {
        str(task): list(dict.fromkeys(group["loss"]))
        for task, group in runs.groupby("task", sort=False)
    }
