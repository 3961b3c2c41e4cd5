"""Foreground probabilities of pixels, counted: what follows from them without a fixed threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.metrics.breakdown import RECALLS, SCORE_EDGES, Floats, calibration, nan_mean
from datasets.sample import IGNORE

BINS = 100
THRESHOLDS: Floats = np.arange(1, BINS) / BINS
"""Probabilities above which a pixel may be taken for a class: 0.01 to 0.99."""
HALF = BINS // 2 - 1
"""Position of 0.5 among :data:`THRESHOLDS`."""


class PixelProbabilities:
    """How probable each class was in its own pixels and in the others.

    Each class is a binary mask of its own: its probability is the sigmoid of its logit, the other
    classes have no say, and a pixel may be taken for several. Ignored pixels are left out.

    Args:
        num_classes: number C of foreground classes.
    """

    def __init__(self, num_classes: int, device: torch.device | None = None) -> None:
        self.num_classes = num_classes
        # A bin holds its upper border: above a threshold is where a logit is, not at it. So the
        # threshold 0.5 decides as the sign of the logit does, with no rounding in between.
        borders = torch.from_numpy(np.log(THRESHOLDS / (1 - THRESHOLDS)))
        borders[HALF] = 0.0
        self.borders = borders.to(torch.float32).to(device)
        self.counts = torch.zeros(num_classes, 2, BINS, dtype=torch.int64, device=device)
        self.scores = torch.zeros(len(SCORE_EDGES) - 1, dtype=torch.float64, device=device)

    def update(self, logits: Tensor, truth: Tensor) -> None:
        """Add a batch.

        Args:
            logits: ``[B, C, H, W]``.
            truth: class indices ``[B, H, W]``, 0 background, 255 ignore.
        """
        valid = truth != IGNORE
        for c in range(self.num_classes):
            self._add(c, logits[:, c].float().contiguous(), truth == c + 1, valid)

    def _add(self, c: int, logits: Tensor, positive: Tensor, valid: Tensor) -> None:
        """Count the pixels ``[B, H, W]`` under one class."""
        bins = torch.bucketize(logits, self.borders, out_int32=True)
        # Ignored pixels go to a bin of their own, which is quicker than to pick the others.
        cell = torch.where(valid, positive * BINS + bins, 2 * BINS)
        found = torch.bincount(cell.flatten(), minlength=2 * BINS + 1)[:-1]
        self.counts[c] += found.reshape(2, BINS)
        tenth = torch.where(valid, bins // (BINS // len(self.scores)), -1)
        probability = logits.sigmoid()
        # Sums in a fixed order: adding to bins in parallel gives other last digits on each run.
        for k in range(len(self.scores)):
            self.scores[k] += torch.where(tenth == k, probability, 0).sum(dtype=torch.float64)

    def iou(self) -> Floats:
        """IoU ``[C, 99]`` of each class at each of :data:`THRESHOLDS`.

        NaN where a class is neither present nor predicted.
        """
        hit, predicted, true = self._curves()
        with np.errstate(invalid="ignore"):
            return hit / (predicted + true[:, None] - hit)

    def best_thresholds(self) -> Floats:
        """Threshold ``[C]`` at which each class's IoU is highest.

        Of equal ones the nearest to 0.5, which is also the answer for an absent class.
        """
        iou = np.nan_to_num(self.iou(), nan=0.0)  # NaN only where the class is absent
        best = iou == iou.max(1, keepdims=True)
        distance = np.abs(np.arange(BINS - 1) - HALF)
        return THRESHOLDS[np.where(best, distance, BINS).argmin(1)]

    def mean_iou_at(self, thresholds: Floats) -> float:
        """Mean over the classes of the IoU at one of :data:`THRESHOLDS` for each, ``[C]``."""
        at = np.rint(thresholds * BINS).astype(int) - 1
        return float(nan_mean(self.iou()[np.arange(self.num_classes), at]))

    def breakdown(self) -> dict[str, Any]:
        """``by_threshold``, ``precision_recall`` and ``calibration``.

        The curve of precision is the mean of the classes that are present, of the highest
        precision at each recall or more, as in COCO; calibration is that of all pixels under all
        classes, each the question whether the pixel is of the class.
        """
        tenths = self.counts.reshape(self.num_classes, 2, len(self.scores), -1).sum((0, 3)).cpu()
        return {
            "by_threshold": {"x": THRESHOLDS, "y": nan_mean(self.iou(), 0)},
            "precision_recall": {"pixels": {"x": RECALLS, "y": self._precision()}},
            "calibration": calibration(
                tenths.sum(0).numpy(), self.scores.cpu().numpy(), tenths[1].numpy()
            ),
        }

    def _curves(self) -> tuple[Floats, Floats, Floats]:
        """Pixels of a class taken for it and all taken for it, ``[C, 99]``; its pixels, ``[C]``."""
        counts = self.counts.cpu().numpy().astype(np.float64)
        above = counts[..., ::-1].cumsum(-1)[..., ::-1]
        return above[:, 1, 1:], above[:, :, 1:].sum(1), counts[:, 1].sum(-1)

    def _precision(self) -> Floats:
        hit, predicted, true = self._curves()
        # Where every pixel is taken for the class: recall 1.
        hit = np.column_stack([true, hit])
        predicted = np.column_stack([self.counts.sum((1, 2)).cpu().numpy(), predicted])
        curves = np.full((self.num_classes, len(RECALLS)), np.nan)
        for c in np.flatnonzero(true):
            # Both fall as the threshold rises; nothing may be left above a high one.
            recall = hit[c] / true[c]
            precision = hit[c] / np.maximum(predicted[c], 1)
            best = np.maximum.accumulate(precision)
            last = np.searchsorted(-recall, -RECALLS, side="right") - 1
            curves[c] = best[last]
        return nan_mean(curves, 0)
