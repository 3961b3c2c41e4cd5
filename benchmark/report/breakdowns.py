"""Where a loss helps: the parts of the test metrics, averaged over the repetitions.

Pure functions from what the runs of one (task, data set, model) recorded in ``details.json`` to
data frames; page, charts and tables are made of these. Everything is a mean over the finished
runs of a loss: what diverged has no part in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy

Details = Mapping[str, Mapping[int, Mapping[str, Any]]]
"""Loss -> repetition -> what that run recorded (``details.json``); losses in order, best first."""
Floats = npt.NDArray[np.float64]

CURVE_COLUMNS = ["loss", "x", "mean", "low", "high", "n"]
GROUPED_COLUMNS = [
    *("loss", "group", "count", "mean", "low", "high"),
    *("diff", "diff_low", "diff_high", "n", "n_pairs"),
]
SINGLE_COLUMNS = [name for name in GROUPED_COLUMNS if name not in ("group", "count")]
HISTOGRAM_COLUMNS = ["loss", "x_low", "x_high", "mean", "low", "high", "n"]
CALIBRATION_COLUMNS = ["loss", "x_low", "x_high", "count", "confidence", "accuracy"]


def curve(details: Details, *path: str, level: float = 0.95) -> pd.DataFrame:
    """A recorded curve: at each x the mean over the runs of a loss, with its t-interval.

    Args:
        details: of one (task, data set, model).
        path: keys that lead to ``{"x": [...], "y": [...]}``: ``"by_iou"``, or
            ``"precision_recall", "IoU 0.50"``.
        level: confidence level of the intervals.

    Returns:
        A frame with :data:`CURVE_COLUMNS`; ``n`` runs have a value there, the interval is NaN
        for fewer than 2. Losses without the curve are absent.
    """
    parts = []
    for loss, runs in _recorded(details, path).items():
        table = _aligned({rep: (r["x"], r["y"]) for rep, r in runs.items()})
        if len(table.columns):
            means = _intervals(table.to_numpy(), level)
            parts.append(_part(loss, means.columns(), x=table.columns.to_numpy()))
    return _joined(parts, CURVE_COLUMNS)


def part(details: Details, key: str) -> Details:
    """Breakdowns that were recorded below a key of their own, as ``"boxes"`` beside masks.

    Returns:
        Details in the same form; losses without them are absent.
    """
    kept = {
        loss: {repetition: run[key] for repetition, run in runs.items() if key in run}
        for loss, runs in details.items()
    }
    return {loss: runs for loss, runs in kept.items() if runs}


def names(details: Details, *path: str) -> list[str]:
    """Keys of the mappings recorded at ``path``, in the order in which they first appear."""
    recorded = _recorded(details, path)
    return list(
        dict.fromkeys(key for runs in recorded.values() for r in runs.values() for key in r)
    )


def grouped(
    details: Details, *path: str, baseline: str | None = None, level: float = 0.95
) -> pd.DataFrame:
    """A metric by group (size, class, ...) for each loss, and its difference to the baseline.

    Args:
        details: of one (task, data set, model).
        path: keys that lead to ``{"group": [...], "value": [...]}``, with or without
            ``"count": [...]``: ``"by_size"``.
        baseline: loss to compare with; without one the differences are NaN.
        level: confidence level of the intervals.

    Returns:
        A frame with :data:`GROUPED_COLUMNS`, for each loss the groups in their order. ``count``
        is what the test split holds of the group (objects, images or pixels), NaN where it was
        not recorded. ``diff`` is the mean of loss - baseline over the ``n_pairs`` repetitions
        that both have, with its t-interval; NaN for the baseline itself. Intervals of fewer
        than 2 values are NaN.
    """
    recorded = _recorded(details, path)
    tables = {
        loss: _aligned({rep: (r["group"], r["value"]) for rep, r in runs.items()})
        for loss, runs in recorded.items()
    }
    names = list(dict.fromkeys(name for table in tables.values() for name in table.columns))
    counts = _counts(recorded)
    parts = []
    for loss, table in tables.items():
        columns = _compared(table, names, tables.get(str(baseline)), loss == baseline, level)
        group_counts = [counts.get(name, float("nan")) for name in names]
        parts.append(_part(loss, columns, group=names, count=group_counts))
    return _joined(parts, GROUPED_COLUMNS)


def single(
    details: Details, *path: str, baseline: str | None = None, level: float = 0.95
) -> pd.DataFrame:
    """One recorded number a run, such as ``"calibration", "ece"``: a row a loss.

    Arguments and meaning as for :func:`grouped`; returns :data:`SINGLE_COLUMNS`.
    """
    tables = {
        loss: pd.DataFrame({"value": pd.Series(runs, dtype=float)})
        for loss, runs in _recorded(details, path).items()
    }
    return _singles(tables, baseline, level)


def matched_share(
    details: Details, baseline: str | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Share of the objects of the test split that a detection meets at IoU 0.5 or more.

    Arguments and meaning as for :func:`grouped`; returns :data:`SINGLE_COLUMNS`.
    """
    tables = {}
    for loss, runs in _recorded(details, ("localisation",)).items():
        shares = {
            rep: r["matched"] / r["objects"] if r["objects"] else np.nan for rep, r in runs.items()
        }
        tables[loss] = pd.DataFrame({"value": pd.Series(shares, dtype=float)})
    return _singles(tables, baseline, level)


def localisation(details: Details, level: float = 0.95) -> pd.DataFrame:
    """How the IoU of the matched boxes is distributed: share of them in each class of IoU.

    A run counts as one, however many boxes it matched; a run without any has no shares.

    Returns:
        A frame with :data:`HISTOGRAM_COLUMNS`: ``mean`` is the mean share in [x_low, x_high)
        over the ``n`` runs; the shares of a loss sum to 1.
    """
    parts = []
    for loss, runs in _recorded(details, ("localisation",)).items():
        edges = _floats(next(iter(runs.values()))["edges"])
        counts = np.array([_floats(r["count"]) for r in runs.values()])
        totals = counts.sum(axis=1, keepdims=True)
        shares = np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
        columns = _intervals(shares, level).columns()
        parts.append(_part(loss, columns, x_low=edges[:-1], x_high=edges[1:]))
    return _joined(parts, HISTOGRAM_COLUMNS)


def calibration(details: Details) -> pd.DataFrame:
    """The reliability diagram of each loss, its runs pooled.

    Returns:
        A frame with :data:`CALIBRATION_COLUMNS`: of the ``count`` predictions of all runs with a
        score in [x_low, x_high), the mean score (``confidence``) and the share that is right
        (``accuracy``); both NaN where there are none. The expected calibration error of a run
        (Guo et al., "On calibration of modern neural networks", ICML 2017, eq. 3) is recorded:
        ``single(details, "calibration", "ece")``.
    """
    parts = []
    for loss, runs in _recorded(details, ("calibration",)).items():
        edges = _floats(next(iter(runs.values()))["edges"])
        counts = np.array([_floats(r["count"]) for r in runs.values()])
        total = counts.sum(axis=0)
        columns: dict[str, Any] = {"count": total}
        for name in ("confidence", "accuracy"):
            sums = np.nansum(counts * np.array([_floats(r[name]) for r in runs.values()]), axis=0)
            columns[name] = np.divide(sums, total, out=np.full_like(sums, np.nan), where=total > 0)
        parts.append(_part(loss, columns, x_low=edges[:-1], x_high=edges[1:]))
    return _joined(parts, CALIBRATION_COLUMNS)


@dataclass(frozen=True)
class _Means:
    """Means down the columns of a table ``[runs, columns]``, each with its t-interval."""

    mean: Floats
    low: Floats
    high: Floats
    n: npt.NDArray[np.int64]

    def columns(self) -> dict[str, Any]:
        return {"mean": self.mean, "low": self.low, "high": self.high, "n": self.n}

    def differences(self) -> dict[str, Any]:
        return {
            "diff": self.mean,
            "diff_low": self.low,
            "diff_high": self.high,
            "n_pairs": self.n,
        }


def _intervals(table: Floats, level: float) -> _Means:
    """As :func:`benchmark.statistics.mean_interval` for each column, NaN left out."""
    n = np.count_nonzero(~np.isnan(table), axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(table, axis=0) / n
        sd = np.sqrt(np.nansum((table - mean) ** 2, axis=0) / np.where(n > 1, n - 1, np.nan))
        half = scipy.special.stdtrit(np.maximum(n - 1, 1), (1 + level) / 2) * sd / np.sqrt(n)
    return _Means(mean, mean - half, mean + half, n)


def _compared(
    table: pd.DataFrame, names: list[Any], against: pd.DataFrame | None, same: bool, level: float
) -> dict[str, Any]:
    """Means of the columns ``names`` of ``table [runs, columns]`` and of the differences."""
    values = _with_columns(table, names)
    means = _intervals(values.to_numpy(), level)
    if against is None or same:
        pairs = _intervals(np.empty((0, len(names))), level)
    else:
        other = _with_columns(against, names)
        if not values.index.equals(other.index):
            shared = values.index.intersection(other.index)
            values, other = values.loc[shared], other.loc[shared]
        pairs = _intervals(values.to_numpy() - other.to_numpy(), level)
    return means.columns() | pairs.differences()


def _with_columns(table: pd.DataFrame, names: list[Any]) -> pd.DataFrame:
    """The columns ``names``; most tables have them already, and reindexing takes its time."""
    return table if list(table.columns) == names else table.reindex(columns=names)


def _singles(tables: dict[str, pd.DataFrame], baseline: str | None, level: float) -> pd.DataFrame:
    against = tables.get(str(baseline))
    parts = [
        _part(loss, _compared(table, ["value"], against, loss == baseline, level))
        for loss, table in tables.items()
    ]
    return _joined(parts, SINGLE_COLUMNS)


def _recorded(details: Details, path: tuple[str, ...]) -> dict[str, dict[int, Any]]:
    """Loss -> repetition -> what lies at ``path``, without the runs that lack it."""
    found: dict[str, dict[int, Any]] = {}
    for loss, runs in details.items():
        for repetition, run in sorted(runs.items()):
            value: Any = run
            for key in path:
                value = value.get(key) if value is not None else None
            if value is not None:
                found.setdefault(loss, {})[repetition] = value
    return found


def _counts(recorded: dict[str, dict[int, Any]]) -> dict[str, float]:
    """Group -> what the test split holds of it; it is the same split for every run."""
    counts: dict[str, float] = {}
    for runs in recorded.values():
        for run in runs.values():
            if "count" in run:
                counts |= dict(zip(run["group"], _floats(run["count"]), strict=True))
    return counts


def _aligned(runs: Mapping[int, tuple[Sequence[Any], Sequence[Any]]]) -> pd.DataFrame:
    """A table ``[repetition, name]`` of ``(names, values)``, which may differ in their names."""
    places: dict[Any, int] = {}
    for keys, _ in runs.values():
        for key in keys:
            places.setdefault(key, len(places))
    table = np.full((len(runs), len(places)), np.nan)
    for row, (keys, values) in zip(table, runs.values(), strict=True):
        row[[places[key] for key in keys]] = _floats(values)
    return pd.DataFrame(table, index=list(runs), columns=list(places))


def _floats(values: Any) -> Floats:
    return np.array(values, dtype=np.float64)  # None, which JSON has for NaN, becomes NaN


def _part(loss: str, columns: dict[str, Any], **first: Any) -> dict[str, Any]:
    """The rows of one loss, as columns."""
    parts = {**first, **columns}
    return {"loss": [loss] * len(parts["mean" if "mean" in parts else "count"]), **parts}


def _joined(parts: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    """The rows of all losses; one frame for all, as making one takes longer than its numbers."""
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.DataFrame(
        {name: list(chain.from_iterable(part[name] for part in parts)) for name in columns}
    )
