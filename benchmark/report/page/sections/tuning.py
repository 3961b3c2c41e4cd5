"""Section: what the tuning of the losses tried and chose, and how much a loss's weight matters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from markupsafe import Markup

from benchmark.report.costs import duration
from benchmark.report.page.context import PageContext, section
from benchmark.report.page.html import (
    Cell,
    Column,
    Row,
    details,
    figure,
    loss_name,
    panel_blocks,
    paragraph,
    table,
)
from benchmark.report.page.sensitivity import sensitivity_charts
from benchmark.report.panels import Panel
from benchmark.report.tables.formats import UNKNOWN, percent, points
from benchmark.report.tuned import Choice, Setting, at_edge, choice, settings_of, untuned
from benchmark.statistics import GROUP

CHART = (
    "The metric on the validation split of every setting: a mark for the mean over the tuning "
    "repetitions, small ones for single runs where there are several; filled: the chosen setting; "
    "a cross at the bottom: a run of the setting diverged. All tuning runs of a repetition share "
    "their random streams, so settings compare within a loss and between losses."
)
CHOICES = (
    "Validation split, percent; differences in percentage points. The chosen setting is the best "
    "of those tried, so its value is higher than it would be in a fresh run; the "
    "comparison of the losses rests on the final runs alone, which share no random stream with "
    "these."
)


@section("tuning", title="Tuning", order=70)
def build(page: PageContext) -> Markup | None:
    """A block for each table; one sentence where nothing was tuned."""
    data = page.data
    if data.runs.empty:
        return None
    if data.tuning.empty:
        return paragraph(untuned(data))
    tuned = dict(list(data.tuning.groupby(GROUP, sort=False)))

    def block(panel: Panel) -> Markup:
        key = tuple(panel.runs[GROUP].iloc[0])
        own = tuned.get(key)
        if own is None:
            return paragraph("The losses of this table were not tuned.")
        return _block(page, panel, own)

    return panel_blocks(page, block)


def _block(page: PageContext, panel: Panel, tuning: pd.DataFrame) -> Markup:
    task = str(tuning["task"].iloc[0])
    found = settings_of(tuning)
    settings = {loss: found[loss] for loss in panel.losses if loss in found}
    metric = str(tuning["metric"].iloc[0])
    parts = [paragraph(_protocol(tuning, settings, metric))]
    for warning in _warnings(settings):
        parts.append(paragraph(warning, "warning"))
    charts = sensitivity_charts(page, task, settings, metric)
    if charts:
        parts.append(figure(charts, CHART))
    parts += [_choices(page, task, settings, metric), _all_settings(page, task, settings, metric)]
    return Markup("\n").join(parts)


def _protocol(tuning: pd.DataFrame, settings: Mapping[str, Sequence[Setting]], metric: str) -> str:
    budgets = sorted({len(own) for own in settings.values()})
    repetitions = tuning["repetition"].nunique()
    epochs = sorted({int(n) for n in tuning["epochs"].dropna()}) if "epochs" in tuning else []
    budget = " to ".join(map(str, budgets[:1] + budgets[1:][-1:]))
    texts = [
        f"Each loss was tried at {budget} setting{'' if budgets == [1] else 's'}",
        f"{repetitions} run{'s' if repetitions > 1 else ''} each",
    ]
    if epochs:
        texts.append(f"{' or '.join(map(str, epochs))} epoch{'' if epochs == [1] else 's'} a run")
    seconds = duration(tuning["seconds"].astype(float).sum())
    return (
        f"{', '.join(texts)}; the best {metric} on the validation split after the last epoch was "
        f"chosen. The {len(tuning)} tuning runs took {seconds} in sum."
    )


def _warnings(settings: Mapping[str, Sequence[Setting]]) -> list[str]:
    found = []
    counts = {loss: len(own) for loss, own in settings.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{loss} {count}" for loss, count in counts.items())
        found.append(f"Not every loss was tried at as many settings ({listed}).")
    edges: dict[str, list[str]] = {}
    for loss, own in settings.items():
        for text in at_edge(own):
            edges.setdefault(text, []).append(loss)
    if edges:
        listed = "; ".join(f"{text} ({', '.join(losses)})" for text, losses in edges.items())
        found.append(f"Chosen at an end of what was tried, so the best may lie outside: {listed}.")
    return found


def _choices(
    page: PageContext, task: str, settings: Mapping[str, Sequence[Setting]], metric: str
) -> Markup:
    columns = [
        Column("loss"),
        Column("chosen setting"),
        Column(f"{metric} (%)", "right"),
        Column("over weight 1", "right", tip="minus the same setting at weight 1"),
        Column("over the worst", "right", tip="minus the worst setting that did not diverge"),
        Column("settings", "right"),
        Column("with diverged runs", "right"),
    ]
    rows = [_choice_row(page, task, loss, choice(own)) for loss, own in settings.items()]
    return table(columns, rows, caption="Chosen settings", note=CHOICES)


def _choice_row(page: PageContext, task: str, loss: str, found: Choice) -> Row:
    value = found.chosen.mean if found.chosen else math.nan
    return [
        Cell(loss_name(page, task, loss), loss, loss=loss),
        found.chosen.text if found.chosen else "not chosen yet",
        Cell(percent(value), value),
        Cell(_gain(found.over_unit, found), found.over_unit),
        Cell(_gain(found.over_worst, found), found.over_worst),
        Cell(str(found.tried), float(found.tried)),
        Cell(str(found.diverged), float(found.diverged), "warning" if found.diverged else ""),
    ]


def _gain(difference: float, found: Choice) -> str:
    """A difference to another setting; 0 stands for the setting itself."""
    return "itself" if difference == 0 and found.tried > 1 else points(difference)


def _all_settings(
    page: PageContext, task: str, settings: Mapping[str, Sequence[Setting]], metric: str
) -> Markup:
    columns = [
        Column("loss"),
        Column("setting"),
        Column(f"{metric} (%)", "right"),
        Column("runs", "right"),
        Column("without a value"),
        Column("chosen"),
    ]
    rows = [
        [
            Cell(loss_name(page, task, loss), loss, loss=loss),
            setting.text,
            Cell(percent(setting.mean), setting.mean),
            Cell(str(len(setting.values)), float(len(setting.values))),
            _missing(setting),
            "yes" if setting.chosen else "",
        ]
        for loss, own in settings.items()
        for setting in own
    ]
    body = table(
        columns,
        rows,
        caption="All settings",
        note=f"{UNKNOWN}: not every run of the setting has a value. Such a setting comes after all "
        "others.",
    )
    return details(f"All {len(rows)} settings", body)


def _missing(setting: Setting) -> str:
    counts = {
        "diverged": setting.diverged,
        "failed": setting.failed,
        "not ended": setting.unfinished,
    }
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)
