"""A results folder that has every file there can be, without anything having been trained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmark.environment import describe
from benchmark.experiment.config import load_experiment
from benchmark.experiment.grid import plan
from benchmark.experiment.tuning import plan_tuning
from benchmark.store import RunFolder, Store
from tests.bad_input.worlds import experiment, fabricated, picture

BOXES = {"boxes": [[1, 2, 20, 30]], "labels": [0]}
SAMPLES = {
    "version": 1,
    "task": "detection",
    "classes": ["dog", "cat"],
    "images": [
        {
            "id": "a",
            "file": "sample-0.png",
            "height": 32,
            "width": 48,
            "truth": BOXES,
            "predicted": {**BOXES, "scores": [0.5]},
        }
    ],
}
CURVE = {"x": [0.5, 0.75], "y": [0.4, 0.2]}
GROUPS = {"group": ["small", "large"], "count": [3, 4], "value": [0.1, None]}
HISTOGRAM = {"edges": [0, 0.5, 1], "count": [1, 2]}
DETAILS = {
    "version": 1,
    "task": "detection",
    "by_iou": CURVE,
    "by_size": GROUPS,
    "by_class": GROUPS,
    "precision_recall": {"IoU 0.50": CURVE},
    "localisation": {**HISTOGRAM, "matched": 3, "objects": 4, "mean": 0.5},
    "calibration": {**HISTOGRAM, "confidence": [0.2, 0.7], "accuracy": [0, None], "ece": 0.1},
}
STREAMS = {"weights": "00", "epochs": [{"epoch": 1, "batches": "01", "images": "02"}]}
FINGERPRINTS = {"train": "03", "val": "04", "test": "05"}
OF_A_RUN = [
    *("config.yaml", "metrics.json", "history.csv", "environment.json", "details.json"),
    *("samples.json", "streams.json"),
]


def furnished(folder: Path) -> Store:
    """``results/small`` in an empty folder, with final and tuning runs that ended."""
    experiment("tune: {lr: [0.01, 0.1]}\n")(folder)
    store = fabricated(folder / "results/small", folder / "small.yaml")
    planned = load_experiment(str(folder / "small.yaml"))
    for run in store.run_folders():
        furnish(run, FINGERPRINTS)
    (final,) = store.run_folders()[:1]
    for cell in plan_tuning(planned, plan(planned)):
        tuning = store.run_folder(cell)
        tuning.begin(cell, final.environment() or {})
        tuning.write_history(final.history())
        tuning.finish({**(final.outcome() or {}), "metrics": {}})
    return store


def furnish(run: RunFolder, fingerprints: dict[str, str]) -> None:
    """Put in what :func:`fabricated` leaves out."""
    run.write_details(DETAILS)
    run.write_streams(STREAMS)
    (run.path / "samples.json").write_text(json.dumps(SAMPLES))
    picture(run.path / "sample-0.png")
    environment = {**describe(torch.device("cpu")), "data": fingerprints}
    (run.path / "environment.json").write_text(json.dumps(environment))


@contextmanager
def holding(file: Path, content: bytes | None) -> Iterator[None]:
    """While a file holds something else, or (None) is not there; afterwards it is as before."""
    good = file.read_bytes() if file.exists() else None
    put(file, content)
    try:
        yield
    finally:
        put(file, good)


def put(file: Path, content: bytes | None) -> None:
    if content is None:
        file.unlink(missing_ok=True)
    else:
        file.write_bytes(content)


def content_of(file: Path) -> Any:
    """Of a JSON or a YAML file."""
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def written(file: Path, content: Any) -> bytes:
    """As a file of that name would hold it."""
    text = json.dumps(content) if file.suffix == ".json" else yaml.safe_dump(content)
    return text.encode()
