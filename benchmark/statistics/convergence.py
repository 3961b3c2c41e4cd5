"""How fast a metric on the validation split rises: area under its curve, time to a target."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from benchmark.statistics.frames import GROUP, PRIMARY, RUN, groups

Table = tuple[str, str, str]
"""Task, data set, model."""
PART = 0.95
"""Of what the baseline ends at, the part that runs are timed to where no target is given."""


@dataclass(frozen=True)
class Target:
    """A value of a metric on the validation split, whose first reaching is timed.

    Attributes:
        value: fraction from 0 to 1.
        source: where the value comes from, in words.
    """

    metric: str
    value: float
    source: str


def area_under(
    history: pd.DataFrame, metric: str, x: Literal["epoch", "seconds"] = "epoch"
) -> pd.DataFrame:
    """Mean height of each run's curve of ``metric``: its area, over the length it spans.

    The trapezoid rule over the evaluations of the run, from before training to the last epoch,
    so a fraction from 0 to 1 like the metric. By seconds, each run is measured over its own
    time, and a loss that takes longer is not charged for it.

    Args:
        history: one row an epoch of a run, with the columns ``task, dataset, model, loss,
            repetition, epoch`` and ``x``.

    Returns:
        One row a run: its identity and ``area``. NaN where there are fewer than 2 evaluations,
        or where the last one comes before the last of its (task, data set, model): such a run
        diverged or has not ended, and its curve lacks the part that counts most.
    """
    if history.empty:
        return pd.DataFrame(columns=[*RUN, "area"])
    runs = history[RUN].drop_duplicates()
    known = _evaluated(history, metric)
    if x not in known:
        return runs.assign(area=float("nan")).reset_index(drop=True)
    curves = known.dropna(subset=[x]).astype({x: float, metric: float})
    own = curves.groupby(RUN, sort=False)
    strips = own[x].diff() * (curves[metric] + own[metric].shift()) / 2
    found = (
        curves.assign(strip=strips)
        .groupby(RUN, sort=False)
        .agg(area=("strip", "sum"), first=(x, "first"), end=(x, "last"), epoch=("epoch", "last"))
        .join(known.groupby(GROUP, sort=False)["epoch"].max().rename("last"), on=GROUP)
    )
    length = found["end"] - found["first"]
    whole = (length > 0) & (found["epoch"] >= found["last"])
    area = (found["area"] / length).where(whole).rename("area").reset_index()
    return runs.merge(area, on=RUN, how="left")


def _evaluated(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The epochs in which the metric was measured, in order."""
    if metric not in rows:
        return rows.iloc[:0].assign(**{metric: np.nan})
    return rows.dropna(subset=[metric]).sort_values("epoch", kind="stable")


def time_to_target(history: pd.DataFrame, metric: str, target: float) -> pd.DataFrame:
    """When each run first reached ``target``: the first evaluation with at least that value.

    Nothing is interpolated between evaluations, so a time is late by up to one interval of
    evaluation, the same for every loss.

    Returns:
        One row a run of ``history``: its identity, ``epochs`` and ``seconds`` of training until
        then (0 where the untrained model is there); NaN where it never was.
    """
    if history.empty:
        return pd.DataFrame(columns=[*RUN, "epochs", "seconds"])
    reached = _evaluated(history, metric)
    reached = reached[reached[metric] >= target].drop_duplicates(RUN)
    columns = {"epoch": "epochs", **({"seconds": "seconds"} if "seconds" in reached else {})}
    first = reached[[*RUN, *columns]].rename(columns=columns)
    found = history[RUN].drop_duplicates().merge(first, on=RUN, how="left")
    return found.reindex(columns=[*RUN, "epochs", "seconds"])


def summarise_times(times: pd.DataFrame) -> pd.DataFrame:
    """When half of the runs had reached it, one row a (task, data set, model, loss).

    That is the lower median of what :func:`time_to_target` returns, where a run that never
    reached the target counts as later than every other: ``inf`` where more than half never did.

    Returns:
        ``n`` runs, how many ``reached`` the target, and ``epochs`` and ``seconds`` by which half
        of them had; ``seconds`` is NaN where they were not recorded.
    """
    rows: list[dict[str, Any]] = []
    for key, own in times.groupby([*GROUP, "loss"], sort=False):
        never = own["epochs"].isna()
        row: dict[str, Any] = dict(zip([*GROUP, "loss"], key, strict=True))
        row |= {"n": len(own), "reached": int((~never).sum())}
        for column in ("epochs", "seconds"):
            known = own[column].astype(float).mask(never, float("inf"))
            row[column] = float(known.quantile(0.5, "lower")) if known.notna().all() else math.nan
        rows.append(row)
    return pd.DataFrame(rows, columns=[*GROUP, "loss", "n", "reached", "epochs", "seconds"])


def targets_of(
    history: pd.DataFrame,
    runs: pd.DataFrame,
    baselines: Mapping[str, str],
    given: Mapping[Table, Mapping[str, float]] | None = None,
) -> dict[Table, Target]:
    """The target of each (task, data set, model) that the runs are timed to.

    Where values of metrics that the epochs have are ``given``, the one of the task's primary
    metric, or else the first. Where none is, :data:`PART` of the median over the baseline's done
    runs of the primary metric after the last epoch of each: that median itself is reached only
    at the end by losses much like the baseline, which would tell them by chance. Tables without
    either have no target.

    Args:
        baselines: task -> label; a task without one takes its first loss.
        given: table -> metric -> value on the validation split.
    """
    found: dict[Table, Target] = {}
    curves = dict(groups(history)) if len(history) else {}
    for table, rows in groups(runs):
        primary = PRIMARY[table[0]]
        epochs = curves.get(table)
        wanted = (given or {}).get(table, {})
        # An experiment's targets are those of all its tasks.
        own = {m: v for m, v in wanted.items() if epochs is not None and _has(epochs, m)}
        if own:
            metric = primary if primary in own else next(iter(own))
            found[table] = Target(metric, own[metric], "given in the experiment")
            continue
        baseline = baselines.get(table[0]) or str(rows["loss"].iloc[0])
        done = rows[(rows["loss"] == baseline) & (rows["status"] == "done")]
        if epochs is not None and len(done):
            last = _evaluated(epochs.merge(done[RUN], on=RUN), primary)
            last = last.drop_duplicates(RUN, keep="last")
            if len(last):
                source = f"{100 * PART:g} % of the median of {baseline} after its last epoch"
                found[table] = Target(primary, PART * float(last[primary].median()), source)
    return found


def _has(epochs: pd.DataFrame, metric: str) -> bool:
    return metric in epochs and bool(epochs[metric].notna().any())
