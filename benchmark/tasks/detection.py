"""Object detection: box losses, and AP by pycocotools."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from benchmark.health import boxes_without_gradient
from benchmark.metrics.detection import STATS, AveragePrecision, Boxes
from benchmark.metrics.detection_breakdown import detection_breakdown
from benchmark.models import DetectionModel, Detections
from benchmark.tasks.base import (
    Batch,
    Evaluator,
    Task,
    image_batches,
    images_of,
    normalise,
    register,
)
from datasets.cache import CachedSplit
from losses import BOX

TRIVIAL_BOXES = 100
SHOWN_SCORE = 0.3
SHOWN_BOXES = 50
"""In pictures: detections with at least this score, at most so many an image."""

Found = tuple[list[Boxes], list[Boxes], list[npt.NDArray[np.int64]]]
"""Boxes, scores and labels of each image, as :class:`AveragePrecision` takes them."""


@register("detection")
class Detection(Task):
    """Boxes and classes; the loss under test regresses the boxes."""

    primary: ClassVar[str] = "AP"
    metrics: ClassVar[tuple[str, ...]] = tuple(STATS)
    class_metrics: ClassVar[tuple[str, ...]] = ("AP",)

    @staticmethod
    def losses() -> dict[str, type[Any]]:
        return BOX

    def parts(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        found = cast(DetectionModel, model).losses(
            normalise(batch.images), batch.boxes, batch.labels, self.loss
        )
        boxes = {
            place: self.weight * term.values.sum() / term.normaliser
            for place, term in found.box.items()
        }
        return {**boxes, **found.other}

    @staticmethod
    def without_gradient(gradient: Tensor, *truth: Tensor) -> Tensor:
        return boxes_without_gradient(gradient, *truth)

    def evaluator(self, split: CachedSplit) -> Evaluator:
        return BoxEvaluator(split, self.classes)

    def show(
        self, model: nn.Module, split: CachedSplit, indices: list[int], device: torch.device
    ) -> list[dict[str, Any]]:
        """Mappings of ``boxes``, ``labels`` and, of predictions, ``scores``, the best first."""
        images = normalise(images_of(split, indices).to(device))
        found = cast(DetectionModel, model).predict(images)
        return [
            {
                "truth": {
                    "boxes": split.boxes(i).tolist(),
                    "labels": split.labels(i).tolist(),
                },
                "predicted": _shown(detections, split.picture_size(i)),
            }
            for i, detections in zip(indices, found, strict=True)
        ]

    @staticmethod
    def trivial(train: CachedSplit, split: CachedSplit, seed: int) -> dict[str, float]:
        """AP of the same 100 boxes for every image.

        They are drawn from the training truth at its relative positions, and scored by how
        common their class is.
        """
        boxes, labels = _truth(train)
        sizes = [np.tile(train.original_size(i)[::-1], 2) for i in range(len(train))]
        relative = np.concatenate([b / size for b, size in zip(boxes, sizes, strict=True)])
        label = np.concatenate(labels)
        if len(label) == 0:
            return {}
        drawn = np.random.default_rng(seed).permutation(len(label))[:TRIVIAL_BOXES]
        share = np.bincount(label, minlength=len(train.classes)) / len(label)
        scores = share[label[drawn]]
        n = len(split)
        sizes = [np.tile(split.original_size(i)[::-1], 2) for i in range(n)]
        return AveragePrecision(*_truth(split), split.classes)(
            [relative[drawn] * size for size in sizes], [scores] * n, [label[drawn]] * n
        )


class BoxEvaluator(Evaluator):
    """AP in pixels of the original images, in which COCO's object sizes are defined."""

    def __init__(self, split: CachedSplit, classes: list[str]) -> None:
        self.split = split
        self.measure = AveragePrecision(*_truth(split), classes)

    def __call__(self, model: nn.Module, device: torch.device, batch_size: int) -> dict[str, float]:
        return self.measure(*self._found(model, device, batch_size))

    def breakdown(
        self, model: nn.Module, device: torch.device, batch_size: int, chosen: dict[str, float]
    ) -> tuple[dict[str, float], dict[str, Any]]:
        return detection_breakdown(self.measure, *self._found(model, device, batch_size))

    def _found(self, model: nn.Module, device: torch.device, batch_size: int) -> Found:
        detector = cast(DetectionModel, model)
        found = [
            detections
            for images in image_batches(self.split, batch_size, device)
            for detections in detector.predict(images)
        ]
        # What reaches over the picture into the padding around it is cut off.
        boxes = [
            (d.boxes.double().cpu().numpy() / self.split.scale(i)).clip(
                0, np.tile(self.split.original_size(i)[::-1], 2)
            )
            for i, d in enumerate(found)
        ]
        scores = [d.scores.double().cpu().numpy() for d in found]
        return boxes, scores, [d.labels.cpu().numpy() for d in found]


def _shown(found: Detections, size: tuple[int, int]) -> dict[str, list[Any]]:
    """The detections of one image that a picture shows, cut at its borders (height, width)."""
    kept = (found.scores >= SHOWN_SCORE).nonzero()[:SHOWN_BOXES, 0]
    boxes = found.boxes[kept].double().cpu().numpy().clip(0, np.tile(size[::-1], 2))
    return {
        "boxes": boxes.tolist(),
        "scores": found.scores[kept].tolist(),
        "labels": found.labels[kept].tolist(),
    }


def _truth(split: CachedSplit) -> tuple[list[Any], list[Any]]:
    """Boxes (float64, pixels of the original images) and labels of all images of a split."""
    boxes = [split.boxes(i).astype(np.float64) / split.scale(i) for i in range(len(split))]
    return boxes, [np.asarray(split.labels(i)) for i in range(len(split))]
