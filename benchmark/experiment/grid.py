"""From an experiment to its cells: one cell is one training run."""

from __future__ import annotations

from typing import Any

from benchmark.experiment.cell import CellConfig, CellModel, CellPart
from benchmark.experiment.config import Block, Experiment
from benchmark.experiment.entries import Entry
from benchmark.experiment.grid_losses import common_places, plan_loss
from benchmark.experiment.sizes import scaled_size
from benchmark.experiment.train_settings import Train
from benchmark.models import MODELS, check_network, check_train, make_spec, outside_files
from benchmark.options import UserError, look_up, resolve_options, suggest
from benchmark.tasks import TASKS
from benchmark.training.backbone import check_backbone
from datasets import DATASETS


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
    _check_scales(train, f"{path}.train.multi_scale")
    datasets = [
        _part(DATASETS, entry, "data set", f"{path}.datasets.{i}")
        for i, entry in enumerate(block.datasets)
    ]
    models = [
        _model(block, entry, train, f"{path}.models.{i}") for i, entry in enumerate(block.models)
    ]
    places = common_places(block, f"{path}.models")
    losses = [
        plan_loss(block.task, entry, places, f"{path}.losses.{i}")
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


def _check_scales(train: Train, path: str) -> None:
    """Sizes are rounded, so that a narrow range, or one of small images, may hold but one."""
    if train.multi_scale is None or train.multi_scale[0] == train.multi_scale[1]:
        return
    height, width = train.image_size
    first, last = (scaled_size((height, width), factor) for factor in train.multi_scale)
    if first == last:
        raise UserError(
            f"{path}: all sizes of {height} x {width} times {train.multi_scale[0]:g} to "
            f"{train.multi_scale[1]:g} are rounded to {first[0]} x {first[1]}; give a wider range "
            "or a larger image_size"
        )


def _part(register: dict[str, Any], entry: Entry, kind: str, path: str) -> CellPart:
    cls = look_up(register, entry.name, kind, path)
    options = resolve_options(cls, entry.options, path, beside=["label"])
    return CellPart(name=entry.name, label=entry.label or entry.name, options=options)


def _model(block: Block, entry: Entry, train: Train, path: str) -> CellModel:
    options, spec = make_spec(entry.name, entry.options, path)
    if spec.task != block.task:
        allowed = ", ".join(sorted(n for n, m in MODELS.items() if m.task == block.task))
        raise UserError(
            f"{path}: the task of '{entry.name}' is {spec.task}, but the block's task is "
            f"{block.task}; allowed: {allowed}"
        )
    check_train(entry.name, spec, train, path)
    check_network(entry.name, spec, path, train.image_size)
    check_backbone(spec, train, path)
    files = outside_files(entry.name, spec)
    return CellModel(name=entry.name, label=entry.shown, options=options, files=files)
