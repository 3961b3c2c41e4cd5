"""The losses over several data sets: pooled differences and mean ranks."""

from __future__ import annotations

import pandas as pd

from benchmark.report.tables.formats import difference, percent
from benchmark.report.tables.formatted import TextTable
from benchmark.report.tables.summary import CLAIMS, DIVERGED
from benchmark.statistics import critical_difference


def pooled_tables(pooled: pd.DataFrame) -> list[TextTable]:
    """One table for each (task, model) of :func:`benchmark.statistics.pooled_differences`."""
    return [
        TextTable(f"{task}, {model}: over data sets", _pooled_cells(rows), _pooled_caption(rows))
        for (task, model), rows in pooled.groupby(["task", "model"], sort=False)
    ]


def rank_tables(ranks: pd.DataFrame, level: float) -> list[TextTable]:
    """One table for each (task, model) of :func:`benchmark.statistics.mean_ranks`."""
    return [
        TextTable(f"{task}, {model}: ranks", _rank_cells(rows), _rank_caption(rows, level))
        for (task, model), rows in ranks.groupby(["task", "model"], sort=False)
    ]


def _pooled_cells(rows: pd.DataFrame) -> pd.DataFrame:
    ordered = rows.sort_values("diff", ascending=False, kind="stable")
    cells = {
        "loss": ordered["loss"].tolist(),
        "data sets": ordered["names"].tolist(),
        "pairs": [str(n) for n in ordered["n_pairs"]],
        "difference": _differences(ordered, "diff_low", "diff_high"),
        "verdict": [
            f"{verdict}*" if verdict in CLAIMS and not claim else verdict
            for verdict, claim in zip(ordered["verdict"], ordered["claim"], strict=True)
        ],
    }
    if ordered["between_low"].notna().any():
        cells["over other data sets"] = _differences(ordered, "between_low", "between_high")
    return pd.DataFrame(cells)


def _differences(rows: pd.DataFrame, low: str, high: str) -> list[str]:
    return [difference(*row) for row in zip(rows["diff"], rows[low], rows[high], strict=True)]


def _pooled_caption(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    text = (
        f"Difference: mean over the data sets of the mean paired difference of {first['metric']} "
        f"to {first['baseline']}, in percentage points, each data set with the same weight; its "
        f"{100 * first['level']:g} % interval in [ ] is for other repetitions on these data sets "
        "and says nothing of other data sets."
    )
    if (rows["verdict"].isin(CLAIMS) & (rows["claim"] == "")).any():
        text += " *: does not survive Holm's correction for the number of comparisons here."
    if (rows["verdict"] == "diverged").any():
        text += f" {DIVERGED}"
    if rows["between_low"].notna().any():
        text += (
            " Over other data sets: the t-interval over the differences of the data sets, as if "
            "these were drawn at random from those of interest."
        )
    return text


def _rank_cells(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "loss": rows["loss"].tolist(),
            "mean rank": [f"{rank:.2f}" for rank in rows["mean_rank"]],
            "best rank": [f"{rank:g}" for rank in rows["best"]],
            "worst rank": [f"{rank:g}" for rank in rows["worst"]],
        }
    )


def _rank_caption(rows: pd.DataFrame, level: float) -> str:
    n = int(rows["datasets"].iloc[0])
    found = critical_difference(rows, n, level)
    text = f"Rank 1 is the best loss on a data set; means over {n} data sets."
    if found.reason:
        return f"{text} No claim is made: {found.reason}."
    return (
        f"{text} Mean ranks that differ by more than {found.value:.2f} (Nemenyi, "
        f"{percent(level)} %) differ; Friedman test over all: p = {found.p_value:.2g}."
    )
