"""Which detections of one picture are right: the rule by which the page colours them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

Corners = Sequence[Sequence[float]]
"""Boxes ``[n, 4]`` as x1, y1, x2, y2."""
Overlap = Callable[[Any, Any], npt.NDArray[np.float64]]
"""IoU ``[n, m]`` of n detections with m objects."""


@dataclass(frozen=True)
class Matches:
    """What each detection of a picture met.

    Attributes:
        found: for each detection the index of its object, or -1.
        iou: for each detection its IoU with that object, NaN without one.
        missed: indices of the objects that no detection met.
    """

    found: list[int]
    iou: list[float]
    missed: list[int]


def box_overlaps(boxes: Corners, truth: Corners) -> npt.NDArray[np.float64]:
    """IoU ``[len(boxes), len(truth)]``."""
    if not len(boxes) or not len(truth):
        return np.zeros((len(boxes), len(truth)))
    return np.asarray(coco_mask.iou(_sized(boxes), _sized(truth), [0] * len(truth)))


def mask_overlaps(masks: Sequence[Any], truth: Sequence[Any]) -> npt.NDArray[np.float64]:
    """IoU ``[len(masks), len(truth)]`` of masks in COCO's run-length code."""
    if not len(masks) or not len(truth):
        return np.zeros((len(masks), len(truth)))
    return np.asarray(coco_mask.iou(masks, truth, [0] * len(truth)))


def match(
    truth: Sequence[Any],
    truth_labels: Sequence[int],
    found: Sequence[Any],
    scores: Sequence[float],
    labels: Sequence[int],
    threshold: float = 0.5,
    overlaps: Overlap = box_overlaps,
) -> Matches:
    """Give each detection, highest score first, the object that it overlaps most.

    Truth and detections are what ``overlaps`` takes: by default corners of boxes. An object is
    given once, to a detection of its class with an IoU of at least ``threshold``,
    as in the evaluation of COCO. Equal scores keep their order.
    """
    overlap = overlaps(found, truth)
    right_class = np.equal.outer(np.asarray(labels), np.asarray(truth_labels))
    open_to = np.where(right_class & (overlap >= threshold), overlap, -1.0)
    given, iou = [-1] * len(found), [float("nan")] * len(found)
    for i in np.argsort(-np.asarray(scores, dtype=float), kind="stable") if len(truth) else []:
        best = len(truth) - 1 - int(open_to[i, ::-1].argmax())  # of equal ones the last, as COCO
        if open_to[i, best] >= 0:
            given[i], iou[i] = best, float(overlap[i, best])
            open_to[:, best] = -1.0
    return Matches(given, iou, [j for j in range(len(truth)) if j not in given])


def _sized(corners: Corners) -> npt.NDArray[np.float64]:
    """Corners as COCO has boxes: x, y, width, height."""
    boxes = np.array(corners, dtype=np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    return boxes
