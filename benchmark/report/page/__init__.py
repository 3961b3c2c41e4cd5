"""The report as one HTML file that opens from disk and asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from benchmark._discover import import_modules
from benchmark.report.data import ReportData
from benchmark.report.page.context import SECTIONS, PageContext
from benchmark.report.page.html import loss_name
from benchmark.store import write_text

ASSETS = Path(__file__).parent / "assets"


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
    script = (ASSETS / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        name=data.name,
        description=data.description,
        sections=built,
        losses={
            task: {loss: loss_name(page, task, loss) for loss in styles}
            for task, styles in page.losses.items()
        },
        style=Markup((ASSETS / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=f"sha256-{digest}",
    )
