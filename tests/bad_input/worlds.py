"""Small good inputs (an experiment, data sets, a results folder) for a case to spoil."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmark.experiment.config import load_experiment
from benchmark.experiment.grid import plan
from benchmark.store import Store

HEIGHT, WIDTH = 32, 48
COUNT = 6
"""Images of a data set."""

EXPERIMENT = """\
name: small
repetitions: 2
train: {epochs: 2, batch_size: 4, image_size: 64}
matrix:
  boxes:
    task: detection
    losses: [smooth_l1, {name: giou, weight: 2}]
    datasets: [{name: shapes, size: 64, train: 8, val: 4, test: 4}]
    models: [{name: tiny_fcos, width: 8}]
"""
XML = (
    "<annotation><size><width>48</width><height>32</height></size><object><name>dog</name>"
    "<bndbox><xmin>3</xmin><ymin>2</ymin><xmax>20</xmax><ymax>9</ymax></bndbox></object>"
    "</annotation>"
)

Spoil = Callable[[Path], object]
"""Changes something in the folder of a case."""


@dataclass(frozen=True)
class Case:
    """One mistake.

    Attributes:
        name: what is wrong, in words; unique in its section.
        make: writes the input into an empty folder, in which the command then runs.
        words: of the command line.
    """

    name: str
    make: Spoil
    words: tuple[str, ...] = ("run", "small.yaml")


def experiment(change: tuple[str, str] | str | bytes = "") -> Spoil:
    """``small.yaml``, with one piece of it replaced, text added to it, or other bytes instead."""

    def write(folder: Path) -> None:
        file = folder / "small.yaml"
        if isinstance(change, bytes):
            file.write_bytes(change)
        elif isinstance(change, str):
            file.write_text(EXPERIMENT + change)
        else:
            assert change[0] in EXPERIMENT
            file.write_text(EXPERIMENT.replace(*change))

    return write


def on_data(entry: str, task: str = "detection", model: str = "{name: tiny_fcos, width: 8}") -> str:
    """The experiment on a data set of the case's folder."""
    loss = {"detection": "giou", "segmentation": "bce"}[task]
    return (
        "name: small\ntrain: {epochs: 1, batch_size: 4, image_size: 32}\nmatrix:\n  block:\n"
        f"    task: {task}\n    losses: [{loss}]\n    datasets: [{entry}]\n    models: [{model}]\n"
    )


def picture(path: Path, height: int = HEIGHT, width: int = WIDTH) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def mask(path: Path, value: int = 1, width: int = WIDTH) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((HEIGHT, width), np.uint8)
    values[2:9, 3:20] = value
    Image.fromarray(values).save(path)


def text(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def voc(change: Spoil, entry: str = "{name: voc, root: data}") -> Spoil:
    """A VOC folder ``data``."""

    def write(folder: Path) -> None:
        text(folder / "small.yaml", on_data(entry))
        for number in range(COUNT):
            picture(folder / f"data/JPEGImages/{number}.png")
            text(folder / f"data/Annotations/{number}.xml", XML)
        change(folder / "data")

    return write


def xml(*change: str) -> Spoil:
    """The first annotation with a piece replaced, or with other content."""
    content = XML.replace(*change) if len(change) == 2 else change[0]
    return lambda data: text(data / "Annotations/0.xml", content)


def coco_content() -> dict[str, Any]:
    size = {"height": HEIGHT, "width": WIDTH}
    box = {"category_id": 1, "bbox": [1, 2, 10, 10], "segmentation": [[1, 1, 6, 1, 6, 6]]}
    return {
        "images": [{"id": i, "file_name": f"{i}.png", **size} for i in range(COUNT)],
        "annotations": [{"id": i, "image_id": i, **box} for i in range(COUNT)],
        "categories": [{"id": 1, "name": "dog"}],
    }


def coco(change: Callable[[dict[str, Any]], object] | str | bytes) -> Spoil:
    """A COCO folder ``data`` whose content is changed, or whose file holds something else."""

    def write(folder: Path) -> None:
        entry = "{name: coco, root: data, annotations: all.json, images: images}"
        text(folder / "small.yaml", on_data(entry))
        for number in range(COUNT):
            picture(folder / f"data/images/{number}.png")
        content = coco_content()
        if callable(change):
            change(content)
        text(folder / "data/all.json", json.dumps(content) if callable(change) else change)

    return write


def annotation(**changes: Any) -> Spoil:
    """A COCO folder whose first annotation has other values."""
    return coco(lambda content: content["annotations"][0].update(changes))


def image_entry(**changes: Any) -> Spoil:
    """A COCO folder whose first image has other values."""
    return coco(lambda content: content["images"][0].update(changes))


def yolo(line: str | bytes = "0 .5 .5 .2 .2", names: str = "names: [dog, cat]") -> Spoil:
    """A YOLO folder ``data`` with this line in the first label file, and these class names."""

    def write(folder: Path) -> None:
        text(
            folder / "small.yaml",
            on_data("{name: yolo, root: data, images: images, labels: labels}"),
        )
        for number in range(COUNT):
            picture(folder / f"data/images/{number}.png")
            text(folder / f"data/labels/{number}.txt", "0 .5 .5 .2 .2\n")
        text(folder / "data/labels/0.txt", line)
        text(folder / "data/data.yaml", names)

    return write


def masks(change: Spoil, kind: str = "kind: index, classes: [crack]") -> Spoil:
    """A folder ``data`` of images and index masks."""

    def write(folder: Path) -> None:
        entry = f"{{name: mask_folder, root: data, {kind}}}"
        text(
            folder / "small.yaml",
            on_data(entry, "segmentation", "{name: tiny_unet, width: 4}"),
        )
        for number in range(COUNT):
            picture(folder / f"data/images/{number}.png")
            mask(folder / f"data/masks/{number}.png")
        change(folder / "data")

    return write


def instances(change: Spoil, layout: str = "dsb2018") -> Spoil:
    """A folder ``data`` in the layout of the 2018 Data Science Bowl."""

    def write(folder: Path) -> None:
        text(
            folder / "small.yaml",
            on_data(f"{{name: instance_masks, root: data, layout: {layout}}}"),
        )
        for number in range(COUNT):
            picture(folder / f"data/{number}/images/{number}.png")
            mask(folder / f"data/{number}/masks/1.png", 255)
        change(folder / "data")

    return write


def results(file: str, content: str | bytes | Callable[[str], str] | None) -> Spoil:
    """``results/small`` with an ended run each cell; in the first run's folder, or in the
    experiment's where the name begins with ``/``, a file is changed, or removed (None)."""

    def write(folder: Path) -> None:
        experiment()(folder)
        store = fabricated(folder / "results/small", folder / "small.yaml")
        run = store.run_folders()[0].path
        place = store.path / file[1:] if file.startswith("/") else run / file
        if content is None:
            place.unlink()
        elif callable(content):
            text(place, content(place.read_text()))
        else:
            text(place, content)
        run.rename(run.with_name("run"))  # instead of one that ends with a hash

    return write


def fabricated(path: Path, file: Path) -> Store:
    """A store whose runs were never trained: their numbers are written down here."""
    planned = load_experiment(str(file))
    store, cells = Store(path), plan(planned)
    store.write_experiment(planned, cells)
    for number, cell in enumerate(cells):
        folder = store.run_folder(cell)
        folder.begin(cell, {"device": "cpu", "threads": 1, "packages": {"torch": "2.6"}})
        folder.write_history([{"epoch": e, "loss_total": 1.0, "AP": 0.1 * e} for e in range(3)])
        metrics = {"AP": 0.5 + 0.01 * number, "AP50": 0.7}
        folder.finish(
            {
                "status": "done",
                "metrics": metrics,
                "validation": metrics,
                "seconds": 1.0,
                "train_seconds": 1.0,
            }
        )
    (path / "cells.txt").unlink()  # the first run's folder gets a name that tables can show
    return store
