"""Mean ranks of the losses over data sets, and how far apart they must lie."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd
import scipy

from benchmark.statistics.frames import PRIMARY, check_runs, scores
from benchmark.statistics.intervals import check_level
from benchmark.statistics.summary import standing

MIN_DATASETS = 5
MIN_LOSSES = 3
RANK_COLUMNS = ["task", "model", "loss", "mean_rank", "best", "worst", "datasets", "left_out"]


def mean_ranks(runs: pd.DataFrame, metric: str | None = None) -> pd.DataFrame:
    """Mean over data sets of each loss's rank, for each (task, model) with at least 2 of them.

    The block is the data set, never the run: repetitions on one data set share all that is
    particular to it. On a data set, losses rank by the mean of their done runs, those with
    diverged runs after all others, the more the later; 1 is best, ties get the mean of their
    ranks. Only losses that have runs on all data sets are ranked, and a data set on which one of
    these has neither a value nor a diverged run is left out.

    Returns:
        A frame with :data:`RANK_COLUMNS`, best first within each (task, model): ``best`` and
        ``worst`` rank on any data set, the number of ``datasets`` ranked on, and the names of
        those ``left_out``, joined by ", ".

    Raises:
        ValueError: as :func:`~benchmark.statistics.summarise`.
    """
    if runs.empty:
        return pd.DataFrame(columns=RANK_COLUMNS)
    check_runs(runs, metric)
    rows: list[dict[str, Any]] = []
    for (task, model), group in runs.groupby(["task", "model"], sort=False):
        ranks, left_out = _ranks_by_dataset(group, metric or PRIMARY[str(task)])
        if len(ranks) < 2 or ranks.shape[1] < 2:
            continue
        shared = {"task": task, "model": model, "datasets": len(ranks)}
        shared["left_out"] = ", ".join(left_out)
        rows += [
            {**shared, "loss": loss, "mean_rank": own.mean(), "best": own.min(), "worst": own.max()}
            for loss, own in sorted(ranks.items(), key=lambda item: item[1].mean())
        ]
    return pd.DataFrame(rows, columns=RANK_COLUMNS)


def _ranks_by_dataset(runs: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, list[str]]:
    """Ranks ``[data set, loss]`` of one task and model, and the data sets left out."""
    everywhere = runs.groupby("loss")["dataset"].nunique() == runs["dataset"].nunique()
    shared = runs[runs["loss"].map(everywhere)]
    ranks: dict[str, dict[str, float]] = {}
    left_out = []
    for dataset, group in shared.groupby("dataset", sort=False):
        table = scores(group, metric)
        diverged = group["loss"][group["status"] == "diverged"].value_counts()
        keys = {
            loss: standing(values.count(), int(diverged.get(loss, 0)), values.mean())
            for loss, values in table.items()
        }
        if any(empty and not gone for empty, gone, _ in keys.values()):
            left_out.append(str(dataset))
            continue
        order = sorted(keys.values())
        ranks[str(dataset)] = {
            str(loss): order.index(key) + (order.count(key) + 1) / 2 for loss, key in keys.items()
        }
    return pd.DataFrame.from_dict(ranks, orient="index"), left_out


@dataclass(frozen=True)
class CriticalDifference:
    """How far apart mean ranks must lie to differ.

    Attributes:
        value: the critical difference; NaN where ``reason`` is given.
        statistic, p_value: of the Friedman test, in the form of Iman and Davenport.
        groups: losses whose mean ranks do not differ, best first; each group is as large as can
            be and has at least 2 losses. All losses are one group where the Friedman test finds
            no difference.
        reason: why there is no critical difference; "" where there is one.
    """

    value: float
    statistic: float
    p_value: float
    groups: list[tuple[str, ...]]
    reason: str = ""


def friedman_test(ranks: pd.Series, n_datasets: int) -> tuple[float, float]:
    """Whether mean ranks ``[k]`` over ``n_datasets`` differ: F statistic and p-value.

    ``χ² = 12 N / (k (k + 1)) (Σ R² - k (k + 1)² / 4)`` and ``F = (N - 1) χ² / (N (k - 1) - χ²)``
    with ``k - 1`` and ``(k - 1)(N - 1)`` degrees of freedom (Iman and Davenport, 1980; Demšar
    2006, section 3.2.2). Not corrected for ties, which makes it lean to the large side. The
    statistic is ``inf`` and p 0 where all data sets agree.

    Raises:
        ValueError: fewer than 2 losses or data sets.
    """
    k, n = len(ranks), n_datasets
    if k < 2 or n < 2:
        raise ValueError(f"the Friedman test needs 2 losses and 2 data sets, not {k} and {n}")
    chi = 12 * n / (k * (k + 1)) * float((ranks**2).sum() - k * (k + 1) ** 2 / 4)
    rest = n * (k - 1) - chi
    if rest <= 1e-9 * n * k:
        return math.inf, 0.0
    statistic = (n - 1) * chi / rest
    return statistic, float(scipy.stats.f.sf(statistic, k - 1, (k - 1) * (n - 1)))


def critical_difference(
    ranks: pd.DataFrame, n_datasets: int, level: float = 0.95
) -> CriticalDifference:
    """Nemenyi's critical difference ``q sqrt(k (k + 1) / (6 N))`` of mean ranks.

    ``q`` is the quantile of the studentized range of ``k`` values with infinitely many degrees
    of freedom, over ``sqrt(2)`` (Demšar, "Statistical comparisons of classifiers over multiple
    data sets", JMLR 2006, section 3.2.2 and table 5). It rests on the ranks of many data sets
    being close to normal: Demšar has more than 10 data sets and 5 classifiers in mind. Here it
    is given from :data:`MIN_DATASETS` data sets and :data:`MIN_LOSSES` losses on, and only with
    more data sets than losses; below that, ``reason`` says what is missing.

    Args:
        ranks: rows of one (task, model) of what :func:`mean_ranks` returns.

    Raises:
        ValueError: ``level`` is not in (0, 1).
    """
    check_level(level)
    ordered = ranks.sort_values("mean_rank", kind="stable")
    losses, values = list(map(str, ordered["loss"])), ordered["mean_rank"].astype(float).tolist()
    k = len(losses)
    needed = max(MIN_DATASETS, k + 1)
    if k < MIN_LOSSES or n_datasets < needed:
        reason = (
            f"a critical difference needs at least {MIN_LOSSES} losses; there are {k}"
            if k < MIN_LOSSES
            else f"a critical difference of {k} losses needs at least {needed} data sets; "
            f"there are {n_datasets}"
        )
        return CriticalDifference(math.nan, math.nan, math.nan, [], reason)
    q = float(scipy.stats.studentized_range.ppf(level, k, math.inf)) / math.sqrt(2)
    value = q * math.sqrt(k * (k + 1) / (6 * n_datasets))
    statistic, p = friedman_test(ordered["mean_rank"].astype(float), n_datasets)
    same = [tuple(losses)] if p > 1 - level else _groups(losses, values, value)
    return CriticalDifference(value, statistic, p, same)


def _groups(losses: list[str], ranks: list[float], width: float) -> list[tuple[str, ...]]:
    """The longest stretches of the sorted ranks that are no wider than ``width``."""
    found: list[tuple[str, ...]] = []
    reached = 0
    for start, first in enumerate(ranks):
        end = sum(rank - first <= width for rank in ranks)
        if end > reached and end - start > 1:
            found.append(tuple(losses[start:end]))
        reached = max(reached, end)
    return found
