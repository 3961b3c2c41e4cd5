"""Which detections of one picture are right: the rule by which the page colours them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

Corners = Sequence[Sequence[float]]
"""Boxes ``[n, 4]`` as x1, y1, x2, y2."""


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


def match(
    truth: Corners,
    truth_labels: Sequence[int],
    boxes: Corners,
    scores: Sequence[float],
    labels: Sequence[int],
    threshold: float = 0.5,
) -> Matches:
    """Give each detection, highest score first, the object that it overlaps most.

    An object is given once, to a detection of its class with an IoU of at least ``threshold``,
    as in the evaluation of COCO. Equal scores keep their order.
    """
    overlap = _iou(boxes, truth)
    right_class = np.equal.outer(np.asarray(labels), np.asarray(truth_labels))
    open_to = np.where(right_class & (overlap >= threshold), overlap, -1.0)
    found, iou = [-1] * len(boxes), [float("nan")] * len(boxes)
    for i in np.argsort(-np.asarray(scores, dtype=float), kind="stable") if len(truth) else []:
        best = len(truth) - 1 - int(open_to[i, ::-1].argmax())  # of equal ones the last, as COCO
        if open_to[i, best] >= 0:
            found[i], iou[i] = best, float(overlap[i, best])
            open_to[:, best] = -1.0
    return Matches(found, iou, [j for j in range(len(truth)) if j not in found])


def _iou(boxes: Corners, truth: Corners) -> npt.NDArray[np.float64]:
    """IoU ``[len(boxes), len(truth)]``."""
    if not len(boxes) or not len(truth):
        return np.zeros((len(boxes), len(truth)))
    crowd = [0] * len(truth)
    return np.asarray(coco_mask.iou(_sized(boxes), _sized(truth), crowd))


def _sized(corners: Corners) -> npt.NDArray[np.float64]:
    """Corners as COCO has boxes: x, y, width, height."""
    boxes = np.array(corners, dtype=np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    return boxes
