"""Section: how every run was set, to the last option."""

from __future__ import annotations

from typing import Any

import yaml
from markupsafe import Markup

from benchmark.report.page.context import PageContext, section
from benchmark.report.page.html import (
    Cell,
    Column,
    copyable,
    details,
    loss_name,
    panel_blocks,
    table,
)
from benchmark.report.page.paths import relative
from benchmark.report.panels import Panel
from benchmark.report.settings import loss_settings, split_settings
from benchmark.report.tables.formats import UNKNOWN

NAMES = {"name": "registered as", "version": "version of the code", "train.lr": "learning rate"}
NUMBERS = ("weight", "version", "train.lr")


@section("configuration", title="Exact configuration", order=85)
def build(page: PageContext) -> Markup | None:
    """What differs between the losses of each table, what they share, and the experiment files."""
    blocks = panel_blocks(page, lambda panel: _settings(page, panel))
    files = [
        details(f"{relative(source)}/experiment.yaml", copyable(_yaml(experiment)))
        for source, experiment in page.data.experiments.items()
        if experiment
    ]
    parts = [part for part in (blocks, *files) if part]
    return Markup("\n").join(parts) if parts else None


def _yaml(experiment: dict[str, Any]) -> str:
    return yaml.safe_dump(experiment, sort_keys=False, allow_unicode=True)


def _settings(page: PageContext, panel: Panel) -> Markup | None:
    configs: dict[str, list[dict[str, Any]]] = {}
    for loss, cell in zip(panel.runs["loss"], panel.runs["cell"], strict=True):
        if cell in page.data.configs:
            configs.setdefault(loss, []).append(page.data.configs[cell])
    if not configs:
        return None
    shared, differing = split_settings([config for own in configs.values() for config in own])
    task = str(panel.runs["task"].iloc[0])
    own = {
        loss: loss_settings(configs[loss], differing) for loss in panel.losses if loss in configs
    }
    titles = list(next(iter(own.values())))
    columns = [Column("loss"), *(_column(title) for title in titles)]
    rows = [
        [Cell(loss_name(page, task, loss), loss, loss=loss), *(_cell(settings[t]) for t in titles)]
        for loss, settings in own.items()
    ]
    return table(columns, rows, caption="What differs between the losses") + details(
        f"{len(shared)} settings that all {len(panel.runs)} runs share",
        table(["setting", "value"], shared.items(), caption="Shared settings"),
    )


def _column(title: str) -> Column:
    return Column(NAMES.get(title, title), "right" if title in NUMBERS else "left")


def _cell(values: list[str]) -> Cell:
    """One value, or all of them where runs of the loss differ."""
    text = " / ".join(value or UNKNOWN for value in values)
    return Cell(text, _number(values[0]) if len(values) == 1 else text)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
