"""What the runs cost: seconds of final and tuning runs, and training time beside the baseline's."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from benchmark.statistics import GROUP, groups, paired_difference, scores

LOSS = [*GROUP, "loss"]
COST_COLUMNS = [
    *LOSS,
    *("n", "seconds_mean", "seconds_sd", "images_per_second"),
    *("runs", "seconds", "tuning_runs", "tuning_seconds"),
]
RELATIVE_COLUMNS = [*LOSS, "ratio", "ratio_low", "ratio_high", "n_pairs"]


def duration(seconds: float) -> str:
    """Seconds as people say them: ``45 s``, ``3 min 20 s``, ``2 h 5 min``; NaN is ``–``."""
    if math.isnan(seconds):
        return "–"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def costs(runs: pd.DataFrame, history: pd.DataFrame, tuning: pd.DataFrame) -> pd.DataFrame:
    """One row a loss of every (task, data set, model): in the order of the runs, then those that
    only the tuning has so far.

    Returns:
        A frame with :data:`COST_COLUMNS`: over the ``n`` done runs the mean and standard deviation
        (n - 1) of the wall time in seconds, and the images a second that training got through;
        ``runs`` that left a time, diverged ones included, and the sum of their seconds; the same
        of the tuning runs. NaN where nothing was measured; sums of nothing are 0.
    """
    runs = runs.reindex(columns=[*LOSS, "status", "seconds"])
    keys = pd.concat([runs[LOSS], tuning.reindex(columns=LOSS)]).drop_duplicates()
    if keys.empty:
        return pd.DataFrame(columns=COST_COLUMNS)
    done = _by_loss(runs[runs["status"] == "done"], "seconds")
    spent = _by_loss(runs, "seconds")
    columns = {
        "n": done.count(),
        "seconds_mean": done.mean(),
        "seconds_sd": done.std(),
        "runs": spent.count(),
        "seconds": spent.sum(),
    }
    if "images_per_second" in history:
        columns["images_per_second"] = _throughput(history)
    if len(tuning):
        tuned = _by_loss(tuning, "seconds")
        columns |= {"tuning_runs": tuned.count(), "tuning_seconds": tuned.sum()}
    frame = pd.DataFrame(columns).reindex(pd.MultiIndex.from_frame(keys)).reset_index()
    frame = frame.reindex(columns=COST_COLUMNS)
    counts = ["n", "runs", "tuning_runs"]
    sums = ["seconds", "tuning_seconds"]
    frame[counts + sums] = frame[counts + sums].astype(float).fillna(0.0)
    return frame.astype(dict.fromkeys(counts, int))


def _by_loss(frame: pd.DataFrame, column: str) -> pd.api.typing.SeriesGroupBy:
    return frame.astype({column: float}).groupby(LOSS, sort=False)[column]


def _throughput(history: pd.DataFrame) -> pd.Series:
    """Images over seconds of a loss: the harmonic mean of its epochs, as all are equally long."""
    known = history[history["images_per_second"].astype(float) > 0]
    inverse = known.assign(images_per_second=1 / known["images_per_second"].astype(float))
    return 1 / _by_loss(inverse, "images_per_second").mean()


def relative_times(
    runs: pd.DataFrame, baselines: Mapping[str, str], level: float = 0.95
) -> pd.DataFrame:
    """Training time of each loss as a multiple of the baseline's, paired by repetition.

    Times vary by factors, not by sums, so the differences of their logarithms are averaged: the
    ratio is the geometric mean over the repetitions that both have done, with its t-interval.

    Args:
        baselines: task -> label of the loss to compare with.

    Returns:
        One row a loss that shares a repetition with the baseline, with :data:`RELATIVE_COLUMNS`;
        the bounds are NaN with one pair. Empty where the runs have no ``train_seconds``.
    """
    rows: list[list[object]] = []
    if "train_seconds" not in runs:
        return pd.DataFrame(rows, columns=RELATIVE_COLUMNS)
    for key, own in groups(runs):
        times = scores(own, "train_seconds")
        logs = times.where(times > 0).map(math.log, na_action="ignore")
        baseline = baselines.get(key[0], "")
        if baseline not in logs:
            continue
        for loss in logs.columns.drop(baseline):
            pairs = paired_difference(logs[loss], logs[baseline], level)
            if pairs.n:
                ratios = [math.exp(bound) for bound in (pairs.mean, pairs.low, pairs.high)]
                rows.append([*key, loss, *ratios, pairs.n])
    return pd.DataFrame(rows, columns=RELATIVE_COLUMNS)
