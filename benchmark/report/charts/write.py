"""Which charts there are, and how they become files."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from benchmark.report.charts.base import LeftOut
from benchmark.report.charts.breakdowns import by_group, quality, thresholds
from benchmark.report.charts.convergence import convergence, convergence_time
from benchmark.report.charts.over_datasets import rank_diagrams
from benchmark.report.charts.results import metric_by_loss, paired_differences
from benchmark.report.charts.tuning import sensitivity_curves
from benchmark.report.data import ReportData
from benchmark.report.drawing import RC
from benchmark.report.panels import Panel, panels
from benchmark.report.tables import slug
from benchmark.statistics import groups, mean_ranks

# The canvases are called directly, as `savefig` draws a figure twice. No dates: the same data give
# the same bytes.
FORMATS: dict[str, Callable[[Figure, Path], object]] = {
    "png": lambda figure, path: FigureCanvasAgg(figure).print_png(
        path, pil_kwargs={"compress_level": 2}
    ),
    "svg": lambda figure, path: FigureCanvasSVG(figure).print_svg(path, metadata={"Date": None}),
    "pdf": lambda figure, path: FigureCanvasPdf(figure).print_pdf(
        path, metadata={"CreationDate": None}
    ),
}
"""File type -> what writes it."""

RUN_CHARTS: dict[str, Callable[[Panel], Figure]] = {
    "convergence": convergence,
    "convergence_time": convergence_time,
    "metric": metric_by_loss,
    "difference": paired_differences,
}
DETAIL_CHARTS: dict[str, Callable[[Panel], Figure]] = {
    "thresholds": thresholds,
    "groups": by_group,
    "quality": quality,
}
TUNING_CHARTS: dict[str, Callable[[Panel], Figure]] = {"sensitivity": sensitivity_curves}
CHARTS = {**RUN_CHARTS, **DETAIL_CHARTS, **TUNING_CHARTS}
"""Kind of chart -> the function that draws it for one (task, data set, model)."""

PLAIN: Any = {**RC, "text.parse_math": False}
"""A label with dollar signs is no formula."""
FEW = 24
"""Up to so many charts are drawn in this process: starting others takes longer."""
PROCESSES = 8
"""At most; each holds a panel and what it draws with, some 200 MB."""


@dataclass(frozen=True)
class Order:
    """One chart to draw.

    Attributes:
        kind: of :data:`CHARTS`.
        stem: of the files, without a suffix.
    """

    kind: str
    panel: Panel
    stem: Path
    formats: Sequence[str]


def write_charts(
    data: ReportData, summary: pd.DataFrame, folder: Path, formats: Sequence[str] = tuple(FORMATS)
) -> tuple[list[Path], list[str]]:
    """Draw every chart of every (task, data set, model) into ``folder``, which is made.

    Args:
        data: what the report is made of.
        summary: what :func:`benchmark.statistics.summarise` made of its runs.
        formats: of :data:`FORMATS`.

    Returns:
        The files written, and a line for each chart left out that says why; one line for all
        breakdowns that were not recorded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    subjects = _subjects(data, summary)
    orders = [
        Order(kind, panel, folder / f"{kind}-{panel.stem}", tuple(formats))
        for panel in subjects
        for kind in _kinds(panel)
    ]
    paths: list[Path] = []
    notes: list[str] = []
    for order, reason in zip(orders, _draw_all(orders), strict=True):
        if reason:
            notes.append(f"chart {order.kind} of {order.panel.name} left out: {reason}")
        else:
            paths += _files(order.stem, order.formats)
    paths += _rank_diagrams(data, summary, folder, tuple(formats))
    return paths, notes + _without_details(subjects)


def _subjects(data: ReportData, summary: pd.DataFrame) -> list[Panel]:
    """The panels with what was recorded of their predictions and their tuning."""
    tuning = dict(groups(data.tuning)) if len(data.tuning) else {}
    return [
        replace(
            panel,
            details=data.details_by_loss(panel.runs, panel.losses),
            tuning=tuning.get(panel.key, pd.DataFrame()),
        )
        for panel in panels(data.runs, data.history, summary)
    ]


def _kinds(panel: Panel) -> Iterator[str]:
    yield from RUN_CHARTS
    if panel.details:
        yield from DETAIL_CHARTS
    if len(panel.tuning):
        yield from TUNING_CHARTS


def _draw_all(orders: list[Order]) -> Iterable[str]:
    """Draw, in this order; for each chart why it is left out, or an empty text."""
    processes = min(PROCESSES, len(os.sched_getaffinity(0)))
    if len(orders) <= FEW or processes < 2:
        yield from map(draw, orders)
        return
    # A fork of this process would inherit the threads of whatever was imported here.
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_collect_seldom) as pool:
        # A chunk travels as one, so that charts of a panel take it along once.
        yield from pool.map(draw, orders, chunksize=len(RUN_CHARTS))


def _collect_seldom() -> None:
    """Spare the search for garbage most of its time, which PDFs with their many objects cost."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def draw(order: Order) -> str:
    """Write one chart in all its formats; why it is left out, or an empty text."""
    with matplotlib.rc_context(PLAIN):
        try:
            figure = CHARTS[order.kind](order.panel)
        except LeftOut as reason:
            return str(reason)
        _save(figure, order.panel.name, order.stem, order.formats)
    return ""


def _rank_diagrams(
    data: ReportData, summary: pd.DataFrame, folder: Path, formats: Sequence[str]
) -> list[Path]:
    if summary.empty:
        return []
    paths = []
    with matplotlib.rc_context(PLAIN):
        for name, figure in rank_diagrams(mean_ranks(data.runs), float(summary["level"].iloc[0])):
            stem = folder / f"ranks-{slug(name)}"
            _save(figure, name, stem, formats)
            paths += _files(stem, formats)
    return paths


def _save(figure: Figure, title: str, stem: Path, formats: Sequence[str]) -> None:
    if len(figure.axes) == 1:
        figure.axes[0].set_title(title)
    else:
        figure.suptitle(title)
    figure.dpi = matplotlib.rcParams["savefig.dpi"]
    for path, suffix in zip(_files(stem, formats), formats, strict=True):
        FORMATS[suffix](figure, path)
        figure.set_layout_engine("none")  # the layout, a good part of the time, serves all formats


def _files(stem: Path, formats: Sequence[str]) -> list[Path]:
    return [stem.with_name(f"{stem.name}.{suffix}") for suffix in formats]


def _without_details(subjects: list[Panel]) -> list[str]:
    """One line for all tables whose finished runs recorded no breakdowns."""
    lacking = [p.name for p in subjects if not p.details and (p.runs["status"] == "done").any()]
    if not lacking:
        return []
    where = "" if len(lacking) == len(subjects) else f" of {'; '.join(lacking)}"
    return [
        f"charts of breakdowns{where} left out: an older version made these runs and recorded none"
    ]
