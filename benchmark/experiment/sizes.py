"""The sizes that images have in training."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.experiment.train_settings import Train

UNIT = 16
"""What the sides of multi-scale training always divide by, in pixels."""

SMALLEST = 32
"""Least side of an image, in pixels."""


def scaled_size(size: Sequence[int], factor: float) -> tuple[int, int]:
    """Height and width of images of a size in a step of multi-scale training.

    Both sides are multiples of 32, of 16 where the size's own are no more than that, and at
    least 32.
    """
    unit = UNIT if any(side % (2 * UNIT) for side in size) else 2 * UNIT
    height, width = (max(SMALLEST, unit * round(side * factor / unit)) for side in size)
    return height, width


def smallest_size(train: Train) -> tuple[int, int]:
    """The least height and the least width that a model will see in a run."""
    height, width = train.image_size
    if train.multi_scale is None:
        return height, width
    low = scaled_size(train.image_size, train.multi_scale[0])
    return min(height, low[0]), min(width, low[1])
