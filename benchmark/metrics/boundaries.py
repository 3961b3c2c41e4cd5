"""How well masks meet the contours of the truth: boundary IoU and boundary F-score."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from benchmark.metrics.breakdown import nan_mean
from datasets.sample import IGNORE

BAND = 0.02
"""Width of the band along a contour by the diagonal of the image (Cheng et al. 2021, §4)."""
TOLERANCE = 0.0075
"""How far a contour may lie off, by the diagonal of the image (Csurka et al. 2013, §3)."""

Mask = npt.NDArray[np.bool_]
ClassMap = npt.NDArray[np.uint8]


class BoundaryQuality:
    """Boundary IoU and boundary F-score of each class, from pairs of class maps.

    A class's contour is made of its pixels beside (above, below, left or right of) one that is
    not of the class. Neither the border of the image nor ignored pixels make a contour: nobody
    knows where the object would have ended.

    Args:
        classes: names of the foreground classes.
    """

    def __init__(self, classes: list[str]) -> None:
        self.classes = classes
        self.common = np.zeros(len(classes), np.int64)
        self.either = np.zeros(len(classes), np.int64)
        self.scores: list[list[float]] = [[] for _ in classes]

    def update(self, predicted: ClassMap, truth: ClassMap) -> None:
        """Add an image: class indices ``[H, W]`` without padding; truth may hold 255 = ignore."""
        valid = truth != IGNORE
        diagonal = math.hypot(*truth.shape)
        band, tolerance = (max(1, round(share * diagonal)) for share in (BAND, TOLERANCE))
        seen = np.bincount(predicted.ravel(), minlength=256)
        seen += np.bincount(truth.ravel(), minlength=256)
        for index in 1 + np.flatnonzero(seen[1 : len(self.classes) + 1]):
            masks = [valid & (class_map == index) for class_map in (predicted, truth)]
            near = [mask & _within(band, valid & ~mask) for mask in masks]
            self.common[index - 1] += np.count_nonzero(near[0] & near[1])
            self.either[index - 1] += np.count_nonzero(near[0] | near[1])
            found, true = (mask & _within(1, valid & ~mask) for mask in masks)
            if found.any() or true.any():
                self.scores[index - 1].append(_f_score(found, true, tolerance))

    def metrics(self) -> dict[str, float]:
        """Metrics in 0..1.

        Returns:
            ``boundary_IoU`` and ``boundary_F``, means over the foreground classes, and both as
            ``<metric>/<class>``. NaN, and left out of the mean, is a class without any contour.

            The boundary IoU (Cheng et al. 2021, arXiv 2103.16562, eq. 2) is the IoU of the bands
            inside of both masks that are 2 % of the image's diagonal wide; its pixels are counted
            over all images, as those of mIoU are. The boundary F-score (Csurka et al. 2013) is the
            harmonic mean of the shares of either contour that lie within 0.75 % of the diagonal of
            the other; it is the mean over the images where one of both has a contour.
        """
        with np.errstate(invalid="ignore"):
            iou = self.common / self.either
        f_score = np.array([nan_mean(scores) for scores in self.scores])
        found = {"boundary_IoU": float(nan_mean(iou)), "boundary_F": float(nan_mean(f_score))}
        for name, overlap, score in zip(self.classes, iou, f_score, strict=True):
            found[f"boundary_IoU/{name}"] = float(overlap)
            found[f"boundary_F/{name}"] = float(score)
        return found


def _within(distance: int, targets: Mask) -> Mask:
    """Pixels ``[H, W]`` no farther than this from a target, in a straight line."""
    steps = np.arange(-distance, distance + 1)
    disc = steps[:, None] ** 2 + steps**2 <= distance**2
    return cv2.dilate(targets.view(np.uint8), disc.view(np.uint8)).view(np.bool_)


def _f_score(predicted: Mask, truth: Mask, tolerance: int) -> float:
    """F-score of two contours, at least one of which has a pixel."""
    met = np.count_nonzero(predicted & _within(tolerance, truth))
    found = np.count_nonzero(truth & _within(tolerance, predicted))
    if not met:  # nor is any of the truth found
        return 0.0
    precision, recall = met / np.count_nonzero(predicted), found / np.count_nonzero(truth)
    return 2 * precision * recall / (precision + recall)
