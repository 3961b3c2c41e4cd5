"""What each run reached, a row a run."""

from __future__ import annotations

import math

import pandas as pd

from benchmark.report.tables.formats import percent, plain
from benchmark.report.tables.formatted import TextTable
from benchmark.report.tables.words import WORDS
from benchmark.statistics import PRIMARY, groups

RUNS = "Metrics on the test split in percent; seconds from the start of a run to its end."


def used_settings(runs: pd.DataFrame) -> pd.Series:
    """Text of the setting that each run was given by the tuning; "" where nothing was tuned."""
    if "setting" not in runs:
        return pd.Series("", index=runs.index)
    return runs["setting"].fillna("").astype(str)


def run_tables(runs: pd.DataFrame) -> list[TextTable]:
    """One formatted table for each (task, data set, model), with one row a run."""
    return [
        TextTable(title=f"{', '.join(key)}: runs", cells=_run_cells(key[0], own), caption=RUNS)
        for key, own in groups(runs)
    ]


def _run_cells(task: str, runs: pd.DataFrame) -> pd.DataFrame:
    metrics = [m for m in (PRIMARY[task], *WORDS[task].secondary) if m in runs]
    settings = used_settings(runs).tolist()
    seconds = runs["seconds"] if "seconds" in runs else [math.nan] * len(runs)
    return pd.DataFrame(
        {
            "loss": runs["loss"].tolist(),
            "repetition": [str(n) for n in runs["repetition"]],
            **({"setting": settings} if any(settings) else {}),
            "status": runs["status"].tolist(),
            "seconds": [plain(s, 0) for s in seconds],
            **{f"{m} (%)": [percent(value) for value in runs[m]] for m in metrics},
        }
    )
