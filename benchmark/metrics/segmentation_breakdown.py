"""Where a segmenter's IoU comes from: which images, which classes, which threshold."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmark.metrics.boundaries import BoundaryQuality
from benchmark.metrics.breakdown import Floats
from benchmark.metrics.probabilities import PixelProbabilities
from benchmark.metrics.segmentation import ConfusionMatrix, class_map

QUARTERS = (0.25, 0.5, 0.75, 1.0)
MOST_DECIMALS = 4
"""Of the borders of the classes, in percent."""


class ShareClasses:
    """Images by how much of them is foreground, in four classes of about as many images.

    Classes that coincide, as where many images have no foreground, are one. They come from the
    truth alone, so they are the same for every loss.

    Args:
        shares: ``[N]``, foreground pixels by pixels that are not ignored, of each image.

    Attributes:
        index: int64 ``[N]``, each image's class.
        names: of the classes, such as ``"0.0 to 2.1 %"``.
    """

    def __init__(self, shares: Floats) -> None:
        highest = np.unique(np.quantile(shares, QUARTERS, method="inverted_cdf"))
        self.index = np.searchsorted(highest, shares)
        borders = 100 * np.concatenate([[shares.min()], highest])
        self.names = self._named(borders)

    @staticmethod
    def _named(borders: Floats) -> list[str]:
        """Names with the fewest decimals that tell the borders apart."""
        for decimals in range(1, MOST_DECIMALS + 1):
            texts = [f"{border:.{decimals}f}" for border in borders]
            if len(set(texts[1:])) == len(texts) - 1:
                break
        return [
            f"{low} %" if low == high else f"{low} to {high} %" for low, high in pairwise(texts)
        ]


class SegmentationBreakdown:
    """IoU of a split, and its breakdowns, from batches of logits.

    Args:
        classes: names of the foreground classes.
        shares: ``[N]``, foreground share of each image of the split.
        sizes: height and width of each picture, which lies in the corner of its padding.
    """

    def __init__(
        self,
        classes: list[str],
        shares: Floats,
        sizes: list[tuple[int, int]],
        device: torch.device | None = None,
    ) -> None:
        self.classes = classes
        self.share_classes = ShareClasses(shares)
        self.by_share = [ConfusionMatrix(classes, device) for _ in self.share_classes.names]
        self.probabilities = PixelProbabilities(len(classes), device)
        self.sizes = sizes
        self.boundaries = BoundaryQuality(classes)

    def update(self, start: int, logits: Tensor, truth: Tensor) -> None:
        """Add the images from ``start`` on: logits ``[B, C, H, W]``, truth ``[B, H, W]``."""
        groups = self.share_classes.index[start : start + len(logits)]
        predicted = class_map(logits)
        for group in np.unique(groups):
            mine = np.flatnonzero(groups == group)
            self.by_share[group].update(predicted[mine], truth[mine])
        self.probabilities.update(logits, truth)
        maps = (x.to(torch.uint8).cpu().numpy() for x in (predicted, truth))
        for found, true, (h, w) in zip(*maps, self.sizes[start : start + len(logits)], strict=True):
            self.boundaries.update(found[:h, :w], true[:h, :w])

    def results(self, chosen: dict[str, float]) -> tuple[dict[str, float], dict[str, Any]]:
        """The metrics and the breakdowns.

        Args:
            chosen: class -> threshold of its probability, chosen on other images.

        Returns:
            What :meth:`ConfusionMatrix.metrics` and :meth:`BoundaryQuality.metrics` give,
            ``mIoU_fg_tuned``: the mean over the foreground classes of their IoU as binary masks of
            their own, each where its probability is above its chosen threshold, and ``ECE``, that
            of the pixels' calibration. The breakdowns are ``by_share`` (``mIoU_fg``
            of the images of a class), ``by_class``, ``thresholds`` and those of
            :meth:`PixelProbabilities.breakdown`.
        """
        whole = ConfusionMatrix(self.classes)
        whole.counts = torch.stack([part.counts for part in self.by_share]).sum(0).cpu()
        metrics = whole.metrics()
        thresholds = np.array([chosen[name] for name in self.classes])
        probable = self.probabilities.breakdown()
        metrics["mIoU_fg_tuned"] = self.probabilities.mean_iou_at(thresholds)
        metrics |= {**self.boundaries.metrics(), "ECE": probable["calibration"]["ece"]}
        details = {
            "version": 1,
            "task": "segmentation",
            "by_share": {
                "group": self.share_classes.names,
                "count": np.bincount(self.share_classes.index),
                "value": [part.metrics()["mIoU_fg"] for part in self.by_share],
            },
            "by_class": {
                "group": self.classes,
                "count": whole.counts.sum(1)[1:].numpy(),
                "value": [metrics[f"IoU/{name}"] for name in self.classes],
            },
            "thresholds": {"group": self.classes, "value": thresholds},
            **probable,
        }
        return metrics, details


def foreground_share(truth: npt.NDArray[np.uint8], ignore: int) -> float:
    """Foreground pixels by those not ignored, of a class map; 0 where all are ignored."""
    valid = truth != ignore
    return float((valid & (truth > 0)).sum() / max(1, valid.sum()))
