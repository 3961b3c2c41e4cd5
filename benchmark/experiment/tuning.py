"""The same search for every loss: its runs, and the final runs with the settings chosen.

A setting is a weight of the loss, a learning rate and options of the loss. Tuning runs are
measured on the validation split alone; the test split is read by the final runs only.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmark.experiment.cell import CellConfig
from benchmark.experiment.config import Experiment, Table
from benchmark.experiment.protocol import Tune
from benchmark.options import UserError, build, resolve_options, suggest
from benchmark.seeding import derive
from benchmark.tasks import TASKS

Setting = dict[str, Any]
"""``weight``, ``lr`` and loss options by name -> value, only those that are tuned."""


def table_of(cell: CellConfig) -> Table:
    """The table whose losses the cell's loss is compared with."""
    return cell.task, cell.dataset.label, cell.model.label


def plan_tuning(experiment: Experiment, cells: list[CellConfig]) -> list[CellConfig]:
    """The tuning runs that an experiment asks for, repetition by repetition.

    Args:
        cells: the experiment's final cells as :func:`benchmark.experiment.grid.plan` made them.

    Raises:
        UserError: settings that do not exist, or not the same number of them for every loss.
    """
    found = []
    for table, tune in experiment.tuning_by_table().items():
        base = {c.loss.label: c for c in cells if table_of(c) == table and c.repetition == 0}
        _check_metric(table[0], tune)
        for label in tune.options:
            if label not in experiment.loss_labels():
                raise UserError(
                    f"tune.options: there is no loss '{label}'"
                    f"{suggest(label, base)}; allowed: {', '.join(base)}"
                )
        settings = {label: _settings(cell, tune) for label, cell in base.items()}
        chosen = _equal_budget(settings, tune, experiment.seed)
        found += [
            _tuning_cell(base[label], setting, repetition, tune)
            for repetition in range(tune.repetitions)
            for label, some in chosen.items()
            for setting in some
        ]
    return sorted(found, key=lambda cell: cell.repetition)


def apply_setting(cell: CellConfig, setting: Setting) -> CellConfig:
    """The cell with the setting's weight, learning rate and options."""
    named = {"weight": cell.loss.weight, "lr": cell.train.lr, **setting}
    options = {k: v for k, v in setting.items() if k not in ("weight", "lr")}
    if options:
        cls = TASKS[cell.task].losses()[cell.loss.name]
        options = resolve_options(
            cls, {**cell.loss.options, **options}, f"tune.options.{cell.loss.label}"
        )
    loss = cell.loss.model_copy(
        update={"weight": named["weight"], "options": {**cell.loss.options, **options}}
    )
    train = cell.train.model_copy(update={"lr": named["lr"]})
    return cell.model_copy(update={"loss": loss, "train": train, "tuned": setting})


def _settings(cell: CellConfig, tune: Tune) -> list[Setting]:
    """All settings of one loss, in the order of the file, each checked."""
    label = cell.loss.label
    options = tune.options.get(label, {})
    if options and (cell.loss.term_versions or cell.loss.parts):
        raise UserError(f"tune.options.{label}: a loss of several has no options of its own")
    if tune.weights is not None and cell.loss.weight != 1.0:
        raise UserError(
            f"tune.weights: '{label}' has a weight of its own ({cell.loss.weight:g}), which the "
            "tuned one would take the place of; leave one of them out"
        )
    axes: dict[str, Iterable[Any]] = {
        **({} if tune.weights is None else {"weight": tune.weights}),
        **({} if tune.lr is None else {"lr": tune.lr}),
        **options,
    }
    settings = [
        dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())
    ]
    for setting in settings if options else []:
        tuned = apply_setting(cell, setting)
        cls = TASKS[cell.task].losses()[cell.loss.name]
        build(cls, tuned.loss.options, f"tune.options.{label}")
    return settings


def _equal_budget(
    settings: dict[str, list[Setting]], tune: Tune, seed: int
) -> dict[str, list[Setting]]:
    """The settings that each loss tries: as many for every loss."""
    sizes = {label: len(some) for label, some in settings.items()}
    budget = tune.budget or max(sizes.values(), default=0)
    for label, size in sizes.items():
        if size < budget:
            asked = (
                f"tune.budget is {budget}"
                if tune.budget
                else f"another loss has {budget}; give tune.budget, at most {min(sizes.values())}, "
                "so that every loss tries as many"
            )
            raise UserError(f"tune: '{label}' has {size} setting(s), but {asked}")
    return {label: _draw(some, budget, seed) for label, some in settings.items()}


def _draw(settings: list[Setting], budget: int, seed: int) -> list[Setting]:
    """``budget`` of the settings, in their order.

    The draw depends on their number alone: losses with equal lists try the same settings.
    """
    random = np.random.default_rng(derive(seed, "tuning", len(settings)))
    places = sorted(random.permutation(len(settings))[:budget])
    return [settings[place] for place in places]


def _tuning_cell(cell: CellConfig, setting: Setting, repetition: int, tune: Tune) -> CellConfig:
    cell = apply_setting(cell, setting)
    epochs = tune.epochs or cell.train.epochs
    # Only the last epoch's value counts.
    train = cell.train.model_copy(update={"epochs": epochs, "eval_every": epochs})
    return cell.model_copy(update={"stage": "tuning", "repetition": repetition, "train": train})


def _check_metric(task: str, tune: Tune) -> None:
    allowed = TASKS[task].metric_names()
    name = tune.metric or TASKS[task].primary
    if not TASKS[task].measures(name):
        raise UserError(
            f"tune.metric: {task} has no metric '{name}'{suggest(name, allowed)}; "
            f"allowed: {', '.join(allowed)}"
        )
