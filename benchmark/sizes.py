"""The sizes that images have in training."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.config import Train

SMALLEST = 32
"""Least side of an image, in pixels."""


def scaled_size(size: Sequence[int], factor: float) -> tuple[int, int]:
    """Height and width of images of a size in a step of multi-scale training.

    Both sides are multiples of 32, of 16 where the size's own are no more than that, and at
    least 32.
    """
    unit = 16 if any(side % 32 for side in size) else 32
    height, width = (max(SMALLEST, unit * round(side * factor / unit)) for side in size)
    return height, width


def smallest_size(train: Train) -> tuple[int, int]:
    """The least height and the least width that a model will see in a run."""
    height, width = train.image_size
    if train.multi_scale is None:
        return height, width
    low = scaled_size(train.image_size, train.multi_scale[0])
    return min(height, low[0]), min(width, low[1])
