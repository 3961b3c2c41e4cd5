"""Section: in which part of the test split a loss is better or worse than the baseline."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from markupsafe import Markup

from benchmark.report.breakdowns import Details, curve, grouped, names
from benchmark.report.curve_points import OVERLAPS, read_at
from benchmark.report.page.compared import (
    Groups,
    differences_note,
    group_chart,
    group_table,
    largest,
)
from benchmark.report.page.context import PageContext, section
from benchmark.report.page.curves import curve_chart
from benchmark.report.page.html import details, figure, legend, panel_blocks, paragraph
from benchmark.report.page.svg import small_multiples
from benchmark.report.panels import Panel
from benchmark.report.tables.words import WORDS
from benchmark.statistics import MIN_PAIRS

AP = "AP"
"""Stands for what a task calls it."""
GROUPS = (
    Groups("by_size", "object size", "objects", 50, AP),
    Groups("by_aspect", "longer : shorter side", "objects", 50, AP),
    Groups("by_share", "foreground share of the image", "images", 20, "foreground IoU"),
    Groups("by_class", "class", "objects", 50, AP),
)
PIXELS = Groups("by_class", "class", "pixels", 1000, "IoU")
OVERLAP = Groups("points", "IoU a detection needs", "objects", 0, AP)
MANY_GROUPS = 8  # from here on the table of a breakdown is folded away
NONE_RECORDED = (
    "These runs recorded no breakdowns of their metrics: they were made by an older version. "
    "Runs made anew have them."
)


@section("breakdowns", title="Where a loss helps", order=50)
def build(page: PageContext) -> Markup | None:
    """A block for each table; one sentence where the runs recorded nothing to show."""
    done = page.data.runs["status"] == "done" if len(page.data.runs) else pd.Series(dtype=bool)
    if not done.any():
        return None
    return panel_blocks(page, lambda panel: _block(page, panel)) or paragraph(NONE_RECORDED)


def _block(page: PageContext, panel: Panel) -> Markup | None:
    found = page.details(panel)
    level = float(panel.summary["level"].iloc[0])
    frames = {
        groups: grouped(found, groups.key, baseline=panel.baseline, level=level)
        for groups in _groups(panel)
    }
    # A group that the test split has nothing of has no metric.
    frames = {groups: frame[frame["count"] != 0] for groups, frame in frames.items()}
    frames = {groups: frame for groups, frame in frames.items() if not frame.empty}
    charts = {
        **_curves(panel, found, level),
        **{
            _title(groups, frame): group_chart(panel, groups, frame)
            for groups, frame in frames.items()
        },
    }
    if not charts:
        return None
    losses = [loss for loss in panel.losses if loss in found]
    read = read_at(found, "by_iou", places=OVERLAPS)
    overlaps = grouped(read, "points", baseline=panel.baseline, level=level)
    tables = frames if overlaps.empty else {_named(OVERLAP, panel): overlaps, **frames}
    parts = [
        legend(page, panel.key[0], losses),
        figure(small_multiples(list(charts.values()), list(charts)), _caption(level)),
        *(_table(page, panel, groups, frame) for groups, frame in tables.items()),
        *(paragraph(text, "warning") for text in _warnings(frames)),
    ]
    if len(losses) > 1 and tables:
        parts.append(paragraph(differences_note(panel, list(tables.values())), "note"))
    return Markup("").join(parts)


def _groups(panel: Panel) -> list[Groups]:
    pixels = panel.key[0] == "segmentation"
    own = [PIXELS if pixels and groups.key == PIXELS.key else groups for groups in GROUPS]
    return [_named(groups, panel) for groups in own]


def _named(groups: Groups, panel: Panel) -> Groups:
    """With the task's own name for average precision."""
    name = WORDS[panel.key[0]].precision
    return replace(groups, metric=name) if groups.metric == AP else groups


def _curves(panel: Panel, found: Details, level: float) -> dict[str, Markup]:
    """Chart of AP by threshold and those of precision by recall, under their titles."""
    charts = {}
    by_iou = curve(found, "by_iou", level=level)
    if not by_iou.empty:
        name = WORDS[panel.key[0]].precision
        title = f"{name} by IoU threshold"
        needed = "IoU a detection needs to be right"
        charts[title] = curve_chart(panel, by_iou, needed, f"{name} (%)", f"{title}, {panel.name}")
    for name in names(found, "precision_recall"):
        title = f"Precision by recall, {name}"
        frame = curve(found, "precision_recall", name, level=level)
        charts[title] = curve_chart(
            panel, frame, "recall", "precision (%)", f"{title}, {panel.name}", whole=True
        )
    return charts


def _title(groups: Groups, frame: pd.DataFrame) -> str:
    drawn, total = len(largest(frame)), frame["group"].nunique()
    some = f", the {drawn} largest of {total}" if drawn < total else ""
    return f"{groups.metric} by {groups.title}{some}"


def _caption(level: float) -> str:
    return (
        "Means over the finished runs of each loss on the test split; bands and whiskers: "
        f"{100 * level:g} % t-intervals of each mean, from {MIN_PAIRS} runs on. Losses share what "
        "varies from repetition to repetition, so the intervals of two losses may overlap and "
        "their difference still be clear: the tables below pair the runs."
    )


def _table(page: PageContext, panel: Panel, groups: Groups, frame: pd.DataFrame) -> Markup:
    drawn = group_table(page, panel, groups, frame)
    if frame["group"].nunique() <= MANY_GROUPS:
        return drawn
    return details(f"{groups.metric} by {groups.title}: differences of all groups", drawn)


def _warnings(frames: dict[Groups, pd.DataFrame]) -> list[str]:
    """A sentence for each breakdown with groups too small to say much."""
    warnings = []
    for groups, frame in frames.items():
        counts = frame.drop_duplicates("group").set_index("group")["count"]
        small = [f"{name} ({count:,.0f})" for name, count in counts.items() if count < groups.few]
        if small:
            warnings.append(
                f"By {groups.title}, fewer than {groups.few:,} {groups.unit} in the test split: "
                f"{', '.join(small)}. A few of them decide these numbers, and that uncertainty is "
                "not in the intervals."
            )
    return warnings
