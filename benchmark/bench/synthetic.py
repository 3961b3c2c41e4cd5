"""A results folder of any size, as a grid of runs would have left it, without training one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmark.bench.invented import Invented, invent, stop_at
from benchmark.collecting import collect_tuning
from benchmark.experiment.cell import CellConfig
from benchmark.experiment.config import Experiment
from benchmark.experiment.grid import plan
from benchmark.experiment.tuning import apply_setting, plan_tuning, table_of
from benchmark.metrics.rle import encode
from benchmark.seeding import derive
from benchmark.store import RunFolder, Store, write_text
from benchmark.tasks import TASKS
from datasets.sample import Sample
from datasets.shapes import Shapes
from losses.sums import SumOfLosses

MODELS = {
    "detection": ("tiny_fcos", "width"),
    "segmentation": ("tiny_unet", "width"),
    "instance": ("mask_rcnn_mobilenet_v3", "channels"),
}
"""Task -> a model and its option that says how wide it is."""
WEIGHTS = (0.5, 1.0, 2.0)
IMAGES = 4
SIDE = 128
ENVIRONMENT: dict[str, Any] = {
    "python": "3.11.0",
    "system": "Linux x86_64",
    "cpu": "none: these numbers are invented",
    "cores": 2,
    "threads": 1,
    "device": "cpu",
    "packages": {"torch": "2.6.0"},
    "commit": None,
}


@dataclass(frozen=True)
class Content:
    """What a store holds.

    Attributes:
        losses: labels, the same for each task; the first is the baseline.
        repetitions: runs of each loss in each table.
        datasets: labels.
        models: of each task, told apart by their width.
        epochs: of every run.
        tasks: keys of :data:`MODELS`.
        tuning: whether three weights of each loss are tried first.
        broken: whether some runs diverged, failed or did not begin.
        description: of the experiment.
        failure: message of the runs that failed.
        seed: what all numbers follow from.
    """

    losses: Sequence[str]
    repetitions: int
    datasets: Sequence[str] = ("shapes",)
    models: int = 1
    epochs: int = 20
    tasks: Sequence[str] = ("detection", "segmentation")
    tuning: bool = False
    broken: bool = True
    description: str = "Invented numbers."
    failure: str = "RuntimeError: out of memory"
    seed: int = 0
    effects: dict[str, float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.effects.update({label: float(rng.normal(0, 0.03)) for label in self.losses})

    @property
    def runs(self) -> int:
        """Number of final runs."""
        tables = len(self.tasks) * len(self.datasets) * self.models
        return tables * len(self.losses) * self.repetitions


def build_store(folder: Path, content: Content) -> Store:
    """Write a results folder through the methods that a grid writes it with.

    Args:
        folder: of the store; need not exist.
        content: what to write. Of broken stores the last loss diverged in the first repetition of
            every table; the second last failed in the last repetition on the first data set, and
            on the last data set its last repetition did not begin.

    Raises:
        ValueError: more losses than a task has.
    """
    experiment = Experiment.model_validate(_experiment(folder.name, content))
    store = Store(folder)
    cells = plan(experiment)
    tuning = plan_tuning(experiment, cells)
    if tuning:
        store.write_experiment(experiment, [*cells, *tuning])
        for cell in tuning:
            _write_run(store.run_folder(cell), cell, content)
        cells = _with_chosen_weights(store, cells)
    store.write_experiment(experiment, [*cells, *tuning])
    for cell in cells:
        _write_run(store.run_folder(cell), cell, content)
    return store


def _experiment(name: str, content: Content) -> dict[str, Any]:
    matrix = {task: _block(task, content) for task in content.tasks}
    tune = {"tune": {"weights": list(WEIGHTS)}} if content.tuning else {}
    return {
        "name": name,
        "description": content.description,
        "seed": content.seed,
        "repetitions": content.repetitions,
        "train": {"epochs": content.epochs, "batch_size": 8, "image_size": SIDE},
        "matrix": matrix,
        **tune,
    }


def _block(task: str, content: Content) -> dict[str, Any]:
    known = [n for n, cls in TASKS[task].losses().items() if not issubclass(cls, SumOfLosses)]
    if len(content.losses) > len(known):
        raise ValueError(f"{task} has {len(known)} losses, not {len(content.losses)}")
    names = zip(known, content.losses, strict=False)
    model, width = MODELS[task]
    return {
        "task": task,
        "losses": [{"name": name, "label": label} for name, label in names],
        "datasets": [
            {"name": "shapes", "label": label, "seed": i, "size": SIDE, "num_classes": 3}
            for i, label in enumerate(content.datasets)
        ],
        "models": [{"name": model, width: 8 * (i + 1)} for i in range(content.models)],
        "baseline": content.losses[0],
    }


def _with_chosen_weights(store: Store, cells: list[CellConfig]) -> list[CellConfig]:
    found = collect_tuning(store)
    rows = found[found["chosen"]]
    chosen = {
        ((row.task, row.dataset, row.model), row.loss): row.weight for row in rows.itertuples()
    }
    return [
        apply_setting(cell, {"weight": chosen[table_of(cell), cell.loss.label]}) for cell in cells
    ]


def _write_run(folder: RunFolder, cell: CellConfig, content: Content) -> None:
    state = _state(cell, content)
    if state == "pending":
        return
    folder.begin(cell, ENVIRONMENT)
    if state == "failed":
        trace = f"Traceback (most recent call last):\n  ...\n{content.failure}"
        folder.fail(content.failure, trace)
        return
    run = _invented(cell, content)
    if state == "diverged":
        epoch = max(1, cell.train.epochs // 3)
        rows = stop_at(run.history, epoch)
        folder.write_history(rows)
        at = {"epoch": epoch, "step": 7}
        ended = {"diverged_at": at, "seconds": rows[-1]["seconds"]}
        folder.finish({"status": "diverged", **ended})
        return
    folder.write_history(run.history)
    seconds = {"train_seconds": run.train_seconds, "seconds": 1.3 * run.train_seconds}
    outcome: dict[str, Any] = {"status": "done", "metrics": {}, "validation": run.validation}
    if cell.stage == "final":
        folder.write_details(run.details)
        kept = {"metrics": run.metrics, "untrained": run.untrained, "trivial": run.trivial}
        outcome |= kept
        if cell.repetition == 0:
            _write_samples(folder, cell, content)
    folder.finish({**outcome, **seconds})


def _state(cell: CellConfig, content: Content) -> str:
    """What became of a run."""
    if not content.broken or cell.stage == "tuning" or len(content.losses) < 3:
        return "done"
    label, last = cell.loss.label, content.repetitions - 1
    if label == content.losses[-1] and cell.repetition == 0:
        return "diverged"
    if label == content.losses[-2] and cell.repetition == last:
        ends = {content.datasets[-1]: "pending", content.datasets[0]: "failed"}
        return ends.get(cell.dataset.label, "done")
    return "done"


def _invented(cell: CellConfig, content: Content) -> Invented:
    """A run whose repetition shifts all losses alike, as equal weights and batches do."""
    table = table_of(cell)
    shared = np.random.default_rng(derive(content.seed, *table, cell.repetition))
    own = np.random.default_rng(
        derive(content.seed, *table, cell.repetition, cell.loss.label, cell.loss.weight, cell.stage)
    )
    level = np.random.default_rng(derive(content.seed, *table)).uniform(0.3, 0.6)
    quality = level + content.effects[cell.loss.label] + shared.normal(0, 0.02)
    quality += own.normal(0, 0.01) - 0.02 * abs(np.log2(cell.loss.weight))
    speed = 2.0 + 0.1 * content.losses.index(cell.loss.label)
    return invent(cell.task, float(np.clip(quality, 0.05, 0.9)), cell.train.epochs, speed, own)


@cache
def _pictures(seed: int) -> tuple[Sample, ...]:
    shapes = Shapes(seed=seed, size=SIDE, test=IMAGES, num_classes=3, objects=(1, 4))
    return tuple(shapes.load(name) for name in shapes.ids("test"))


def _write_samples(folder: RunFolder, cell: CellConfig, content: Content) -> None:
    """Pictures of the generated shapes; the predictions are the truth moved by some pixels."""
    rng = np.random.default_rng(derive(content.seed, cell.loss.label, "samples"))
    seed = content.datasets.index(cell.dataset.label)
    images = []
    for number, sample in enumerate(_pictures(seed)):
        name = f"sample-{number}"
        Image.fromarray(sample.image).save(folder.path / f"{name}.jpg", quality=85)
        entry = {"id": sample.id, "file": f"{name}.jpg", "height": SIDE, "width": SIDE}
        kept = DRAWN[cell.task](sample, rng, folder.path, name)
        images.append({**entry, **kept})
    classes = Shapes(num_classes=3).classes
    text = {"version": 1, "task": cell.task, "classes": classes, "images": images}
    write_text(folder.path / "samples.json", json.dumps(text) + "\n")


def _boxes(sample: Sample, rng: np.random.Generator, folder: Path, name: str) -> dict[str, Any]:
    moved = (sample.boxes + rng.normal(0, 4, sample.boxes.shape)).clip(0, SIDE)
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    labels = sample.labels.tolist()
    scores = np.sort(rng.uniform(0.3, 1, len(labels)))[::-1].round(3).tolist()
    return {
        "truth": {"boxes": sample.boxes.tolist(), "labels": labels},
        "predicted": {"boxes": moved.round(1).tolist(), "scores": scores, "labels": labels},
    }


def _masks(sample: Sample, rng: np.random.Generator, folder: Path, name: str) -> dict[str, Any]:
    assert sample.semantic is not None
    moved = np.roll(sample.semantic, rng.integers(-5, 6, 2), (0, 1))
    files = {"truth": sample.semantic, "predicted": moved}
    for kind, mask in files.items():
        Image.fromarray(mask).save(folder / f"{name}-{kind}.png")
    return {kind: f"{name}-{kind}.png" for kind in files}


def _instances(sample: Sample, rng: np.random.Generator, folder: Path, name: str) -> dict[str, Any]:
    assert sample.instance_masks is not None
    kept = _boxes(sample, rng, folder, name)
    moved = [np.roll(mask, rng.integers(-4, 5, 2), (0, 1)) for mask in sample.instance_masks]
    masks = {"truth": sample.instance_masks, "predicted": np.array(moved)}
    for kind, own in masks.items():
        kept[kind]["masks"] = [rle["counts"].decode() for rle in encode(own)]
    return kept


DRAWN = {"detection": _boxes, "segmentation": _masks, "instance": _instances}
"""Task -> what writes the truth and a prediction of a sample."""
