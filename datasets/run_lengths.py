"""Masks as run lengths: some ten bytes for an object instead of one for each of its pixels.

The runs go along the rows (COCO's own go down the columns: the mask is handed over transposed).
So decoded masks lie in memory row by row, as everything else wants them, without a copy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask


def encode_masks(masks: npt.NDArray[np.uint8]) -> list[bytes]:
    """Run lengths of masks of 0 and 1, uint8 ``[n, H, W]``, in COCO's compressed text."""
    if not len(masks):
        return []
    return [item["counts"] for item in coco_mask.encode(np.ascontiguousarray(masks).T)]


def decode_masks(runs: Sequence[bytes], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The masks again, uint8 ``[n, H, W]`` in rows, for ``size`` = (H, W)."""
    height, width = size
    if not runs:
        return np.zeros((0, height, width), np.uint8)
    return coco_mask.decode([{"size": [width, height], "counts": item} for item in runs]).T
