"""Object detection: box losses, and AP by pycocotools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.metrics.detection import AveragePrecision
from benchmark.models import DetectionModel
from benchmark.tasks.base import Batch, Task, image_batches, normalise, register
from datasets.cache import CachedSplit
from losses import BOX

TRIVIAL_BOXES = 100


@register("detection")
class Detection(Task):
    """Boxes and classes; the loss under test regresses the boxes."""

    primary: ClassVar[str] = "AP"

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

    def evaluator(self, split: CachedSplit) -> Callable[[nn.Module, torch.device, int], dict]:
        measure = AveragePrecision(*_truth(split), self.classes)

        def evaluate(model: nn.Module, device: torch.device, batch_size: int) -> dict:
            detector = cast(DetectionModel, model)
            found = [
                detections
                for images in image_batches(split, batch_size, device)
                for detections in detector.predict(images)
            ]
            # Back to pixels of the original image, in which COCO's object sizes are defined; what
            # reaches over the picture into the padding around it is cut off.
            return measure(
                [
                    (d.boxes.double().cpu().numpy() / split.scale(i)).clip(
                        0, np.tile(split.original_size(i)[::-1], 2)
                    )
                    for i, d in enumerate(found)
                ],
                [d.scores.double().cpu().numpy() for d in found],
                [d.labels.cpu().numpy() for d in found],
            )

        return evaluate

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


def _truth(split: CachedSplit) -> tuple[list[Any], list[Any]]:
    """Boxes (float64, pixels of the original images) and labels of all images of a split."""
    boxes = [split.boxes(i).astype(np.float64) / split.scale(i) for i in range(len(split))]
    return boxes, [np.asarray(split.labels(i)) for i in range(len(split))]
