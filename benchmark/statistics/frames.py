"""The data frame of runs: its columns, its groups, and the scores in it."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

PRIMARY = {"detection": "AP", "segmentation": "mIoU_fg"}
"""The metric that ranks the losses of a task."""

STATUSES = ("done", "diverged", "failed", "timed out", "running", "pending")
REFERENCES = ("untrained", "trivial")
"""Predictors to measure a model against; ``<reference>/<metric>`` is a column of the runs."""

GROUP = ["task", "dataset", "model"]
RUN = [*GROUP, "loss", "repetition"]
RUN_COLUMNS = [*RUN, "status"]


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
