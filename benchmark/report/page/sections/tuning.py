"""Section: what the tuning of the losses tried and chose, and how much a loss's weight matters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
from markupsafe import Markup

from benchmark.report.costs import duration
from benchmark.report.page.context import PageContext, section
from benchmark.report.page.html import (
    Cell,
    Column,
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
from benchmark.report.tuned import (
    Choice,
    Setting,
    at_edge,
    choice,
    settings_of,
    tried,
    unsupported,
    untuned,
)
from benchmark.statistics import groups

CHART = (
    "The metric on the validation split of every setting: a mark for the mean over the tuning "
    "repetitions, small ones for single runs where there are several; filled: the chosen setting; "
    "a cross at the bottom: a run of the setting diverged. All tuning runs of a repetition share "
    "their random streams, so settings compare within a loss and between losses."
)
CHOICES = (
    "Validation split, percent; differences in percentage points. Chosen is the highest mean of "
    "the settings whose runs are all done; where there is none, the setting with the fewest runs "
    "lacking. As the best of those tried, its value is higher than it would be in a fresh run; "
    "the comparison of the losses rests on the final runs alone, which share no random stream "
    "with these."
)


@section("tuning", title="Tuning", order=70)
def build(page: PageContext) -> Markup | None:
    """A block for each table, those that only the tuning has so far last; one sentence where
    nothing was tuned.
    """
    data = page.data
    if data.tuning.empty:
        return None if data.runs.empty else paragraph(untuned(data))
    tuned = dict(groups(data.tuning))

    def block(panel: Panel) -> Markup:
        own = tuned.pop(panel.key, None)
        if own is None:
            return paragraph("The losses of this table were not tuned.")
        return _block(page, own, panel.losses)

    blocks = panel_blocks(page, block) or Markup("")
    return blocks + Markup("\n").join(_alone(page, key, own) for key, own in tuned.items())


def _alone(page: PageContext, key: tuple[str, str, str], tuning: pd.DataFrame) -> Markup:
    """The block of a table without a final run."""
    return Markup('<section class="panel" data-task="{}"><h3>{}</h3>{}</section>').format(
        key[0], ", ".join(key), _block(page, tuning, [])
    )


def _block(page: PageContext, tuning: pd.DataFrame, compared: Sequence[str]) -> Markup:
    """What was tried and chosen.

    Args:
        tuning: rows of one (task, data set, model).
        compared: the losses with final runs, best first; the others stand after them.
    """
    task = str(tuning["task"].iloc[0])
    found = settings_of(tuning)
    order = [loss for loss in compared if loss in found]
    settings = {loss: found[loss] for loss in dict.fromkeys([*order, *found])}
    metric = str(tuning["metric"].iloc[0])
    parts = [paragraph(_protocol(tuning, settings, metric))]
    for warning in _warnings(settings, compared):
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


def _warnings(settings: Mapping[str, Sequence[Setting]], compared: Sequence[str]) -> Iterator[str]:
    """What lowers the trust in the comparison that rests on this tuning."""
    missing = [loss for loss in settings if loss not in compared]
    if missing:
        yield f"Not in the comparison yet, for want of final runs: {', '.join(missing)}."
    counts = {loss: len(own) for loss, own in settings.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{loss} {count}" for loss, count in counts.items())
        yield f"Not every loss was tried at as many settings ({listed})."
    for loss, own in settings.items():
        if reason := unsupported(own):
            yield f"{loss}: {reason}."
    edges: dict[str, list[str]] = {}
    for loss, own in settings.items():
        for text in at_edge(own):
            edges.setdefault(text, []).append(loss)
    if edges:
        listed = "; ".join(f"{text} ({', '.join(losses)})" for text, losses in edges.items())
        yield f"Chosen at an end of what was tried, so the best may lie outside: {listed}."


def _choices(
    page: PageContext, task: str, settings: Mapping[str, Sequence[Setting]], metric: str
) -> Markup:
    columns = {
        "loss": Column("loss"),
        "chosen": Column("chosen setting"),
        "value": Column(f"{metric} (%)", "right"),
        "over weight 1": Column("over weight 1", "right", tip="minus the same setting at weight 1"),
        "over the worst": Column(
            "over the worst", "right", tip="minus the worst setting that did not diverge"
        ),
        "settings": Column("settings", "right"),
        "diverged": Column("with diverged runs", "right"),
    }
    if not any(len(tried(own, "weight")) > 1 for own in settings.values()):
        del columns["over weight 1"]
    found = [_choice_cells(page, task, loss, choice(own)) for loss, own in settings.items()]
    rows = [[cells[name] for name in columns] for cells in found]
    return table(list(columns.values()), rows, caption="Chosen settings", note=CHOICES)


def _choice_cells(page: PageContext, task: str, loss: str, found: Choice) -> dict[str, Cell]:
    value = found.chosen.mean if found.chosen else math.nan
    return {
        "loss": Cell(loss_name(page, task, loss), loss, loss=loss),
        "chosen": Cell(found.chosen.text if found.chosen else "not chosen yet"),
        "value": Cell(percent(value), value),
        "over weight 1": Cell(_gain(found.over_unit, found), found.over_unit),
        "over the worst": Cell(_gain(found.over_worst, found), found.over_worst),
        "settings": Cell(str(found.tried), float(found.tried)),
        "diverged": Cell(
            str(found.diverged), float(found.diverged), "warning" if found.diverged else ""
        ),
    }


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
