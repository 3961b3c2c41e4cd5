"""Masks of instances in COCO's run-length code, which is small and what COCO's evaluation takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

Rle = dict[str, Any]
"""``size`` (height, width) and ``counts`` (bytes) of one mask."""

AT_ONCE = 255
"""Masks that ``pycocotools.mask.area`` counts in one call: with numpy 2, more are an error."""


def encode(masks: npt.NDArray[np.bool_] | npt.NDArray[np.uint8]) -> list[Rle]:
    """Masks ``[n, H, W]`` of 0 and 1, or False and True."""
    stacked = np.asfortranarray(np.moveaxis(masks, 0, -1), dtype=np.uint8)
    return coco_mask.encode(stacked)


def rectangles(boxes: npt.NDArray[np.float64], height: int, width: int) -> list[Rle]:
    """Boxes ``[n, 4]`` (xyxy, pixels) filled, on a picture of this size."""
    if not len(boxes):
        return []
    sized = np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
    return coco_mask.frPyObjects(sized, height, width)


def areas(masks: list[Rle]) -> npt.NDArray[np.float64]:
    """Number of pixels of each mask, ``[n]``."""
    parts = [masks[start : start + AT_ONCE] for start in range(0, len(masks), AT_ONCE)]
    return np.concatenate([np.zeros(0), *(coco_mask.area(part) for part in parts)])
