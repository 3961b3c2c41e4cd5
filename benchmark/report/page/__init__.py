"""The report as one HTML file that opens from disk and asks the network for nothing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark._discover import import_modules
from benchmark.report.data import ReportData
from benchmark.report.page.context import SECTIONS, PageContext
from benchmark.report.page.html import loss_name
from benchmark.report.page.shell import render_shell
from benchmark.store import write_text


def write_page(data: ReportData, summary: pd.DataFrame, path: Path) -> Path:
    """Write the page to ``path``, replacing it in one step; the same data give the same bytes.

    Args:
        data: all that the report is made of.
        summary: what :func:`benchmark.statistics.summarise` made of ``data.runs``.
    """
    write_text(path, render_page(data, summary))
    return path


def render_page(data: ReportData, summary: pd.DataFrame) -> str:
    """The page as text; see :func:`write_page`."""
    import_modules("benchmark.report.page.sections")
    page = PageContext(data, summary)
    built = [
        (section, content)
        for section in sorted(SECTIONS.values(), key=lambda s: (s.order, s.name))
        if (content := section.build(page)) is not None
    ]
    losses = {
        task: {loss: loss_name(page, task, loss) for loss in styles}
        for task, styles in page.losses.items()
    }
    parts = [(section.name, section.title, content) for section, content in built]
    return render_shell(data.name, data.description, parts, losses)
