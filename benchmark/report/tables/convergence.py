"""How fast the losses rise, a row a loss."""

from __future__ import annotations

import math

import pandas as pd

from benchmark.report.data import ReportData
from benchmark.report.tables.formats import UNKNOWN, percent, plain, spread
from benchmark.report.tables.formatted import TextTable
from benchmark.statistics import (
    GROUP,
    PRIMARY,
    Target,
    area_under,
    groups,
    summarise_times,
    targets_of,
    time_to_target,
)

COLUMNS = [
    *(*GROUP, "loss", "metric", "n", "area_mean", "area_sd"),
    *("target_metric", "target", "target_source", "runs", "reached", "epochs", "seconds"),
]


def convergence_frame(data: ReportData, summary: pd.DataFrame) -> pd.DataFrame:
    """Area under the validation curve and time to the target, a row a loss, best first.

    Returns:
        A frame with :data:`COLUMNS`: ``area_mean`` and ``area_sd`` (n - 1) of the ``n`` runs
        with a whole curve, by epochs, of the task's primary metric as a fraction; ``target``,
        how many of the ``runs`` ``reached`` it, and the median ``epochs`` and ``seconds`` of
        training until then, ``inf`` where half of the runs or more never did. NaN where there is
        no target.
    """
    targets = targets_of(data.history, data.runs, data.baselines, data.targets)
    losses = {key: rows["loss"].tolist() for key, rows in groups(summary)}
    frames = [
        _of_table(history, PRIMARY[key[0]], targets.get(key), losses[key]).assign(
            **dict(zip(GROUP, key, strict=True))
        )
        for key, history in groups(data.history)
        if key in losses
    ]
    frames = [frame for frame in frames if frame[["area_mean", "target"]].notna().any(axis=None)]
    return pd.concat(frames, ignore_index=True)[COLUMNS] if frames else pd.DataFrame()


def _of_table(
    history: pd.DataFrame, metric: str, target: Target | None, losses: list[str]
) -> pd.DataFrame:
    areas = area_under(history, metric).groupby("loss")["area"].agg(["count", "mean", "std"])
    areas.columns = ["n", "area_mean", "area_sd"]
    frame = areas.reindex(losses).rename_axis("loss").assign(metric=metric)
    if target is None:
        return frame.reindex(columns=[*frame, *COLUMNS[8:]]).reset_index()
    times = summarise_times(time_to_target(history, target.metric, target.value))
    times = times.set_index("loss")[["n", "reached", "epochs", "seconds"]]
    named = {
        "target_metric": target.metric,
        "target": target.value,
        "target_source": target.source,
    }
    return frame.assign(**named).join(times.rename(columns={"n": "runs"})).reset_index()


def convergence_tables(frame: pd.DataFrame) -> list[TextTable]:
    """One table for each (task, data set, model) of :func:`convergence_frame`."""
    return [
        TextTable(f"{', '.join(key)}: convergence", _cells(rows), _caption(rows.iloc[0]))
        for key, rows in groups(frame)
    ]


def _cells(rows: pd.DataFrame) -> pd.DataFrame:
    cells = {
        "loss": rows["loss"].tolist(),
        f"area under {rows['metric'].iloc[0]} (%)": [
            spread(*pair) for pair in zip(rows["area_mean"], rows["area_sd"], strict=True)
        ],
    }
    if rows["target"].notna().any():
        cells["reached"] = [
            f"{reached:.0f} of {runs:.0f}" if runs == runs else UNKNOWN
            for reached, runs in zip(rows["reached"], rows["runs"], strict=True)
        ]
        cells["epochs"] = [_time(value, 0) for value in rows["epochs"]]
        cells["seconds"] = [_time(value, 0) for value in rows["seconds"]]
    return pd.DataFrame(cells)


def _time(value: float, digits: int) -> str:
    return "never" if value == math.inf else plain(value, digits)


def _caption(first: pd.Series) -> str:
    text = (
        f"Area: mean height of the curve of {first['metric']} on the validation split over the "
        "epochs, before training included; mean ± standard deviation over the runs with a whole "
        "curve."
    )
    if pd.isna(first["target"]):
        return text
    return (
        f"{text} Reached: runs that got to the target, {first['target_metric']} of "
        f"{percent(first['target'])} % ({first['target_source']}); epochs and seconds of training "
        "until the first evaluation there, median over the runs, never where half or more did not."
    )
