"""From an experiment to trained cells: plan, decode, train what is missing, say what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmark.annotation_check import check_annotation
from benchmark.collecting import collect_tuning
from benchmark.executors import Job
from benchmark.experiment.cell import CellConfig, CellPart
from benchmark.experiment.config import Experiment, Table
from benchmark.experiment.grid import plan
from benchmark.experiment.tuning import Setting, apply_setting, plan_tuning, table_of
from benchmark.loggers import check_loggers
from benchmark.metrics.engines import ENGINES
from benchmark.models import find_model
from benchmark.options import UserError, build, look_up, suggest
from benchmark.seeding import derive
from benchmark.store import STAGE_FOLDER, RunFolder, Store
from benchmark.tasks import TASKS
from benchmark.training.loading import steps_per_epoch
from datasets import DATASETS, SPLITS, Dataset, DatasetError, Split
from datasets.cache import CachedSplit, open_cached, prepare, warn_of_dropped_boxes

ENDED = frozenset({"done", "diverged"})


@dataclass(frozen=True)
class PlannedCell:
    """A cell, where its files lie, and how long it is.

    Attributes:
        steps: optimiser steps of the whole run.
    """

    cell: CellConfig
    folder: RunFolder
    steps: int

    @property
    def cost(self) -> float:
        """Pixels seen in training: what the time of a run is about proportional to."""
        height, width = self.cell.train.image_size
        return float(self.steps * self.cell.train.batch_size * height * width)


@dataclass(frozen=True)
class Grid:
    """An experiment that is ready to be trained.

    Attributes:
        cells: the final runs; those of tuned losses have the settings of the file until
            :meth:`with_chosen_settings`.
        tuning: the runs that choose the settings.
    """

    experiment: Experiment
    store: Store
    cells: list[PlannedCell]
    datasets: dict[str, Dataset]
    tuning: list[PlannedCell]

    def with_chosen_settings(self) -> Grid:
        """The grid with the settings that the tuning chose.

        Losses whose tuning is not over are left out: a setting chosen from fewer runs than the
        others had would not be fair.
        """
        if not self.tuning:
            return self
        tuned = {table_of(planned.cell) for planned in self.tuning}
        chosen = _chosen_settings(self.store)
        cells = []
        for planned in self.cells:
            cell = planned.cell
            if table_of(cell) in tuned:
                setting = chosen.get((table_of(cell), cell.loss.label))
                if setting is None:
                    continue
                cell = apply_setting(cell, setting)
            cells.append(replace(planned, cell=cell, folder=self.store.run_folder(cell)))
        return replace(self, cells=cells)


def unfinished(cells: list[PlannedCell]) -> list[PlannedCell]:
    """Those that have not ended."""
    return [planned for planned in cells if planned.folder.status() not in ENDED]


def _chosen_settings(store: Store) -> dict[tuple[Table, str], Setting]:
    """(table, loss label) -> the setting that the tuning runs in the store chose."""
    tuning = collect_tuning(store)
    found: dict[tuple[Table, str], Setting] = {}
    for row in tuning[tuning["chosen"]].itertuples():
        folder = store.path / STAGE_FOLDER["tuning"] / str(row.cell)
        key = (str(row.task), str(row.dataset), str(row.model)), str(row.loss)
        found[key] = RunFolder(folder).config().tuned
    return found


def plan_grid(experiment: Experiment, results: Path) -> Grid:
    """Check an experiment against the registers and its data, and lay out its cells.

    Raises:
        UserError: what the experiment names does not exist or does not fit together.
    """
    check_loggers(experiment.logging)
    ENGINES[experiment.evaluator]()  # says so if it is not installed
    finals = plan(experiment)
    store = Store(results / experiment.name)
    datasets: dict[str, Dataset] = {}
    planned = []
    for cell in [*finals, *plan_tuning(experiment, finals)]:
        key = part_key(cell.dataset)
        if key not in datasets:
            datasets[key] = open_dataset(cell.dataset)
        dataset = datasets[key]
        if cell.task not in dataset.tasks:
            raise UserError(
                f"data set '{cell.dataset.label}' has annotation for "
                f"{' and '.join(sorted(dataset.tasks))}, not for {cell.task}"
            )
        for split in SPLITS:
            if not dataset.ids(split):
                raise UserError(f"data set '{cell.dataset.label}': its {split} split is empty")
        steps = cell.train.epochs * steps_per_epoch(
            len(dataset.ids("train")), cell.train.batch_size
        )
        planned.append(PlannedCell(cell, store.run_folder(cell), steps))
    _check_folders(planned)
    by_table = {table_of(p.cell): datasets[part_key(p.cell.dataset)] for p in planned}
    _check_classes(experiment, by_table)
    final = [one for one in planned if one.cell.stage == "final"]
    tuning = [one for one in planned if one.cell.stage == "tuning"]
    return Grid(experiment, store, final, datasets, tuning)


def _check_folders(planned: list[PlannedCell]) -> None:
    """Two cells may differ by nothing but a path or a loss's label; they would share a folder."""
    counts = Counter(one.cell.identity() for one in planned)
    for one in planned:
        if counts[one.cell.identity()] > 1:
            raise UserError(
                f"the cell {one.cell.slug} stands in the matrix more than once; give data sets "
                "that lie in different folders different labels"
            )


def _check_classes(experiment: Experiment, datasets: dict[Table, Dataset]) -> None:
    """A metric of a class that the data set lacks would never be measured."""
    asked = [
        *((t, "targets", m) for t, some in experiment.targets_by_table().items() for m in some),
        *((t, "tune.metric", tune.metric) for t, tune in experiment.tuning_by_table().items()),
    ]
    for table, key, metric in asked:
        task, label, _ = table
        class_name = (metric or "").partition("/")[2]
        background = ["background"] if task == "segmentation" else []
        classes = ["", *background, *datasets[table].classes]
        if TASKS[task].measures(metric or "") and class_name not in classes:
            raise UserError(
                f"{key}: '{metric}' asks for the class '{class_name}', which data set '{label}' "
                f"lacks{suggest(class_name, classes)}; allowed: {', '.join(classes[1:])}"
            )


def part_key(part: CellPart) -> str:
    """What tells parts with other options from one another, as in :attr:`Grid.datasets`."""
    return repr((part.name, sorted(part.options.items())))


def open_dataset(part: CellPart) -> Dataset:
    """The data set of a cell; what is wrong with its options or folder is a :class:`UserError`."""
    where = f"data set '{part.label}'"
    try:
        return build(look_up(DATASETS, part.name, "data set", where), part.options, where)
    except DatasetError as error:
        raise UserError(f"{where}: {error}") from None


def prepare_splits(
    dataset: Dataset,
    image_size: list[int],
    cache: Path,
    on_progress: Callable[[Split, int, int], None] = lambda split, done, total: None,
) -> dict[str, Path]:
    """Decode all splits of a data set at one size, or find them decoded; their cache folders."""
    prepared: dict[str, CachedSplit] = {}
    for split in SPLITS:

        def tell(done: int, total: int, split: Split = split) -> None:
            on_progress(split, done, total)

        size = (image_size[0], image_size[1])
        try:
            prepared[split] = prepare(dataset, split, size, cache, tell)
        except DatasetError as error:
            raise UserError(str(error)) from None
    warn_of_dropped_boxes(prepared.values())
    return {split: cached.folder for split, cached in prepared.items()}


def make_jobs(
    grid: Grid,
    cells: list[PlannedCell],
    cache: Path,
    device: str,
    threads: int,
    loader_workers: int,
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> list[Job]:
    """Jobs of the given cells, with their data decoded.

    Raises:
        UserError: a model's weights cannot be had, or data cannot be read.
    """
    _load_weights_once(cells)
    decoded: dict[tuple[str, int, int], dict[str, Path]] = {}
    trivial: dict[tuple[str, int, int, str], dict[str, float]] = {}
    checked: set[tuple[str, int, int, str]] = set()
    jobs = []
    for planned in cells:
        cell = planned.cell
        height, width = cell.train.image_size
        key = (part_key(cell.dataset), height, width)
        if key not in decoded:
            label = cell.dataset.label

            def tell(split: Split, done: int, total: int, label: str = label) -> None:
                on_progress(f"{label} {split}", done, total)

            decoded[key] = prepare_splits(grid.datasets[key[0]], [height, width], cache, tell)
        if (*key, cell.task) not in checked:
            check_annotation(cell, grid.datasets[key[0]], decoded[key])
            checked.add((*key, cell.task))
        final = cell.stage == "final"
        if final and (*key, cell.task) not in trivial:
            trivial[*key, cell.task] = trivial_metrics(cell, decoded[key])
        # A tuning run is not even told where the test split lies.
        splits = {name: path for name, path in decoded[key].items() if final or name != "test"}
        jobs.append(
            Job(
                cell,
                planned.folder.path,
                splits,
                device,
                threads,
                loader_workers,
                trivial[*key, cell.task] if final else {},
                logging=tuple(grid.experiment.logging),
                evaluator=grid.experiment.evaluator,
            )
        )
    return jobs


def _load_weights_once(cells: list[PlannedCell]) -> None:
    """Build each model that starts from given weights, and throw it away.

    So they are downloaded once, not by all workers at a time, and what is wrong with them is said
    once, not by each run.
    """
    models = {part_key(planned.cell.model): planned.cell.model for planned in cells}
    for model in models.values():
        if model.options.get("weights", "none") == "none":
            continue
        where = f"model '{model.label}'"
        try:
            build(find_model(model.name, where), model.options, where).build(1)
        except UserError as error:
            raise UserError(f"{where}: {error}") from None


def trivial_metrics(cell: CellConfig, splits: dict[str, Path]) -> dict[str, float]:
    """Test metrics of the task's trivial predictor; the same for every cell on this data."""
    train, test = open_cached(splits["train"]), open_cached(splits["test"])
    return TASKS[cell.task].trivial(train, test, derive(cell.seed, cell.dataset.label, "trivial"))


def pick_device(name: str) -> str:
    """``auto`` is CUDA where there is some; ``cuda`` without any is a :class:`UserError`."""
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UserError("--device cuda: this machine offers no CUDA device to torch")
    return "cuda" if available and name != "cpu" else "cpu"
