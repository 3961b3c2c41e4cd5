"""From an experiment to its cells: one cell is one training run."""

from __future__ import annotations

from typing import Any

from benchmark.backbone import check_backbone
from benchmark.config import (
    Block,
    CellConfig,
    CellLoss,
    CellModel,
    CellPart,
    Experiment,
    Train,
)
from benchmark.entries import Entry, LossEntry, Term
from benchmark.models import (
    MODELS,
    Kind,
    check_network,
    find_model,
    losses_for,
    outside_files,
)
from benchmark.options import UserError, build, look_up, resolve_options, suggest
from benchmark.tasks import TASKS
from datasets import DATASETS
from losses.schedule import Schedule
from losses.sums import SumOfLosses


def plan(experiment: Experiment) -> list[CellConfig]:
    """All cells of an experiment, repetition by repetition, so that an unfinished grid is paired.

    Raises:
        UserError: an unknown name or option, a model of another task, a baseline that is none of
            the losses, or two cells that nothing in a table would tell apart.
    """
    cells = [cell for key in experiment.matrix for cell in _block_cells(experiment, key)]
    seen: dict[tuple[Any, ...], CellConfig] = {}
    for cell in cells:
        shown = (cell.task, cell.dataset.label, cell.model.label, cell.loss.label, cell.repetition)
        if shown in seen:
            raise UserError(
                f"two cells would both be shown as {cell.dataset.label} / {cell.model.label} / "
                f"{cell.loss.label}: give one of the entries another `label`"
            )
        seen[shown] = cell
    _check_comparable(cells)
    _check_baselines(experiment)
    _check_targets(experiment)
    # The same order within a repetition: runs that will be compared end at about the same time.
    return sorted(cells, key=lambda cell: cell.repetition)


def _check_comparable(cells: list[CellConfig]) -> None:
    """All that a table will show side by side must differ by the loss and nothing else."""
    first: dict[tuple[str, str, str], CellConfig] = {}
    for cell in cells:
        table = (cell.task, cell.dataset.label, cell.model.label)
        other = first.setdefault(table, cell)
        for part in ("dataset", "model", "train"):
            if getattr(cell, part) != getattr(other, part):
                raise UserError(
                    f"{cell.dataset.label} / {cell.model.label}: '{cell.loss.label}' and "
                    f"'{other.loss.label}' would stand in one table with different {part} "
                    "settings; give the data set or model of one block another `label`"
                )


def _check_targets(experiment: Experiment) -> None:
    """A target that no run reports would never be reached; of two, one would not be timed."""
    tasks = sorted({block.task for block in experiment.matrix.values()})
    places = [("targets", experiment.targets, tasks)]
    places += [(f"matrix.{k}.targets", b.targets, [b.task]) for k, b in experiment.matrix.items()]
    for path, targets, among in places:
        allowed = [metric for task in among for metric in TASKS[task].metric_names()]
        for metric in targets:
            if not any(TASKS[task].measures(metric) for task in among):
                raise UserError(
                    f"{path}: {' or '.join(among)} has no metric '{metric}'"
                    f"{suggest(metric, allowed)}; allowed: {', '.join(allowed)}"
                )
    for table, targets in experiment.targets_by_table().items():
        own = [metric for metric in targets if TASKS[table[0]].measures(metric)]
        if len(own) > 1:
            raise UserError(
                f"targets: {', '.join(table)} has {len(own)} ({', '.join(own)}); give one"
            )


def _check_baselines(experiment: Experiment) -> None:
    """Blocks of one task are compared with one loss, so each must have it."""
    for task, baseline in experiment.baselines().items():
        for key, block in experiment.matrix.items():
            labels = [loss.shown for loss in block.losses]
            if block.task == task and block.baseline not in (None, baseline):
                raise UserError(
                    f"matrix.{key}.baseline: '{block.baseline}' differs from the baseline "
                    f"'{baseline}' of another {task} block; one experiment has one a task"
                )
            if block.task == task and baseline not in labels:
                raise UserError(
                    f"matrix.{key}.losses: lacks the baseline '{baseline}' of another {task} "
                    f"block; it has {', '.join(labels)}"
                )


def _block_cells(experiment: Experiment, key: str) -> list[CellConfig]:
    block = experiment.matrix[key]
    path = f"matrix.{key}"
    train = experiment.block_train(key)
    datasets = [
        _part(DATASETS, entry, "data set", f"{path}.datasets.{i}")
        for i, entry in enumerate(block.datasets)
    ]
    models = [
        _model(block, entry, train, f"{path}.models.{i}") for i, entry in enumerate(block.models)
    ]
    places = _common_places(block, f"{path}.models")
    losses = [
        _loss(block.task, entry, places, f"{path}.losses.{i}")
        for i, entry in enumerate(block.losses)
    ]
    labels = [loss.label for loss in losses]
    if block.baseline is not None and block.baseline not in labels:
        raise UserError(
            f"{path}.baseline: '{block.baseline}' is none of the losses; "
            f"allowed: {', '.join(labels)}"
        )
    return [
        CellConfig(
            task=block.task,
            loss=loss,
            dataset=dataset,
            model=model,
            repetition=repetition,
            seed=experiment.seed,
            train=train,
        )
        for repetition in range(block.repetitions or experiment.repetitions)
        for dataset in datasets
        for model in models
        for loss in losses
    ]


def _part(register: dict[str, Any], entry: Entry, kind: str, path: str) -> CellPart:
    cls = look_up(register, entry.name, kind, path)
    options = resolve_options(cls, entry.options, path)
    return CellPart(name=entry.name, label=entry.label or entry.name, options=options)


def _model(block: Block, entry: Entry, train: Train, path: str) -> CellModel:
    cls = find_model(entry.name, path)
    options = resolve_options(cls, entry.options, path)
    spec = build(cls, options, path)
    if spec.task != block.task:
        allowed = ", ".join(sorted(n for n, m in MODELS.items() if m.task == block.task))
        raise UserError(
            f"{path}: '{entry.name}' is a {spec.task} model, but the block's task is "
            f"{block.task}; allowed: {allowed}"
        )
    check_network(entry.name, spec, path)
    check_backbone(spec, train, path)
    files = outside_files(entry.name, spec)
    return CellModel(name=entry.name, label=entry.shown, options=options, files=files)


def _common_places(block: Block, path: str) -> dict[str, Kind]:
    """The places at which every model of the block takes a loss, ``box`` for all of boxes."""
    each = [find_model(model.name, path).places for model in block.models]
    common = {
        place: kind
        for place, kind in each[0].items()
        if all(places.get(place) == kind for places in each)
    }
    if all("box" in places.values() for places in each):
        common = {"box": "box", **common}
    return common


def _loss(task: str, entry: LossEntry, places: dict[str, Kind], path: str) -> CellLoss:
    """The loss of a cell: one of the task's, or several at places of the block's models."""
    if entry.parts is None:
        return _plain(task, entry, path)
    parts = {}
    for place, part in entry.parts.items():
        here = f"{path}.parts.{place}"
        if place not in places:
            raise UserError(
                f"{here}: no such place{suggest(place, places)}; every model of the block takes a "
                f"loss at: {', '.join(places) or 'none'}"
            )
        parts[place] = _single(losses_for(places[place]), f"{places[place]} loss", part, here)
    return CellLoss(name="parts", label=entry.shown, weight=entry.weight, parts=parts)


def _plain(task: str, entry: LossEntry, path: str) -> CellLoss:
    """A loss named without a place; where the task has several kinds, its own kind decides."""
    name = entry.sum[0].name if entry.sum else entry.name
    for place, kind in TASKS[task].plain_places.items():
        register = losses_for(kind)
        if name in register:
            loss = _single(register, f"{kind} loss", entry, path)
            part = loss.model_copy(update={"weight": 1.0})
            return CellLoss(name="parts", label=loss.label, weight=loss.weight, parts={place: part})
    return _single(TASKS[task].losses(), f"{task} loss", entry, path)


def _single(register: dict[str, Any], kind: str, entry: LossEntry, path: str) -> CellLoss:
    name, given, versions = entry.name, entry.options, []
    if entry.sum is None:
        cls = look_up(register, name, kind, path)
        if issubclass(cls, SumOfLosses):
            raise UserError(f"{path}: write a sum as {{sum: [...]}}, a list of losses")
    else:
        found = _sum_in(register)
        if found is None:
            raise UserError(f"{path}: a {kind} cannot be a sum")
        name, cls = found
        terms = [_term(register, t, kind, f"{path}.sum.{i}") for i, t in enumerate(entry.sum)]
        given = {**given, "terms": terms}
        versions = [register[term["name"]].version for term in terms]
    options = resolve_options(cls, given, path)
    build(cls, options, path)
    return CellLoss(
        name=name,
        label=entry.shown,
        options=options,
        weight=entry.weight,
        version=cls.version,
        term_versions=versions,
    )


def _sum_in(register: dict[str, Any]) -> tuple[str, type[SumOfLosses]] | None:
    """Name and class of the sum among some losses."""
    return next(((n, cls) for n, cls in register.items() if issubclass(cls, SumOfLosses)), None)


def _term(register: dict[str, Any], term: Term, kind: str, path: str) -> dict[str, Any]:
    """One term of a sum, its loss's options resolved."""
    cls = look_up(register, term.name, kind, path)
    if issubclass(cls, SumOfLosses):
        raise UserError(f"{path}: a sum cannot be part of a sum; list its terms here")
    options = resolve_options(cls, term.options, path)
    build(cls, options, path)
    try:
        weight = Schedule.of(term.weight).resolved()
    except ValueError as error:
        raise UserError(f"{path}.weight: {error}") from None
    return {"name": term.name, "weight": weight, **options}
