"""What tuning runs say: the setting to choose for each loss, and how much it matters."""

from __future__ import annotations

from typing import Any

import pandas as pd

from benchmark.statistics.frames import GROUP

SETTING_COLUMNS = [
    *(*GROUP, "loss", "setting", "weight", "lr", "options", "metric"),
    *("runs", "done", "diverged", "mean", "min", "max", "rank", "drop", "chosen"),
]


def sensitivity(tuning: pd.DataFrame) -> pd.DataFrame:
    """One row a setting of a loss, in the order tried: how its runs did.

    Args:
        tuning: one row a tuning run: ``task, dataset, model, loss, repetition, setting, status,
            value``, and where they are there ``weight, lr, options, metric``. ``value`` is the
            metric on the validation split after the last epoch.

    Returns:
        A frame with :data:`SETTING_COLUMNS`: the number of ``runs``, of ``done`` ones with a
        value and of ``diverged`` ones; ``mean``, ``min`` and ``max`` of the values; ``rank``
        among the settings of the loss, 1 being the one to choose; ``drop``, how far its mean
        lies below that of rank 1 (negative where a setting with a run lacking has a higher
        mean); ``chosen``, true for rank 1. Settings all of whose runs are done rank first, by
        their mean; then come the others, those with the fewest runs lacking first. Ties keep
        their order.
    """
    if tuning.empty:
        return pd.DataFrame(columns=SETTING_COLUMNS)
    by_loss: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in _measured(tuning).to_dict("records"):
        settings = by_loss.setdefault(tuple(row[name] for name in [*GROUP, "loss"]), [])
        settings.append({str(name): value for name, value in row.items()})
    rows = [row for settings in by_loss.values() for row in _ranked(settings)]
    return pd.DataFrame(rows, columns=SETTING_COLUMNS)


def choose_settings(tuning: pd.DataFrame) -> pd.DataFrame:
    """The setting to choose for each loss: the rows of rank 1 of :func:`sensitivity`.

    The one with the highest mean value, in which every run is done; the first of several. Where
    no setting of a loss has a value, the first is chosen, and its ``mean`` is NaN.
    """
    found = sensitivity(tuning)
    return found[found["chosen"].astype(bool)].reset_index(drop=True)


def _measured(tuning: pd.DataFrame) -> pd.DataFrame:
    """One row a setting of a loss: what it sets, its runs counted, its values summed up."""
    by = [*GROUP, "loss", "setting"]
    done = tuning["status"] == "done"
    runs = tuning.assign(
        value=tuning["value"].astype(float).where(done),
        diverged=tuning["status"] == "diverged",
    ).groupby(by, sort=False)
    found = runs.agg(
        runs=("status", "size"),
        done=("value", "count"),
        diverged=("diverged", "sum"),
        mean=("value", "mean"),
        min=("value", "min"),
        max=("value", "max"),
    ).reset_index()
    named = [name for name in ("weight", "lr", "options", "metric") if name in tuning]
    return found.merge(tuning.drop_duplicates(by)[[*by, *named]], on=by)


def _ranked(settings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The settings of one loss in their order, with rank, drop and which is chosen."""

    def key(row: dict[str, Any]) -> tuple[int, float]:
        lacking = row["runs"] - row["done"]
        return lacking, -row["mean"] if row["done"] else 0.0

    order = sorted(settings, key=key)
    best = order[0]["mean"]
    for rank, row in enumerate(order, start=1):
        row |= {"rank": rank, "drop": best - row["mean"], "chosen": rank == 1}
    return settings
