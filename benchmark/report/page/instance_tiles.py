"""Detections drawn over a picture as masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from benchmark.report.matching import mask_overlaps
from benchmark.report.page.object_tiles import SHOWN, Form, object_tiles
from benchmark.report.page.tiles import Embedded, Tile
from benchmark.report.samples import Sample

FINER = 4
"""Outlines run between pixels, so they are followed on a grid this much finer."""
SMOOTH = 0.7  # pixels by which an outline may leave the steps of the mask
NOTE = (
    "A detection is right where its mask meets that of an object of its class at an IoU of 0.5 or "
    f"more; each object counts once, for the highest score. {SHOWN}"
)


def instance_tiles(sample: Sample, picture: Embedded) -> list[Tile]:
    """The truth, then each loss."""
    return object_tiles(MASKS, sample)


def _masks(objects: Mapping[str, Any], sample: Sample) -> list[dict[str, Any]]:
    size = [sample.height, sample.width]
    return [{"size": size, "counts": counts.encode()} for counts in objects["masks"]]


def _outline(mask: dict[str, Any]) -> tuple[str, float]:
    """SVG path and area of one mask; an empty one has an empty path."""
    pixels = coco_mask.decode(mask)
    left, top, width, height = coco_mask.toBbox(mask).astype(int).tolist()
    own = pixels[top : top + height, left : left + width]
    finer = np.pad(own.repeat(FINER, 0).repeat(FINER, 1), 1)
    lines, _ = cv2.findContours(finer, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    kept = [cv2.approxPolyDP(line, SMOOTH * FINER, closed=True)[:, 0] for line in lines]
    # The first row and column are padding, and a line runs through the middles of the fine pixels.
    paths = [_path((line - 0.5) / FINER + (left, top)) for line in kept if len(line) > 2]
    return "".join(paths), float(pixels.sum())


def _path(points: npt.NDArray[np.float64]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points.round(1)) + "Z"


MASKS = Form(_masks, _outline, mask_overlaps, opacity=0.25)
