"""Semantic segmentation: mask losses, and IoU from pixel counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.metrics.segmentation import ConfusionMatrix, class_map
from benchmark.tasks.base import Batch, Task, image_batches, normalise, register
from datasets.cache import CachedSplit
from datasets.sample import IGNORE
from losses import MASK


@register("segmentation")
class Segmentation(Task):
    """One binary mask a foreground class; the loss under test compares logits and masks."""

    primary: ClassVar[str] = "mIoU_fg"

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

    def evaluator(self, split: CachedSplit) -> Callable[[nn.Module, torch.device, int], dict]:
        def evaluate(model: nn.Module, device: torch.device, batch_size: int) -> dict:
            confusion = ConfusionMatrix(self.classes, device)
            start = 0
            for images in image_batches(split, batch_size, device):
                predicted = class_map(model(images))
                stop = start + len(images)
                confusion.update(predicted, _truth(split, start, stop).to(device))
                start = stop
            return confusion.metrics()

        return evaluate

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


def _truth(split: CachedSplit, start: int, stop: int) -> Tensor:
    """Class indices ``[stop - start, H, W]``, uint8."""
    masks = [split.semantic(i) for i in range(start, stop)]
    return torch.from_numpy(np.stack([mask for mask in masks if mask is not None]))
