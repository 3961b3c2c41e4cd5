"""Masks as run lengths: some ten bytes for an object instead of one for each of its pixels.

The runs go along the rows (COCO's own go down the columns: the mask is handed over transposed).
So decoded masks lie in memory row by row, as everything else wants them, without a copy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

_MOST_BITS = 64


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


def expand(text: str) -> list[int]:
    """Run lengths from COCO's compressed text.

    Five bits a character (code - 48), lowest first, with bit 5 for "more follows" and bit 4 of
    the last one for the sign; from the fourth on, a run is written as its difference to the
    one before the last. Done here because pycocotools takes text that ends early, and returns
    uninitialised memory for the pixels that are missing.

    Raises:
        ValueError: the text holds other characters, a number of more than 64 bits, or ends within
            one.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise ValueError(f"{character!r} cannot be part of them")
        if shift > _MOST_BITS:
            raise ValueError("a number is longer than any run")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("the text ends within a number")
    return runs
