"""A few test images with truth and prediction, kept with a run to look at.

``samples.json`` lists them and names the pictures beside it: JPEG images, and class maps as grey
PNG (the pixel's value is the class, 0 background, 255 ignore).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmark.experiment.cell import CellConfig
from benchmark.metrics.breakdown import plain
from benchmark.seeding import derive
from benchmark.store import RunFolder, write_atomically, write_text
from benchmark.tasks import Task
from datasets.cache import CachedSplit
from datasets.sample import IGNORE

IMAGES = 4
JPEG_QUALITY = 85
FILE = "samples.json"


def write_samples(
    folder: RunFolder,
    cell: CellConfig,
    task: Task,
    split: CachedSplit,
    model: nn.Module,
    device: torch.device,
) -> None:
    """Write what a model in evaluation mode makes of a few images of a split.

    Args:
        folder: gets ``samples.json`` and ``sample-<n>*.jpg`` or ``.png``; boxes and class maps are
            in pixels of the pictures, which are of training size without padding.
    """
    chosen = sample_indices(split, derive(cell.seed, cell.dataset.label, "samples"))
    shown = task.show(model, split, chosen, device)
    images = []
    for number, (i, found) in enumerate(zip(chosen, shown, strict=True)):
        height, width = split.picture_size(i)
        name = f"sample-{number}"
        picture = Image.fromarray(split.image(i)[:height, :width])
        _save(picture, folder.path / f"{name}.jpg")
        kept = {key: _kept(value, f"{name}-{key}", folder.path) for key, value in found.items()}
        entry = {"id": split.ids[i], "file": f"{name}.jpg", "height": height, "width": width}
        images.append({**entry, **kept})
    content = {"version": 1, "task": cell.task, "classes": task.classes, "images": images}
    write_text(folder.path / FILE, json.dumps(content, separators=(",", ":")) + "\n")


def sample_indices(split: CachedSplit, seed: int) -> list[int]:
    """At most :data:`IMAGES` samples of a split, drawn from those that hold an object if enough."""
    order = np.random.default_rng(seed).permutation(len(split)).tolist()
    with_object: list[int] = []
    without: list[int] = []
    for i in order:
        (with_object if _holds_object(split, i) else without).append(i)
        if len(with_object) == IMAGES:
            break
    return (with_object + without)[:IMAGES]


def _holds_object(split: CachedSplit, index: int) -> bool:
    mask = split.semantic(index)
    in_mask = mask is not None and bool(((mask > 0) & (mask != IGNORE)).any())
    return in_mask or len(split.labels(index)) > 0


def _kept(value: Any, name: str, folder: Path) -> Any:
    """What the list says of a truth or a prediction: a class map becomes a file."""
    if not isinstance(value, np.ndarray):
        return plain(value)
    _save(Image.fromarray(value), folder / f"{name}.png")
    return f"{name}.png"


def _save(picture: Image.Image, path: Path) -> None:
    write_atomically(path, lambda temporary: picture.save(temporary, quality=JPEG_QUALITY))
