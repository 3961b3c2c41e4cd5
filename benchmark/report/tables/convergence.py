"""How fast the losses rise, a row a loss."""

from __future__ import annotations

import math

import pandas as pd

from benchmark.report.panels import Panel
from benchmark.report.rise import areas, times
from benchmark.report.tables.formats import UNKNOWN, percent, plain, spread
from benchmark.report.tables.formatted import TextTable
from benchmark.statistics import GROUP, Target, groups

WITHOUT_DIVERGED = "Diverged runs have no part in the area, which flatters a loss that has any."
AREA_COLUMNS = ["area_mean", "area_sd", "n", "area_diff", "area_diff_low", "area_diff_high"]
TARGET_COLUMNS = ["target_metric", "target", "target_source"]
TIME_COLUMNS = ["runs", "reached", "epochs", "seconds"]


def convergence_frame(
    subjects: list[Panel], targets: dict[tuple[str, str, str], Target]
) -> pd.DataFrame:
    """Area under the validation curve and time to the target, a row a loss, best first.

    Args:
        targets: as :func:`benchmark.statistics.targets_of` gives them.

    Returns:
        A frame with ``task, dataset, model, loss, metric`` and the number of ``diverged`` runs;
        as fractions ``area_mean`` and ``area_sd`` (n - 1) over the ``n`` done runs, by epochs,
        and the mean paired difference to the baseline with its interval; the target, how many of
        the ``runs`` ``reached`` it, and ``epochs`` and ``seconds`` of training by which half
        had, ``inf`` where more than half never did. NaN where there is no target.
        Tables without a curve are absent.
    """
    frames = [
        _of_table(panel, targets.get(panel.key)).assign(**dict(zip(GROUP, panel.key, strict=True)))
        for panel in subjects
        if panel.metric in panel.history and panel.history[panel.metric].notna().any()
    ]
    columns = [*GROUP, "loss", "metric", "diverged", *AREA_COLUMNS, *TARGET_COLUMNS, *TIME_COLUMNS]
    if not frames:
        return pd.DataFrame(columns=columns)
    return pd.concat(frames, ignore_index=True)[columns]


def _of_table(panel: Panel, target: Target | None) -> pd.DataFrame:
    frame = areas(panel, float(panel.summary["level"].iloc[0])).set_axis(AREA_COLUMNS, axis=1)
    diverged = panel.summary.set_index("loss")["diverged"]
    frame = frame.rename_axis("loss").assign(metric=panel.metric, diverged=diverged)
    if target is None:
        return frame.reindex(columns=[*frame, *TARGET_COLUMNS, *TIME_COLUMNS]).reset_index()
    found = times(panel, target)[["n", "reached", "epochs", "seconds"]].set_axis(
        TIME_COLUMNS, axis=1
    )
    named = frame.assign(
        target_metric=target.metric, target=target.value, target_source=target.source
    )
    return named.join(found).reset_index()


def convergence_tables(frame: pd.DataFrame) -> list[TextTable]:
    """One table for each (task, data set, model) of :func:`convergence_frame`."""
    return [
        TextTable(f"{', '.join(key)}: convergence", _cells(rows), _caption(rows))
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


def _caption(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    text = (
        f"Area: mean height of the curve of {first['metric']} on the validation split over the "
        "epochs, before training included; mean ± standard deviation over the runs with a whole "
        "curve."
    )
    if rows["diverged"].any():
        text += f" {WITHOUT_DIVERGED}"
    if pd.isna(first["target"]):
        return text
    return (
        f"{text} Reached: runs that got to the target, {first['target_metric']} of "
        f"{percent(first['target'])} % ({first['target_source']}); epochs and seconds of training "
        "by which half of the runs had been evaluated there, never where fewer were."
    )
