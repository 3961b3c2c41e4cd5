"""Semantic segmentation: mask losses, and IoU from pixel counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.metrics.engines import PYCOCOTOOLS
from benchmark.metrics.probabilities import PixelProbabilities
from benchmark.metrics.segmentation import ConfusionMatrix, class_map
from benchmark.metrics.segmentation_breakdown import SegmentationBreakdown, foreground_share
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
from benchmark.training.health import pixels_without_gradient
from datasets.cache import CachedSplit
from datasets.sample import IGNORE
from losses import MASK


@register("segmentation")
class Segmentation(Task):
    """One binary mask a foreground class; the loss under test compares logits and masks."""

    primary: ClassVar[str] = "mIoU_fg"
    metrics: ClassVar[tuple[str, ...]] = ("mIoU_fg", "mIoU", "Dice_fg", "pixel_accuracy")
    class_metrics: ClassVar[tuple[str, ...]] = ("IoU", "Dice")
    truth: ClassVar[frozenset[Truth]] = frozenset({"semantic"})

    @staticmethod
    def losses() -> dict[str, type[Any]]:
        return MASK

    def parts(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        assert batch.semantic is not None  # checked when the grid was planned
        logits = model(normalise(batch.images))
        truth = batch.semantic[:, None]
        classes = torch.arange(1, len(self.classes) + 1, device=truth.device)[:, None, None]
        values = self.loss(logits, (truth == classes).float(), truth != IGNORE)
        return {"mask": self.weight * values.mean()}

    @staticmethod
    def without_gradient(gradient: Tensor, *truth: Tensor) -> Tensor:
        return pixels_without_gradient(gradient, *truth)

    def evaluator(self, split: CachedSplit, engine: str = PYCOCOTOOLS) -> Evaluator:
        return MaskEvaluator(split, self.classes)

    def show(
        self, model: nn.Module, split: CachedSplit, indices: list[int], device: torch.device
    ) -> list[dict[str, Any]]:
        """Class maps, the prediction as the metrics take it."""
        found = class_map(model(normalise(images_of(split, indices).to(device))))
        shown = []
        for i, predicted in zip(indices, found.to(torch.uint8).cpu().numpy(), strict=True):
            height, width = split.picture_size(i)
            truth = _truth(split, i, i + 1)[0].numpy()
            shown.append({"truth": truth[:height, :width], "predicted": predicted[:height, :width]})
        return shown

    @staticmethod
    def trivial(train: CachedSplit, split: CachedSplit, seed: int) -> dict[str, float]:
        """Metrics of calling every pixel the training split's commonest foreground class."""
        counts = np.zeros(256, np.int64)
        for i in range(len(train)):
            counts += np.bincount(np.asarray(train.semantic(i)).ravel(), minlength=256)
        commonest = 1 + int(counts[1:IGNORE].argmax())
        confusion = ConfusionMatrix(train.classes)
        for i in range(len(split)):
            truth = _truth(split, i, i + 1)
            confusion.update(torch.full_like(truth, commonest), truth)
        return confusion.metrics()


class MaskEvaluator(Evaluator):
    """IoU at training size; padding is ignored."""

    def __init__(self, split: CachedSplit, classes: list[str]) -> None:
        self.split = split
        self.classes = classes

    def __call__(self, model: nn.Module, device: torch.device, batch_size: int) -> dict[str, float]:
        confusion = ConfusionMatrix(self.classes, device)
        for _, logits, truth in self._batches(model, device, batch_size):
            confusion.update(class_map(logits), truth)
        return confusion.metrics()

    def choose(self, model: nn.Module, device: torch.device, batch_size: int) -> dict[str, float]:
        """For each class the threshold of its probability with the highest IoU."""
        probabilities = PixelProbabilities(len(self.classes), device)
        for _, logits, truth in self._batches(model, device, batch_size):
            probabilities.update(logits, truth)
        best = probabilities.best_thresholds().tolist()
        return dict(zip(self.classes, best, strict=True))

    def breakdown(
        self, model: nn.Module, device: torch.device, batch_size: int, chosen: dict[str, float]
    ) -> tuple[dict[str, float], dict[str, Any]]:
        indices = range(len(self.split))
        shares = [foreground_share(_truth(self.split, i, i + 1).numpy(), IGNORE) for i in indices]
        sizes = [self.split.picture_size(i) for i in indices]
        found = SegmentationBreakdown(self.classes, np.array(shares), sizes, device)
        for start, logits, truth in self._batches(model, device, batch_size):
            found.update(start, logits, truth)
        return found.results(chosen)

    def _batches(
        self, model: nn.Module, device: torch.device, batch_size: int
    ) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Index of the first image, logits ``[B, C, H, W]`` and truth ``[B, H, W]``."""
        start = 0
        for images in image_batches(self.split, batch_size, device):
            stop = start + len(images)
            yield start, model(images), _truth(self.split, start, stop).to(device)
            start = stop


def _truth(split: CachedSplit, start: int, stop: int) -> Tensor:
    """Class indices ``[stop - start, H, W]``, uint8."""
    masks = [split.semantic(i) for i in range(start, stop)]
    return torch.from_numpy(np.stack([mask for mask in masks if mask is not None]))
