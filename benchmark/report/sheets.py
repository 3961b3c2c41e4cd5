"""Which tables there are, and how they become files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from benchmark.report.costs import costs
from benchmark.report.data import ReportData
from benchmark.report.headline import headlines
from benchmark.report.panels import panels
from benchmark.report.tables.breakdowns import breakdown_frame
from benchmark.report.tables.convergence import convergence_frame, convergence_tables
from benchmark.report.tables.cost import cost_tables
from benchmark.report.tables.formatted import TextTable, markdown, spreadsheet
from benchmark.report.tables.over_datasets import pooled_tables, rank_tables
from benchmark.report.tables.runs import run_tables
from benchmark.report.tables.summary import summary_tables
from benchmark.report.tables.tuning import tuning_tables
from benchmark.statistics import (
    GROUP,
    RUN_COLUMNS,
    mean_ranks,
    pooled_differences,
    sensitivity,
    targets_of,
)
from benchmark.store import write_text


@dataclass(frozen=True)
class Sheet:
    """One subject as files.

    Attributes:
        frame: the CSV, in full precision.
        title: heading of the Markdown page.
        tables: what the Markdown page and the LaTeX file show; without any there is only the CSV.
        sentences: a list on top of the Markdown page.
    """

    frame: pd.DataFrame
    title: str = ""
    tables: list[TextTable] | None = None
    sentences: list[str] = field(default_factory=list)

    def texts(self) -> dict[str, str]:
        """Suffix -> content of the file."""
        frame = spreadsheet(self.frame)
        texts = {"csv": frame.to_csv(index=False, lineterminator="\n")}
        if self.tables is not None:
            quoted = "".join(f"- {markdown(text)}\n" for text in self.sentences)
            parts = [f"# {self.title}\n", *filter(None, [quoted])]
            parts += [table.markdown() for table in self.tables] or ["No runs yet.\n"]
            texts["md"] = "\n".join(parts)
            texts["tex"] = "\n".join(t.latex() for t in self.tables) or "% No runs yet.\n"
        return texts


def _summary(data: ReportData, summary: pd.DataFrame) -> Sheet:
    sentences = [headline.text for headline in headlines(data, summary)]
    return Sheet(summary, "Summary", summary_tables(data.runs, summary), sentences)


def _runs(data: ReportData, summary: pd.DataFrame) -> Sheet:
    if data.runs.empty:
        return Sheet(pd.DataFrame(columns=RUN_COLUMNS), "Runs", [])
    return Sheet(data.runs, "Runs", run_tables(data.runs))


def _cost(data: ReportData, summary: pd.DataFrame) -> Sheet | None:
    if data.tuning.empty and (data.runs.empty or "seconds" not in data.runs):
        return None
    frame = costs(data.runs, data.history, data.tuning)
    return Sheet(frame, "Cost", cost_tables(frame))


def _tuning(data: ReportData, summary: pd.DataFrame) -> Sheet | None:
    if data.tuning.empty:
        return None
    found = sensitivity(data.tuning)
    # Rank 1 is chosen only once every run of its loss's tuning has ended.
    by = [*GROUP, "loss", "setting"]
    used = data.tuning.groupby(by)["chosen"].any()
    found["chosen"] = used.loc[pd.MultiIndex.from_frame(found[by])].to_numpy()
    return Sheet(data.tuning, "Tuning", tuning_tables(found))


def _breakdowns(data: ReportData, summary: pd.DataFrame) -> Sheet | None:
    return Sheet(breakdown_frame(data, summary)) if data.details else None


def _convergence(data: ReportData, summary: pd.DataFrame) -> Sheet | None:
    if data.history.empty or summary.empty:
        return None
    subjects = list(panels(data.runs, data.history, summary))
    targets = targets_of(data.history, data.runs, _baselines(summary), data.targets)
    frame = convergence_frame(subjects, targets)
    return None if frame.empty else Sheet(frame, "Convergence", convergence_tables(frame))


def _over_datasets(data: ReportData, summary: pd.DataFrame) -> Sheet | None:
    pooled = pooled_differences(data.runs, _baselines(summary))
    return None if pooled.empty else Sheet(pooled, "Over data sets", pooled_tables(pooled))


def _ranks(data: ReportData, summary: pd.DataFrame) -> Sheet | None:
    ranks = mean_ranks(data.runs)
    if ranks.empty:
        return None
    level = float(summary["level"].iloc[0])
    return Sheet(ranks, "Ranks over data sets", rank_tables(ranks, level))


def _baselines(summary: pd.DataFrame) -> dict[str, str]:
    """Task -> label of the loss that the summary compares with."""
    return dict(zip(summary["task"], summary["baseline"], strict=True))


SHEETS: dict[str, Callable[[ReportData, pd.DataFrame], Sheet | None]] = {
    "summary": _summary,
    "runs": _runs,
    "cost": _cost,
    "tuning": _tuning,
    "breakdowns": _breakdowns,
    "convergence": _convergence,
    "over_datasets": _over_datasets,
    "ranks": _ranks,
}
"""Name of the files -> what makes them; None where the data say nothing about it."""


def write_tables(data: ReportData, summary: pd.DataFrame, folder: Path) -> list[Path]:
    """Write every table into ``folder``, which is made; return the paths.

    Each is a CSV file (fractions, full precision) and, but for long ones, Markdown and LaTeX.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, make in SHEETS.items():
        sheet = make(data, summary)
        for suffix, text in sheet.texts().items() if sheet is not None else ():
            paths.append(folder / f"{name}.{suffix}")
            write_text(paths[-1], text)
    return paths
