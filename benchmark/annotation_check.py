"""Whether decoded annotation can be trained on: faults that no single file shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.experiment.cell import CellConfig
from benchmark.options import UserError
from benchmark.tasks import TASKS
from datasets import SPLITS, Dataset
from datasets.cached_split import CachedSplit, open_cached


def check_annotation(cell: CellConfig, dataset: Dataset, splits: dict[str, Path]) -> None:
    """Refuse a data set without what the cell's task is trained on and measured by.

    Args:
        cell: one of those on this data set.
        dataset: to name files of.
        splits: its decoded splits by name.

    Raises:
        UserError: an object has no mask where the task needs one, or as :func:`check_boxes`.
    """
    opened = {name: open_cached(path) for name, path in splits.items()}
    truth = TASKS[cell.task].truth
    if "instances" in truth:
        _check_instances(cell, dataset, opened)
    if "boxes" in truth:
        check_boxes(cell.dataset.label, opened)


def _check_instances(cell: CellConfig, dataset: Dataset, splits: dict[str, CachedSplit]) -> None:
    """That every object has a mask: some readers know it only now."""
    for split in SPLITS:
        if not splits[split].has_instances:
            samples = (dataset.load(sample_id) for sample_id in dataset.ids(split))
            path = next(sample.path for sample in samples if sample.instance_masks is None)
            raise UserError(
                f"data set '{cell.dataset.label}': {path}: not every object has a mask, which the "
                f"task {cell.task} needs"
            )


def check_boxes(label: str, splits: dict[str, CachedSplit]) -> None:
    """Refuse boxes from which a detector could learn, or be measured by, nothing.

    Args:
        label: of the data set, for the message.
        splits: its decoded splits by name.

    Raises:
        UserError: a split has no box at all, or every box of the data set lies within the first
            pixel of its image, as shares of the image size do that were taken for pixels.
    """
    for name, split in splits.items():
        if split.num_boxes == 0:
            raise UserError(
                f"data set '{label}': its {name} split has no object: none of its {len(split)} "
                "images has a box; look at the annotation with `inspect`"
            )
    if all(_furthest(split) <= 1 for split in splits.values()):
        raise UserError(
            f"data set '{label}': every box lies within the first pixel of its image; coordinates "
            "must be pixels, not shares of the image size"
        )


def _furthest(split: CachedSplit) -> float:
    """The largest coordinate of any box, in pixels of the originals."""
    furthest = 0.0
    for index in range(len(split)):
        boxes = split.boxes(index)
        furthest = max(furthest, float(np.max(boxes, initial=0.0)) / split.scale(index))
        if furthest > 1:
            break
    return furthest
