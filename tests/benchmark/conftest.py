"""Cells and tiny splits that the tests of the benchmark share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.experiment.cell import CellConfig, CellLoss, CellModel, CellPart
from benchmark.experiment.train_settings import Train
from benchmark.store import RunFolder
from benchmark.training.loop import train_cell
from datasets.base import Dataset, Split
from datasets.cache import CachedSplit, prepare
from datasets.sample import Sample
from datasets.shapes import Shapes

SIZE = (64, 64)
TINY_MASK_RCNN: dict[str, Any] = {
    "channels": 8,
    "head": 8,
    "mask_channels": 8,
    "mask_convolutions": 1,
    "sampled": 16,
    "anchor_sizes": [8, 16, 32],
    "sizes_a_level": "one",
}
MODEL: dict[str, tuple[str, dict[str, Any]]] = {
    "detection": ("tiny_fcos", {"width": 8}),
    "segmentation": ("tiny_unet", {"width": 4}),
    "instance": ("mask_rcnn_mobilenet_v3", TINY_MASK_RCNN),
}
LOSS = {"detection": "giou", "segmentation": "bce", "instance": "giou"}


@pytest.fixture(scope="session")
def shapes_splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CachedSplit]:
    """10 training, 4 validation and 4 test images of 64 x 64 pixels, two classes."""
    dataset = Shapes(size=64, train=10, val=4, test=4, num_classes=2, objects=(1, 3))
    folder = tmp_path_factory.mktemp("shapes")
    return {split: prepare(dataset, split, SIZE, folder) for split in ("train", "val", "test")}


@pytest.fixture(scope="session")
def make_cell() -> Callable[..., CellConfig]:
    """A cell on 64 x 64 shapes; keywords it does not know are train settings."""

    def make(
        task: str = "detection",
        loss: str | None = None,
        weight: float = 1.0,
        options: dict[str, Any] | None = None,
        model: str | None = None,
        model_options: dict[str, Any] | None = None,
        dataset: str = "shapes",
        repetition: int = 0,
        seed: int = 0,
        **train: Any,
    ) -> CellConfig:
        default_model, default_options = MODEL[task]
        loss = loss or LOSS[task]
        chosen = default_options if model_options is None else model_options
        name = model or default_model
        settings = {"epochs": 1, "batch_size": 4, "image_size": list(SIZE), **train}
        return CellConfig(
            task=task,
            loss=CellLoss(name=loss, label=loss, options=options or {}, weight=weight),
            dataset=CellPart(name="shapes", label=dataset),
            model=CellModel(name=name, label=name, options=chosen),
            repetition=repetition,
            seed=seed,
            train=Train(**settings),
        )

    return make


@pytest.fixture
def run(shapes_splits, tmp_path):
    """Train a cell in the folder of this name; gives the outcome and the folder."""

    def train(cell, name: str = "run", **more: Any) -> tuple[dict[str, Any], RunFolder]:
        folder = RunFolder(tmp_path / name)
        folder.path.mkdir(exist_ok=True)
        return train_cell(cell, shapes_splits, folder, torch.device("cpu"), **more), folder

    return train


@dataclass
class Handmade(Dataset):
    """A data set of samples that a test wrote down."""

    samples: list[Sample]
    classes: list[str]
    tasks: frozenset[str] = frozenset({"detection", "segmentation", "instance"})

    def ids(self, split: Split) -> list[str]:
        return [sample.id for sample in self.samples]

    def load(self, sample_id: str) -> Sample:
        return next(sample for sample in self.samples if sample.id == sample_id)

    def files(self, sample_id: str) -> list[Path]:
        return []


@pytest.fixture
def make_split(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., CachedSplit]:
    """Cache samples as one split: ``make_split(samples, classes, (height, width))``."""

    def make(samples: list[Sample], classes: list[str], size: tuple[int, int]) -> CachedSplit:
        folder = tmp_path_factory.mktemp("handmade")
        return prepare(Handmade(samples, classes), "test", size, folder)

    return make
