"""Training a real detector: our harness beside a plain loop and beside the bare steps."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmark.bench.harness import bare_rate
from benchmark.bench.plain_loop import Annotated, PlainLoop, read_annotation
from benchmark.bench.rates import SIDES, Rate, rows
from benchmark.bench.training_page import HEADS, write_results
from benchmark.bench.utilisation import Utilisation
from benchmark.console.display import shown_warnings
from benchmark.environment import describe
from benchmark.experiment.cell import CellConfig, CellLoss, CellModel, CellPart
from benchmark.experiment.train_settings import Train
from benchmark.metrics.engines import ENGINES, PYCOCOTOOLS
from benchmark.models import check_train, make_spec
from benchmark.options import UserError, look_up
from benchmark.runner import open_dataset
from benchmark.store import RunFolder
from benchmark.training.loop import train_cell
from benchmark.training.state import build_model
from datasets import Dataset, Split
from datasets.cache import CachedSplit, prepare, warn_of_dropped_boxes
from datasets.sample import Sample

MODEL = "fcos_mobilenet_v3"
AUGMENT = {"hflip": 0.5, "vflip": 0.5, "scale": [0.8, 1.25], "colour": 0.2}


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        root: of the data set, in Pascal VOC layout.
        images: training images an epoch, 0 for all; the validation split shrinks with them.
        model: options of :data:`MODEL`.
        loaders: processes that load training samples, in our harness and in the plain loop.
        evaluator: of our harness; the plain loop has pycocotools.
    """

    root: str
    images: int = 0
    epochs: int = 3
    rounds: int = 3
    threads: int = 1
    loaders: int = 0
    device: str = "cpu"
    evaluator: str = PYCOCOTOOLS
    image_size: Sequence[int] = (240, 320)
    batch_size: int = 8
    model: dict[str, Any] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """For the page."""
        return {
            "model": MODEL,
            "options": self.model,
            "epochs": self.epochs,
            "size": self.image_size,
            "batch": self.batch_size,
            "rounds": self.rounds,
            "threads": self.threads,
            "loaders": self.loaders,
            "evaluator": self.evaluator,
        }

    def cell(self) -> CellConfig:
        """The run of our harness; a tuning run, as those do not read the test split."""
        train = Train(
            epochs=self.epochs,
            batch_size=self.batch_size,
            image_size=list(self.image_size),
            augment=AUGMENT,
        )
        options, spec = make_spec(MODEL, self.model, "model")
        check_train(MODEL, spec, train, "model")
        return CellConfig(
            stage="tuning",
            task="detection",
            loss=CellLoss(name="giou", label="giou"),
            dataset=CellPart(name="voc", label="data", options={"root": self.root}),
            model=CellModel(name=MODEL, label=MODEL, options=options),
            repetition=0,
            seed=0,
            train=train,
        )


@dataclass
class Part(Dataset):
    """The first images of a data set's splits."""

    whole: Dataset
    shares: dict[str, int]

    def __post_init__(self) -> None:
        self.tasks, self.classes = self.whole.tasks, self.whole.classes

    def ids(self, split: Split) -> list[str]:
        return self.whole.ids(split)[: self.shares[split]]

    def load(self, sample_id: str) -> Sample:
        return self.whole.load(sample_id)

    def files(self, sample_id: str) -> list[Path]:
        return self.whole.files(sample_id)


def parse_size(text: str) -> list[int]:
    """Height and width of ``240x320``.

    Raises:
        UserError: it is not of that form, or no size that models take.
    """
    try:
        return Train(image_size=[int(side) for side in text.split("x")]).image_size
    except ValueError as error:  # pydantic's is one
        raise UserError(
            f"--size: must be height x width, as in 240x320, each at least 32, got {text!r}"
        ) from error


def bench(console: Console, plan: Plan, out: Path | None, command: str) -> None:
    """Measure, print a table, and write the page and a CSV to ``out`` if that is given.

    Raises:
        UserError: the data set is not there, has no whole batch, or there is no such evaluator.
    """
    look_up(ENGINES, plan.evaluator, "evaluator", "--evaluator")()
    torch.set_num_threads(plan.threads)
    cell = plan.cell()
    data = _some(open_dataset(cell.dataset), plan.images, plan.batch_size)
    with tempfile.TemporaryDirectory(prefix="lossbench-") as temporary, shown_warnings(console):
        folder = Path(temporary)
        started = time.perf_counter()
        height, width = plan.image_size
        splits = {s: prepare(data, s, (height, width), folder / "cache") for s in ("train", "val")}
        decoding = time.perf_counter() - started
        warn_of_dropped_boxes(splits.values())
        pictures: dict[Split, list[Annotated]] = {
            split: read_annotation(data, split) for split in ("train", "val")
        }
        with console.status("measuring"):
            rates = _measure(plan, cell, splits, pictures, folder)
    table = Table(*HEADS, box=SIMPLE_HEAD)
    for cells in rows(rates):
        table.add_row(*cells)
    console.print(table)
    if out is not None:
        setting = {
            **{name: len(split) for name, split in splits.items()},
            **plan.described(),
            "decoding": decoding,
            "command": command,
        }
        write_results(out, rates, setting, describe(torch.device(plan.device)))
        console.print(f"written to {out}")


def _some(data: Dataset, images: int, batch_size: int) -> Part:
    """As many training images as asked for, and the same share of the validation split."""
    train, val = len(data.ids("train")), len(data.ids("val"))
    chosen = min(images or train, train)
    if chosen < batch_size:
        raise UserError(f"{chosen} training images make no batch of {batch_size}")
    return Part(data, {"train": chosen, "val": max(1, round(val * chosen / train))})


def _measure(
    plan: Plan,
    cell: CellConfig,
    splits: dict[str, CachedSplit],
    pictures: dict[Split, list[Annotated]],
    folder: Path,
) -> list[Rate]:
    """All rates, round by round; the sides of a round take turns."""
    device = torch.device(plan.device)
    classes = splits["train"].classes
    trained = cell.train.epochs * _per_epoch(cell, len(splits["train"]))

    def harness(number: int) -> tuple[float, float]:
        started = time.perf_counter()
        run = RunFolder(folder / f"run{number}")
        run.path.mkdir()
        how: dict[str, Any] = {"loader_workers": plan.loaders, "evaluator": plan.evaluator}
        outcome = train_cell(cell, dict(splits), run, device, **how)
        whole = time.perf_counter() - started
        return trained / whole, trained / outcome["train_seconds"]

    def plain(number: int) -> tuple[float, float]:
        started = time.perf_counter()
        network: Any = build_model(cell, len(classes), torch.device("cpu")).network
        network = network.to(memory_format=torch.contiguous_format)
        loop = PlainLoop(network, cell.train, pictures, classes, device, plan.loaders)
        loop.run()
        return trained / (time.perf_counter() - started), trained / loop.train_seconds

    def bare(number: int) -> tuple[float, float]:
        rate = bare_rate(cell, splits["train"].folder, device)
        return rate, rate

    bare(0)  # what is done once, such as imports, is done; runs have it done by their server
    sides = dict(zip(SIDES, (harness, plain, bare), strict=True))
    return [
        _rate(number, name, side, device)
        for number in range(1, plan.rounds + 1)
        for name, side in sides.items()
    ]


def _per_epoch(cell: CellConfig, images: int) -> int:
    """Images of an epoch's whole batches."""
    return images // cell.train.batch_size * cell.train.batch_size


def _rate(
    number: int, name: str, side: Callable[[int], tuple[float, float]], device: torch.device
) -> Rate:
    with Utilisation(device) as gpu:
        images, training = side(number)
    return Rate(number, name, images, training, gpu.mean())
