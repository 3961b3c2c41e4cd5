"""Object detection: box losses, and AP by pycocotools."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from benchmark.metrics.detection import METRICS, AveragePrecision, Boxes
from benchmark.metrics.detection_breakdown import detection_breakdown
from benchmark.metrics.engines import PYCOCOTOOLS
from benchmark.models import DetectionLosses, DetectionModel, Detections
from benchmark.tasks.base import (
    Batch,
    Evaluator,
    Task,
    Truth,
    image_batches,
    images_of,
    normalise,
    register,
)
from benchmark.training.health import boxes_without_gradient
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
    metrics: ClassVar[tuple[str, ...]] = METRICS
    class_metrics: ClassVar[tuple[str, ...]] = ("AP",)
    truth: ClassVar[frozenset[Truth]] = frozenset({"boxes"})

    @staticmethod
    def losses() -> dict[str, type[Any]]:
        return BOX

    def parts(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        found = self._losses(model, batch)
        boxes = {place: self.weight * term.reduced() for place, term in found.box.items()}
        masks = {place: term.reduced() for place, term in found.mask.items()}
        return {**boxes, **masks, **found.other}

    def _losses(self, model: nn.Module, batch: Batch) -> DetectionLosses:
        return cast(DetectionModel, model).losses(
            normalise(batch.images), batch.boxes, batch.labels, self.loss
        )

    @staticmethod
    def without_gradient(gradient: Tensor, *truth: Tensor) -> Tensor:
        return boxes_without_gradient(gradient, *truth)

    def evaluator(self, split: CachedSplit, engine: str = PYCOCOTOOLS) -> Evaluator:
        return BoxEvaluator(split, self.classes, engine)

    def show(
        self, model: nn.Module, split: CachedSplit, indices: list[int], device: torch.device
    ) -> list[dict[str, Any]]:
        """Mappings of ``boxes``, ``labels`` and, of predictions, ``scores``, the best first."""
        images = normalise(images_of(split, indices).to(device))
        found = cast(DetectionModel, model).predict(images)
        return [
            {
                "truth": self._shown_truth(split, i),
                "predicted": self._shown_found(_confident(detections), split, i),
            }
            for i, detections in zip(indices, found, strict=True)
        ]

    def _shown_truth(self, split: CachedSplit, index: int) -> dict[str, list[Any]]:
        return {"boxes": split.boxes(index).tolist(), "labels": split.labels(index).tolist()}

    def _shown_found(
        self, found: Detections, split: CachedSplit, index: int
    ) -> dict[str, list[Any]]:
        size = np.tile(split.picture_size(index)[::-1], 2)
        return {
            "boxes": found.boxes.double().cpu().numpy().clip(0, size).tolist(),
            "scores": found.scores.tolist(),
            "labels": found.labels.tolist(),
        }

    @staticmethod
    def trivial(train: CachedSplit, split: CachedSplit, seed: int) -> dict[str, float]:
        """AP of the same 100 boxes for every image.

        They are drawn from the training truth at its relative positions, and scored by how
        common their class is.
        """
        found = drawn_objects(train, split, seed)
        if found is None:
            return {}
        return AveragePrecision(*true_objects(split), split.classes)(*found)


def drawn_objects(train: CachedSplit, split: CachedSplit, seed: int) -> Found | None:
    """What the trivial predictor finds in each image of ``split``; None without any object."""
    boxes, labels = true_objects(train)
    sizes = [np.tile(train.original_size(i)[::-1], 2) for i in range(len(train))]
    relative = np.concatenate([b / size for b, size in zip(boxes, sizes, strict=True)])
    label = np.concatenate(labels)
    if len(label) == 0:
        return None
    drawn = np.random.default_rng(seed).permutation(len(label))[:TRIVIAL_BOXES]
    share = np.bincount(label, minlength=len(train.classes)) / len(label)
    n = len(split)
    sizes = [np.tile(split.original_size(i)[::-1], 2) for i in range(n)]
    return [relative[drawn] * size for size in sizes], [share[label[drawn]]] * n, [label[drawn]] * n


class BoxEvaluator(Evaluator):
    """AP in pixels of the original images, in which COCO's object sizes are defined."""

    def __init__(self, split: CachedSplit, classes: list[str], engine: str) -> None:
        self.split = split
        self.measure = AveragePrecision(*true_objects(split), classes, engine)

    def __call__(self, model: nn.Module, device: torch.device, batch_size: int) -> dict[str, float]:
        return self.measure(*self._found(model, device, batch_size))

    def breakdown(
        self, model: nn.Module, device: torch.device, batch_size: int, chosen: dict[str, float]
    ) -> tuple[dict[str, float], dict[str, Any]]:
        return detection_breakdown(self.measure, *self._found(model, device, batch_size))

    def _found(self, model: nn.Module, device: torch.device, batch_size: int) -> Found:
        found = [
            located(detections, self.split, i)
            for i, detections in enumerate(predictions(self.split, model, device, batch_size))
        ]
        boxes, scores, labels = zip(*found, strict=True)
        return list(boxes), list(scores), list(labels)


def predictions(
    split: CachedSplit, model: nn.Module, device: torch.device, batch_size: int
) -> Iterator[Detections]:
    """Detections in each image of a split, in order."""
    for images in image_batches(split, batch_size, device):
        yield from cast(DetectionModel, model).predict(images)


def located(
    found: Detections, split: CachedSplit, index: int
) -> tuple[Boxes, Boxes, npt.NDArray[np.int64]]:
    """Boxes in pixels of the original image, scores and labels of the detections in one image."""
    size = np.tile(split.original_size(index)[::-1], 2)
    # What reaches over the picture into the padding around it is cut off.
    boxes = (found.boxes.double().cpu().numpy() / split.scale(index)).clip(0, size)
    return boxes, found.scores.double().cpu().numpy(), found.labels.cpu().numpy()


def _confident(found: Detections) -> Detections:
    """The detections of one image that a picture shows."""
    kept = (found.scores >= SHOWN_SCORE).nonzero()[:SHOWN_BOXES, 0]
    masks = None if found.masks is None else found.masks[kept]
    return Detections(found.boxes[kept], found.scores[kept], found.labels[kept], masks)


def true_objects(split: CachedSplit) -> tuple[list[Any], list[Any]]:
    """Boxes (float64, pixels of the original images) and labels of all images of a split."""
    boxes = [split.boxes(i).astype(np.float64) / split.scale(i) for i in range(len(split))]
    return boxes, [np.asarray(split.labels(i)) for i in range(len(split))]
