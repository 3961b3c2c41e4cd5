"""One difference over several data sets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy

from benchmark.statistics.frames import PRIMARY, baseline_labels, check_runs, scores
from benchmark.statistics.intervals import (
    Estimate,
    check_level,
    mean_interval,
    paired_difference,
)
from benchmark.statistics.verdicts import claims, verdict

MIN_DATASETS_BETWEEN = 3
"""Fewest data sets of which an interval over data sets is made."""

POOLED_COLUMNS = [
    *("task", "model", "loss", "baseline", "metric", "level"),
    *("datasets", "names", "left_out", "n_pairs"),
    *("diverged", "baseline_diverged", "no_value", "baseline_no_value"),
    *("diff", "diff_low", "diff_high", "df", "p_value", "verdict", "claim"),
    *("between_low", "between_high"),
]


@dataclass(frozen=True)
class Stratum:
    """The comparison of two losses on one data set, with the runs of each that lack a value."""

    name: str
    difference: Estimate
    diverged: int
    baseline_diverged: int
    no_value: int
    baseline_no_value: int


def pooled_differences(
    runs: pd.DataFrame,
    baselines: str | Mapping[str, str] | None = None,
    level: float = 0.95,
    metric: str | None = None,
) -> pd.DataFrame:
    """Mean over data sets of each loss's mean paired difference to the baseline.

    One row a (task, model, loss) whose loss and baseline have at least 2 pairs on each of at
    least 2 data sets; ``names`` are these data sets, joined by ", ", and ``left_out`` those that
    both losses were to run on but where pairs are lacking. Every data set counts the same,
    however many repetitions it has.

    Returns:
        A frame with :data:`POOLED_COLUMNS`, in the order of the runs. ``diff_low`` to
        ``diff_high`` answers: what would other repetitions on *these* data sets give? Its
        standard error is ``sqrt(Σ v_i) / K`` with ``v_i = sd_i² / n_i`` of data set ``i`` of
        ``K``, and its degrees of freedom are ``(Σ v_i)² / Σ (v_i² / (n_i - 1))`` (Satterthwaite,
        "An approximate distribution of estimates of variance components", Biometrics Bulletin
        1946). It says nothing of other data sets. ``between_low`` to ``between_high`` answers
        that other question: the t-interval over the ``K`` differences, where ``K >=``
        :data:`MIN_DATASETS_BETWEEN`, as if the data sets were drawn at random from those that
        one cares for. ``verdict`` and ``claim`` are about the former, with the rules of
        :func:`~benchmark.statistics.summarise`: at least 3 pairs on every data set, none in
        favour of a side that diverged, Holm's correction over the losses of one (task, model).

    Raises:
        ValueError: as :func:`~benchmark.statistics.summarise`.
    """
    check_level(level)
    if runs.empty:
        return pd.DataFrame(columns=POOLED_COLUMNS)
    check_runs(runs, metric)
    labels = baseline_labels(runs, baselines)
    rows: list[dict[str, Any]] = []
    for (task, model), group in runs.groupby(["task", "model"], sort=False):
        name, baseline = metric or PRIMARY[str(task)], labels[str(task)]
        shared = {"task": task, "model": model, "baseline": baseline, "metric": name}
        strata = _strata(group, name, baseline, level)
        pooled = [
            {**shared, "level": level, "loss": loss, **_pool(found, level)}
            for loss, found in strata.items()
            if sum(stratum.difference.n >= 2 for stratum in found) >= 2
        ]
        found = claims(
            [row["verdict"] for row in pooled], [row["p_value"] for row in pooled], level
        )
        rows += [{**row, "claim": claim} for row, claim in zip(pooled, found, strict=True)]
    return pd.DataFrame(rows, columns=POOLED_COLUMNS)


def _strata(
    runs: pd.DataFrame, metric: str, baseline: str, level: float
) -> dict[str, list[Stratum]]:
    """Loss -> its comparison with the baseline on each data set that has runs of both."""
    strata: dict[str, list[Stratum]] = {str(loss): [] for loss in dict.fromkeys(runs["loss"])}
    strata.pop(baseline, None)
    for dataset, group in runs.groupby("dataset", sort=False):
        table = scores(group, metric)
        if baseline not in table:
            continue
        diverged = group["loss"][group["status"] == "diverged"].value_counts()
        done = group["loss"][group["status"] == "done"].value_counts()
        no_value = done.sub(table.count(), fill_value=0)
        for loss in table.columns.drop(baseline):
            difference = paired_difference(table[loss], table[baseline], level)
            lost = [int(n.get(x, 0)) for n in (diverged, no_value) for x in (loss, baseline)]
            strata[str(loss)].append(Stratum(str(dataset), difference, *lost))
    return strata


def _pool(strata: list[Stratum], level: float) -> dict[str, Any]:
    used = [stratum for stratum in strata if stratum.difference.n >= 2]
    pooled = pool([stratum.difference for stratum in used], level)
    between = mean_interval(pd.Series([s.difference.mean for s in used]), level)
    enough = len(used) >= MIN_DATASETS_BETWEEN
    lost = {
        name: sum(getattr(stratum, name) for stratum in strata)
        for name in ("diverged", "baseline_diverged", "no_value", "baseline_no_value")
    }
    fewest = min(stratum.difference.n for stratum in used)
    return {
        "datasets": len(used),
        "names": ", ".join(stratum.name for stratum in used),
        "left_out": ", ".join(s.name for s in strata if s.difference.n < 2),
        "n_pairs": pooled.estimate.n,
        **lost,
        "diff": pooled.estimate.mean,
        "diff_low": pooled.estimate.low,
        "diff_high": pooled.estimate.high,
        "df": pooled.df,
        "p_value": pooled.p_value,
        "verdict": verdict(pooled.estimate, fewest, **{k: n > 0 for k, n in lost.items()}),
        "between_low": between.low if enough else float("nan"),
        "between_high": between.high if enough else float("nan"),
    }


@dataclass(frozen=True)
class Pooled:
    """A mean over strata; ``p_value`` is of the two-sided t-test with ``df`` degrees of freedom.

    ``estimate.n`` counts the pairs of all strata; its ``sd`` is NaN.
    """

    estimate: Estimate
    df: float
    p_value: float


def pool(strata: list[Estimate], level: float = 0.95) -> Pooled:
    """Mean of the strata's means, each with the same weight; see :func:`pooled_differences`.

    Args:
        strata: at least one, each of at least 2 values.

    Raises:
        ValueError: ``level`` is not in (0, 1), or a stratum has fewer than 2 values.
    """
    check_level(level)
    if not strata or min(stratum.n for stratum in strata) < 2:
        raise ValueError("each of the strata, at least one, must have at least 2 values")
    mean = float(np.mean([stratum.mean for stratum in strata]))
    n = np.array([stratum.n for stratum in strata])
    parts = np.array([stratum.sd for stratum in strata]) ** 2 / n
    error = math.sqrt(parts.sum()) / len(strata)
    if error == 0:  # no stratum varies
        df, half, p = float((n - 1).sum()), 0.0, 1.0 if mean == 0 else 0.0
    else:
        shares = parts / parts.sum()  # of the variance: its square could underflow
        df = float(1 / (shares**2 / (n - 1)).sum())
        half = float(scipy.stats.t.ppf((1 + level) / 2, df)) * error
        p = float(2 * scipy.stats.t.sf(abs(mean) / error, df))
    estimate = Estimate(mean, mean - half, mean + half, float("nan"), int(n.sum()), "pooled t")
    return Pooled(estimate, df, p)
