"""How long the engines of average precision take over the same fabricated detections."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmark.environment import describe
from benchmark.metrics.detection import AveragePrecision, Boxes, Labels
from benchmark.metrics.engines import ENGINES, PYCOCOTOOLS
from benchmark.store import write_text

SHIFT = 0.08
"""Deviation of a detection's corners from its object's, by the object's sides."""
HITS = 0.7
"""Share of the objects that have a detection near them."""


@dataclass(frozen=True)
class Content:
    """A split and what a detector found on it, in numbers an image.

    Attributes:
        name: of the split that it is like.
        objects: mean number of objects an image.
        detections: of each image, those near objects among them.
        rounds: how often each engine measures it; the fastest counts.
    """

    name: str
    images: int
    classes: int
    objects: int
    detections: int
    width: int = 640
    height: int = 480
    rounds: int = 3


QUICK = (Content("BCCD test", images=72, classes=3, objects=13, detections=50),)
SIZES = (
    *QUICK,
    Content("Pascal VOC 2007 test, a fifth", images=1000, classes=20, objects=3, detections=60),
    Content("COCO val, a tenth", images=500, classes=80, objects=7, detections=100),
    Content("COCO val", images=5000, classes=80, objects=7, detections=100, rounds=1),
)


@dataclass(frozen=True)
class Measurement:
    """One engine on one set.

    Attributes:
        engine: one of the register.
        seconds: of processor time of one evaluation, from the detections to all metrics.
        ratio: seconds of pycocotools by these.
        difference: largest one of a metric from pycocotools' value.
    """

    name: str
    images: int
    classes: int
    detections: int
    engine: str
    seconds: float
    ratio: float
    difference: float


Found = tuple[list[Boxes], list[Boxes], list[Labels]]


def fabricate(content: Content, seed: int = 0) -> tuple[list[Boxes], list[Labels], Found]:
    """Boxes and labels of the objects; boxes, scores and labels of the detections, an image each.

    Scores have two decimals, so that there are ties.
    """
    draws = np.random.default_rng(seed)
    boxes: list[Boxes] = []
    labels: list[Labels] = []
    found: Found = ([], [], [])
    for count in draws.poisson(content.objects, content.images):
        boxes.append(_boxes(draws, count, content))
        labels.append(draws.integers(0, content.classes, count))
        hit = np.flatnonzero(draws.random(count) < HITS)[: content.detections]
        sides = np.tile(boxes[-1][hit, 2:] - boxes[-1][hit, :2], 2)
        near = boxes[-1][hit] + draws.normal(0, SHIFT, (len(hit), 4)) * sides
        rest = content.detections - len(hit)
        found[0].append(np.vstack([near, _boxes(draws, rest, content)]))
        scores = np.concatenate([draws.beta(4, 2, len(hit)), draws.beta(1, 4, rest)])
        found[1].append(scores.round(2))
        wrong = draws.integers(0, content.classes, rest)
        found[2].append(np.concatenate([labels[-1][hit], wrong]))
    return boxes, labels, found


def _boxes(draws: np.random.Generator, count: int, content: Content) -> Boxes:
    """``[count, 4]`` anywhere in the image, their sides from 2 % to 60 % of its."""
    size = np.array([content.width, content.height])
    sides = np.exp(draws.uniform(np.log(0.02), np.log(0.6), (count, 2))) * size
    corners = draws.random((count, 2)) * (size - sides)
    return np.hstack([corners, corners + sides])


def bench(console: Console, sizes: Sequence[Content], out: Path, command: str) -> None:
    """Measure every engine on every set, print a table, write README.md and a CSV to ``out``.

    Args:
        command: the command line that asked for it, as the page shows it.

    Raises:
        UserError: an engine is not installed.
    """
    packages = [load().package for load in ENGINES.values()]
    found: list[Measurement] = []
    with console.status("") as status:
        for content in sizes:
            status.update(f"{content.name}: {content.images:,} images")
            found += _measure(content)
    console.print(_table(found))
    frame = pd.DataFrame([asdict(measurement) for measurement in found])
    write_text(out / "evaluator.csv", frame.to_csv(index=False, float_format="%.4g"))
    write_text(out / "README.md", _page(found, packages, command))
    console.print(f"written to {out}")


def _measure(content: Content) -> list[Measurement]:
    boxes, labels, detections = fabricate(content)
    classes = [f"class {i}" for i in range(content.classes)]
    metrics = {name: AveragePrecision(boxes, labels, classes, name) for name in ENGINES}
    seconds: dict[str, list[float]] = {name: [] for name in ENGINES}
    values: dict[str, dict[str, float]] = {}
    for _ in range(content.rounds):
        for name, metric in metrics.items():  # in turns: what slows the machine slows all
            started = time.process_time()
            values[name] = metric(*detections)
            seconds[name].append(time.process_time() - started)
    return [
        Measurement(
            content.name,
            content.images,
            content.classes,
            sum(map(len, detections[0])),
            name,
            min(seconds[name]),
            min(seconds[PYCOCOTOOLS]) / min(seconds[name]),
            _difference(values[PYCOCOTOOLS], values[name]),
        )
        for name in ENGINES
    ]


def _difference(one: dict[str, float], two: dict[str, float]) -> float:
    """Largest one between values; infinite where only one of two is NaN."""
    first, second = (np.array([some[key] for key in one]) for some in (one, two))
    if (np.isnan(first) != np.isnan(second)).any():
        return float("inf")
    return float(np.nanmax(np.abs(first - second), initial=0.0))


HEADINGS = (
    "like",
    "images",
    "classes",
    "detections",
    "engine",
    "seconds",
    "times as fast",
    "largest difference",
)


def _cells(found: Sequence[Measurement]) -> list[list[str]]:
    return [
        [
            one.name,
            f"{one.images:,}",
            f"{one.classes}",
            f"{one.detections:,}",
            one.engine,
            f"{one.seconds:.3g}",
            f"{one.ratio:.1f}",
            f"{one.difference:.0e}" if one.difference else "0",
        ]
        for one in found
    ]


def _table(found: Sequence[Measurement]) -> Table:
    table = Table(*HEADINGS, box=SIMPLE_HEAD)
    for cells in _cells(found):
        table.add_row(*cells)
    return table


def _page(found: Sequence[Measurement], packages: Sequence[str], command: str) -> str:
    environment = describe(torch.device("cpu"))
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    rows = [f"| {' | '.join(cells)} |" for cells in _cells(found)]
    lines = [
        "# Speed of average precision",
        "",
        "Seconds of processor time of one evaluation of fabricated boxes by each engine, from the "
        "detections to all metrics, those of Pascal VOC among them; the fastest of a few rounds in "
        "which the engines take turns (of the largest set, one round). The last column is the "
        "largest difference of any metric from pycocotools' value. The sets have about the numbers "
        "of the splits that they are named after, but boxes and scores are drawn at random.",
        "",
        f"| {' | '.join(HEADINGS)} |",
        "|---|--:|--:|--:|---|--:|--:|--:|",
        *rows,
        "",
        f"Measured on {environment['cpu']} ({environment['cores']} cores), "
        f"{environment['system']}, Python {environment['python']}, {versions}. Again with",
        "",
        "```console",
        command,
        "```",
    ]
    return "\n".join(lines) + "\n"
