"""Detections drawn over a picture as boxes."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.report.matching import box_overlaps
from benchmark.report.page.object_tiles import SHOWN, Form, object_tiles
from benchmark.report.page.tiles import Embedded, Tile
from benchmark.report.samples import Sample

NOTE = (
    "A detection is right where it meets an object of its class at an IoU of 0.5 or more; each "
    f"object counts once, for the highest score. {SHOWN}"
)


def _outline(box: Sequence[float]) -> tuple[str, float]:
    """SVG path and area of corners."""
    x1, y1, x2, y2 = (round(value, 1) for value in box)
    return f"M{x1:g} {y1:g}H{x2:g}V{y2:g}H{x1:g}Z", (box[2] - box[0]) * (box[3] - box[1])


BOXES = Form(lambda objects, sample: objects["boxes"], _outline, box_overlaps)


def box_tiles(sample: Sample, picture: Embedded) -> list[Tile]:
    """The truth, then each loss."""
    return object_tiles(BOXES, sample)
