"""The grid that is disturbed, and what of its results must not depend on any disturbance."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmark.damage import read_all
from benchmark.store import TEMPORARY, RunFolder, Store
from benchmark.store.recorded import SECONDS

TIMED_COLUMNS = frozenset({"seconds", "images_per_second"})
"""Columns of ``history.csv`` that the clock decides."""


def experiment(name: str, epochs: int, repetitions: int) -> dict[str, Any]:
    """Four losses on 32 x 32 pixels, two of boxes and two of masks, as an experiment file."""
    shapes = {"name": "shapes", "size": 32, "train": 16, "val": 4, "test": 4, "num_classes": 2}
    boxes = {"task": "detection", "losses": ["giou", "smooth_l1"]}
    masks = {"task": "segmentation", "losses": ["bce", "dice"]}
    return {
        "name": name,
        "repetitions": repetitions,
        "train": {"epochs": epochs, "batch_size": 4, "image_size": 32, "augment": {"hflip": 0.5}},
        "matrix": {
            "boxes": {
                **boxes,
                "datasets": [shapes],
                "models": [{"name": "tiny_fcos", "width": 8}],
            },
            "masks": {
                **masks,
                "datasets": [shapes],
                "models": [{"name": "tiny_unet", "width": 4}],
            },
        },
    }


def results(store: Store) -> dict[str, str]:
    """What each run of the store came to, without its times: file -> text.

    Numbers stand in it as they stand in the files, digit for digit. Folders without a result and
    files that are not there are absent.
    """
    found: dict[str, str] = {}
    for run in sorted(store.path.glob("runs/*")):
        for name, strip in STRIPPED.items():
            if (run / name).exists():
                found[f"{run.name}/{name}"] = strip((run / name).read_text(encoding="utf-8"))
    return found


def _metrics_without_times(text: str) -> str:
    outcome = json.loads(text, parse_float=str, parse_int=str)
    return json.dumps({key: value for key, value in outcome.items() if key not in SECONDS})


def _history_without_times(text: str) -> str:
    columns, *lines = csv.reader(text.splitlines())
    kept = [i for i, column in enumerate(columns) if column not in TIMED_COLUMNS]
    return "\n".join(",".join(line[i] for i in kept) for line in [columns, *lines])


STRIPPED: dict[str, Callable[[str], str]] = {
    "metrics.json": _metrics_without_times,
    "history.csv": _history_without_times,
    "details.json": str,
    "streams.json": str,
}


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> dict[str, list[str]]:
    """Files that are ``lost``, of runs nobody asked for (``extra``), or ``different``."""
    return {
        "lost": sorted(expected.keys() - found.keys()),
        "extra": sorted(found.keys() - expected.keys()),
        "different": sorted(k for k in expected.keys() & found.keys() if expected[k] != found[k]),
    }


def damaged(store: Store) -> list[str]:
    """Files of runs that have their name and cannot be read: what must never be."""
    folders = map(RunFolder, sorted(store.path.glob("runs/*")))
    return [f"{folder.path.name}/{name}" for folder in folders for name in read_all(folder)[1]]


def temporaries(store: Store) -> int:
    """Files that were being written when their process was killed; none of them is ever read."""
    return len(list(store.path.rglob(TEMPORARY)))


def ended(store: Store) -> int:
    """Number of runs with a result."""
    return len(list(store.path.glob("runs/*/metrics.json")))


def checkpoints(store: Store) -> int:
    """Number of runs that can continue where they were."""
    return len(list(store.path.glob("runs/*/checkpoint.pt")))


def epoch_of(run: Path) -> int | None:
    """The last epoch in a run's history; None before the first."""
    history = RunFolder(run).history()
    return int(history[-1]["epoch"]) if history else None
