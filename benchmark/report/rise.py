"""Curves of a metric over the training, and the numbers that go with them."""

from __future__ import annotations

import pandas as pd

from benchmark.report.panels import Panel
from benchmark.statistics import (
    Target,
    area_under,
    paired_difference,
    summarise_times,
    time_to_target,
)

STEEP = 0.25  # part of the epochs in which curves rise too steeply to tell apart


def evaluated(panel: Panel, x: str) -> pd.DataFrame:
    """The epochs of a panel in which its metric was measured and ``x`` is known, in order."""
    if x not in panel.history or panel.metric not in panel.history:
        return panel.history.iloc[:0].assign(**{x: 0.0, panel.metric: 0.0, "epoch": 0})
    known = panel.history.dropna(subset=[panel.metric, x])
    return known.astype({panel.metric: float, x: float}).sort_values("epoch", kind="stable")


def mean_curves(done: pd.DataFrame, metric: str, x: str) -> pd.DataFrame:
    """Mean over the runs of each loss at each epoch.

    Runs take different times to the same epoch; a mean is placed at their mean time.

    Args:
        done: epochs of finished runs, as :func:`evaluated` gives them.

    Returns:
        One row a (``loss``, ``epoch``), in order: ``x``, ``mean`` and ``sd`` of the metric (sd
        NaN for one run), and ``n`` runs.
    """
    return (
        done.groupby(["loss", "epoch"], sort=True)
        .agg(x=(x, "mean"), mean=(metric, "mean"), sd=(metric, "std"), n=(metric, "size"))
        .reset_index()
    )


def late_range(curves: pd.DataFrame) -> list[float]:
    """Edges of the bands after the first quarter of the epochs; all, where few epochs follow.

    Differences at the end would be too small to see beside the rise from zero.
    """
    first, last = curves["epoch"].min(), curves["epoch"].max()
    late = curves[curves["epoch"] >= first + STEEP * (last - first)]
    shown = late if late["epoch"].nunique() >= 3 else curves
    sd = shown["sd"].fillna(0)
    return [*(shown["mean"] - sd), *(shown["mean"] + sd)]


def areas(panel: Panel, level: float) -> pd.DataFrame:
    """Area under the curve by epoch of the done runs, one row a loss of the panel, best first.

    A run under way has no part: its curve still lacks epochs that others have.

    Returns:
        Indexed by loss: ``mean`` and ``sd`` over ``n`` runs, and ``diff``, ``diff_low``,
        ``diff_high``: the mean paired difference to the baseline with its interval.
    """
    done = panel.history[panel.history["status"] == "done"]
    found = area_under(done, panel.metric)
    table = found.pivot(index="repetition", columns="loss", values="area")
    rows = {}
    for loss in panel.losses:
        own = table[loss] if loss in table else pd.Series(dtype=float)
        row = {"mean": own.mean(), "sd": own.std(), "n": int(own.count())}
        if loss != panel.baseline and panel.baseline in table:
            diff = paired_difference(own, table[panel.baseline], level)
            row |= {"diff": diff.mean, "diff_low": diff.low, "diff_high": diff.high}
        rows[loss] = row
    columns = ["mean", "sd", "n", "diff", "diff_low", "diff_high"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def times(panel: Panel, target: Target) -> pd.DataFrame:
    """Runs that reached the target and when half of them had, indexed by loss.

    Columns as :func:`benchmark.statistics.summarise_times`. Unfinished and failed runs are left
    out; a diverged one counts, as it had its chance.
    """
    ended = panel.history[panel.history["status"].isin(["done", "diverged"])]
    return summarise_times(time_to_target(ended, target.metric, target.value)).set_index("loss")
