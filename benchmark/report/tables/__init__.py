"""The numbers as files: CSV with full precision, Markdown and LaTeX for people.

One formatted frame of strings (:attr:`TextTable.cells`) feeds Markdown, LaTeX and the terminal,
so that the three cannot disagree.
"""

from benchmark.report.tables.formats import (
    UNKNOWN,
    difference,
    percent,
    plain,
    points,
    slug,
    spread,
)
from benchmark.report.tables.formatted import TextTable
from benchmark.report.tables.runs import run_tables, used_settings
from benchmark.report.tables.summary import (
    CLAIMS,
    DIVERGED,
    NO_VALUE,
    bootstrap_remarks,
    bootstrap_text,
    not_finished,
    paired,
    summary_tables,
)
from benchmark.report.tables.words import REFERENCE_LABELS, WORDS, TaskWords

__all__ = [
    "CLAIMS",
    "DIVERGED",
    "NO_VALUE",
    "REFERENCE_LABELS",
    "UNKNOWN",
    "WORDS",
    "TaskWords",
    "TextTable",
    "bootstrap_remarks",
    "bootstrap_text",
    "difference",
    "not_finished",
    "paired",
    "percent",
    "plain",
    "points",
    "run_tables",
    "slug",
    "spread",
    "summary_tables",
    "used_settings",
]
