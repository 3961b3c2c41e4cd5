"""The report of a grid: tables and charts as files in one folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.report.charts import write_charts
from benchmark.report.tables import SummaryTable, summary_tables, write_tables
from benchmark.statistics import summarise


@dataclass(frozen=True)
class ReportFiles:
    """What :func:`write` made.

    Attributes:
        tables: the formatted comparisons, e.g. to print in the terminal.
        paths: every file written.
        notes: what a reader should know: unfinished runs, charts left out and why.
    """

    tables: list[SummaryTable]
    paths: list[Path]
    notes: list[str]


def write(
    runs: pd.DataFrame,
    history: pd.DataFrame,
    out: Path,
    baseline: str | Mapping[str, str] | None = None,
    charts: bool = True,
) -> ReportFiles:
    """Write ``out/tables`` and ``out/charts``; files of the same names are replaced.

    Args:
        runs: one row a run.
        history: one row an epoch of a run.
        out: folder, made where it does not exist.
        baseline: label of the loss to compare with, or one for each task; by default the first
            loss of each task.
        charts: False writes the tables only.

    Raises:
        ValueError: as :func:`benchmark.statistics.summarise`.
    """
    summary = summarise(runs, baseline)
    tables = summary_tables(runs, summary)
    paths = write_tables(runs, summary, tables, out / "tables")
    notes = _status_notes(runs)
    if charts:
        drawn, left_out = write_charts(runs, history, summary, out / "charts")
        paths += drawn
        notes += left_out
    return ReportFiles(tables, paths, notes)


def _status_notes(runs: pd.DataFrame) -> list[str]:
    if runs.empty:
        return ["there are no runs yet"]
    counts = runs["status"].value_counts()
    return [
        f"{count} of {len(runs)} runs: {name}"
        for name, count in counts.drop("done", errors="ignore").items()
    ]
