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
from benchmark.report.tables.summary import bootstrap_remarks, summary_tables
from benchmark.report.tables.words import REFERENCE_LABELS, WORDS, TaskWords

__all__ = [
    "REFERENCE_LABELS",
    "UNKNOWN",
    "WORDS",
    "TaskWords",
    "TextTable",
    "bootstrap_remarks",
    "difference",
    "percent",
    "plain",
    "points",
    "run_tables",
    "slug",
    "spread",
    "summary_tables",
    "used_settings",
]
