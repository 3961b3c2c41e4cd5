"""Instance segmentation: a loss of boxes and one of masks at once, AP of masks and of boxes."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import torch
from torch import nn

from benchmark.metrics.detection import AveragePrecision
from benchmark.metrics.detection_breakdown import detection_breakdown
from benchmark.metrics.engines import PYCOCOTOOLS
from benchmark.metrics.rle import Rle, encode, rectangles
from benchmark.models import DetectionLosses, Detections, InstanceModel, Kind
from benchmark.tasks.base import Batch, Evaluator, Truth, normalise, register
from benchmark.tasks.detection import (
    Detection,
    Found,
    drawn_objects,
    located,
    predictions,
    true_objects,
)
from datasets.cache import CachedSplit
from losses import BOX, MASK

OF_MASKS = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "IoU_matched")
"""What is measured of masks, besides the AP of each class."""
PREFIX = "mask_"
"""Of the names of these metrics."""

Masks = list[list[Rle]]
"""Masks of each image, at training size without the padding."""


@register("instance")
class Instance(Detection):
    """Boxes, classes and masks; the losses under test regress the boxes and draw the masks."""

    primary: ClassVar[str] = "mask_AP"
    metrics: ClassVar[tuple[str, ...]] = (
        *(PREFIX + name for name in OF_MASKS),
        *Detection.metrics,
    )
    class_metrics: ClassVar[tuple[str, ...]] = ("mask_AP", *Detection.class_metrics)
    truth: ClassVar[frozenset[Truth]] = frozenset({"boxes", "instances"})
    plain_places: ClassVar[dict[str, Kind]] = {"box": "box", "mask": "mask"}

    @staticmethod
    def losses() -> dict[str, type[Any]]:
        return {**BOX, **MASK}

    def _losses(self, model: nn.Module, batch: Batch) -> DetectionLosses:
        assert batch.masks is not None
        return cast(InstanceModel, model).losses(
            normalise(batch.images), batch.boxes, batch.labels, self.loss, batch.masks
        )

    def evaluator(self, split: CachedSplit, engine: str = PYCOCOTOOLS) -> Evaluator:
        return InstanceEvaluator(split, self.classes, engine)

    def _shown_truth(self, split: CachedSplit, index: int) -> dict[str, list[Any]]:
        """As in detection, and ``masks``: the counts of COCO's run-length code."""
        masks = _texts(true_masks(split, index))
        return {**super()._shown_truth(split, index), "masks": masks}

    def _shown_found(
        self, found: Detections, split: CachedSplit, index: int
    ) -> dict[str, list[Any]]:
        masks = _texts(found_masks(found, split, index))
        return {**super()._shown_found(found, split, index), "masks": masks}

    @staticmethod
    def trivial(train: CachedSplit, split: CachedSplit, seed: int) -> dict[str, float]:
        """AP of the trivial predictor of detection; its boxes, filled, are its masks."""
        found = drawn_objects(train, split, seed)
        if found is None:
            return {}
        masks = [
            rectangles(boxes * split.scale(i), *split.picture_size(i))
            for i, boxes in enumerate(found[0])
        ]
        return InstanceEvaluator(split, split.classes).measure(found, masks)


class InstanceEvaluator(Evaluator):
    """AP of masks, compared at training size, and of boxes, in pixels of the original images.

    Sizes of objects are counted in pixels of the original images for both.
    """

    def __init__(self, split: CachedSplit, classes: list[str], engine: str = PYCOCOTOOLS) -> None:
        self.split = split
        indices = range(len(split))
        self.boxes = AveragePrecision(*true_objects(split), classes, engine)
        self.masks = AveragePrecision(
            *true_objects(split),
            classes,
            engine,
            masks=[true_masks(split, i) for i in indices],
            pixel_area=[split.scale(i) ** -2 for i in indices],
        )

    def __call__(self, model: nn.Module, device: torch.device, batch_size: int) -> dict[str, float]:
        return self.measure(*self._found(model, device, batch_size))

    def measure(self, found: Found, masks: Masks) -> dict[str, float]:
        """Metrics of detections with their masks."""
        return {**_of_masks(self.masks(*found, masks)), **self.boxes(*found)}

    def breakdown(
        self, model: nn.Module, device: torch.device, batch_size: int, chosen: dict[str, float]
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """The breakdowns are those of the masks; ``boxes`` holds the same of the boxes."""
        found, masks = self._found(model, device, batch_size)
        of_masks, details = detection_breakdown(self.masks, *found, masks)
        of_boxes, boxes = detection_breakdown(self.boxes, *found)
        return {**_of_masks(of_masks), **of_boxes}, {**details, "task": "instance", "boxes": boxes}

    def _found(
        self, model: nn.Module, device: torch.device, batch_size: int
    ) -> tuple[Found, Masks]:
        """Detections in all images; their masks, encoded one image at a time, take little room."""
        found, masks = [], []
        for i, detections in enumerate(predictions(self.split, model, device, batch_size)):
            found.append(located(detections, self.split, i))
            masks.append(found_masks(detections, self.split, i))
        boxes, scores, labels = zip(*found, strict=True)
        return (list(boxes), list(scores), list(labels)), masks


def _of_masks(metrics: dict[str, float]) -> dict[str, float]:
    """Metrics of masks under their own names; what a run does not report of masks is left out."""
    return {
        PREFIX + name: value
        for name, value in metrics.items()
        if name in (*OF_MASKS, "ECE") or name.startswith("AP/")
    }


def true_masks(split: CachedSplit, index: int) -> list[Rle]:
    """Masks of the objects in one image, without the padding."""
    height, width = split.picture_size(index)
    return encode(split.instances(index)[:, :height, :width])


def found_masks(found: Detections, split: CachedSplit, index: int) -> list[Rle]:
    """Masks of the detections in one image, without the padding."""
    assert found.masks is not None
    height, width = split.picture_size(index)
    return encode(found.masks[:, :height, :width].cpu().numpy())


def _texts(masks: list[Rle]) -> list[str]:
    return [mask["counts"].decode() for mask in masks]
