"""The report of a grid as files in one folder: tables, one page, JSON for programs, charts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.report.data import ReportData
from benchmark.report.sheets import write_tables
from benchmark.report.tables import TextTable, summary_tables
from benchmark.statistics import summarise, with_bootstrap
from benchmark.statistics.frames import with_label


@dataclass(frozen=True)
class ReportFiles:
    """What :func:`write` made.

    Attributes:
        tables: the formatted comparisons, e.g. to print in the terminal.
        paths: every file written.
        notes: what a reader should know: unfinished runs, charts left out and why.
    """

    tables: list[TextTable]
    paths: list[Path]
    notes: list[str]


Written = tuple[list[Path], list[str]]
"""Files, and notes for the reader."""


def _tables(data: ReportData, summary: pd.DataFrame, out: Path) -> Written:
    return write_tables(data, summary, out / "tables"), []


def _page(data: ReportData, summary: pd.DataFrame, out: Path) -> Written:
    from benchmark.report.page import write_page

    return [write_page(data, summary, out / "report.html")], []


def _json(data: ReportData, summary: pd.DataFrame, out: Path) -> Written:
    from benchmark.report.report_json import write_json

    return [write_json(data, summary, out / "report.json")], []


def _charts(data: ReportData, summary: pd.DataFrame, out: Path) -> Written:
    # Late: matplotlib and seaborn take a second to import, which tables and page can do without.
    from benchmark.report.charts import write_charts

    return write_charts(data, summary, out / "charts")


PARTS: dict[str, Callable[[ReportData, pd.DataFrame, Path], Written]] = {
    "tables": _tables,
    "page": _page,
    "json": _json,
    "charts": _charts,
}
"""What a report consists of, in the order in which it is written."""


def write(
    data: ReportData,
    out: Path,
    baseline: str | Mapping[str, str] | None = None,
    only: Collection[str] | None = None,
    bootstrap: bool = False,
) -> ReportFiles:
    """Write the report into ``out``; files of the same names are replaced.

    Args:
        data: what the report is made of.
        out: folder, made where it does not exist. Gets ``tables/``, ``report.html``,
            ``report.json`` and ``charts/``.
        baseline: label of the loss to compare with, or one for each task; by default that of
            the experiment, or the first loss of each task. A label counts for the tasks that
            have runs of that loss; the others keep their default.
        bootstrap: show bootstrap intervals of the differences as well.
        only: names of :data:`PARTS`; the others are not written. By default all.

    Raises:
        ValueError: as :func:`benchmark.statistics.summarise`, or ``only`` names no part.
    """
    parts = PARTS if only is None else {name: PARTS[name] for name in _known(only)}
    summary = summarise(data.runs, _baselines(data, baseline))
    if bootstrap:
        summary = with_bootstrap(summary, data.runs)
    paths: list[Path] = []
    notes = _status_notes(data.runs)
    for part in parts.values():
        written, remarks = part(data, summary, out)
        paths += written
        notes += remarks
    return ReportFiles(summary_tables(data.runs, summary), paths, notes)


def _baselines(data: ReportData, baseline: str | Mapping[str, str] | None) -> Mapping[str, str]:
    """Task -> label, ``baseline`` before what the experiment says."""
    if isinstance(baseline, str):
        # Before the first final run there is nothing to look the label up in.
        baseline = with_label(data.runs, baseline) if len(data.runs) else {}
    return {**data.baselines, **(baseline or {})}


def _known(only: Collection[str]) -> list[str]:
    """The names in the order of :data:`PARTS`."""
    for name in only:
        if name not in PARTS:
            raise ValueError(f"'{name}' is no part of a report; allowed: {', '.join(PARTS)}")
    return [name for name in PARTS if name in only]


def _status_notes(runs: pd.DataFrame) -> list[str]:
    if runs.empty:
        return ["there are no runs yet"]
    counts = runs["status"].value_counts()
    return [
        f"{count} of {len(runs)} runs: {name}"
        for name, count in counts.drop("done", errors="ignore").items()
    ]
