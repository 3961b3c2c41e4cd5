"""What a task adds to the training loop: its loss, its evaluation, its trivial predictor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from datasets.cache import CachedSplit

TASKS: dict[str, type[Task]] = {}
T = TypeVar("T", bound="type[Task]")

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


def register(name: str) -> Callable[[T], T]:
    """Class decorator: make a task known to experiment files as ``name``."""

    def add(cls: T) -> T:
        TASKS[name] = cls
        return cls

    return add


@dataclass
class Batch:
    """Training samples of one step.

    Attributes:
        images: uint8 ``[B, 3, H, W]``.
        boxes: B tensors float32 ``[n_i, 4]``, xyxy, pixels.
        labels: B tensors int64 ``[n_i]``, 0-based.
        semantic: uint8 ``[B, H, W]`` (0 background, 255 ignore), or None.
    """

    images: Tensor
    boxes: list[Tensor]
    labels: list[Tensor]
    semantic: Tensor | None

    @classmethod
    def collate(cls, samples: list[tuple[Any, Any, Any, Any]]) -> Batch:
        """From augmented samples: image, boxes, labels, semantic mask, all numpy."""
        images, boxes, labels, masks = zip(*samples, strict=True)
        # The layout stays the decoder's, channels last: the permuted view costs nothing and is
        # what the convolutions want.
        return cls(
            torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2),
            [torch.from_numpy(b) for b in boxes],
            [torch.from_numpy(x) for x in labels],
            None if masks[0] is None else torch.from_numpy(np.stack(masks)),
        )

    def to(self, device: torch.device) -> Batch:
        def move(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=True)

        return Batch(
            move(self.images),
            [move(b) for b in self.boxes],
            [move(x) for x in self.labels],
            None if self.semantic is None else move(self.semantic),
        )

    def pin_memory(self) -> Batch:
        """Called by the loader for CUDA, where it makes the copies to the device asynchronous."""
        return Batch(
            self.images.pin_memory(),
            [b.pin_memory() for b in self.boxes],
            [x.pin_memory() for x in self.labels],
            None if self.semantic is None else self.semantic.pin_memory(),
        )


def normalise(images: Tensor) -> Tensor:
    """uint8 ``[B, 3, H, W]`` -> float32, channels last, with ImageNet's mean and deviation."""
    mean = torch.tensor(IMAGENET_MEAN, device=images.device)[:, None, None]
    std = torch.tensor(IMAGENET_STD, device=images.device)[:, None, None]
    x = images.to(torch.float32, memory_format=torch.channels_last)
    return x.sub_(mean).div_(std)


def image_batches(split: CachedSplit, size: int, device: torch.device) -> Iterator[Tensor]:
    """All images of a split in order, as normalised batches of at most ``size``."""
    for start in range(0, len(split), size):
        stop = min(start + size, len(split))
        images = np.stack([split.image(i) for i in range(start, stop)])
        yield normalise(torch.from_numpy(images).permute(0, 3, 1, 2).to(device))


class Task(ABC):
    """One task under one loss.

    Args:
        loss: a loss of the register that fits the task.
        weight: what the loss is multiplied by.
        classes: names of the foreground classes.
    """

    primary: ClassVar[str]
    """The metric that tables and charts lead with."""

    def __init__(self, loss: Any, weight: float, classes: list[str]) -> None:
        self.loss = loss
        self.weight = weight
        self.classes = classes

    @staticmethod
    @abstractmethod
    def losses() -> dict[str, type[Any]]:
        """The register that the task's losses come from."""

    @abstractmethod
    def parts(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The terms of the training loss as scalars; what is minimised is their sum."""

    @abstractmethod
    def evaluator(self, split: CachedSplit) -> Callable[[nn.Module, torch.device, int], dict]:
        """A function of (model, device, batch size) that measures the model on the split."""

    @staticmethod
    @abstractmethod
    def trivial(train: CachedSplit, split: CachedSplit, seed: int) -> dict[str, float]:
        """Metrics on ``split`` of a predictor that looks at no image, only at training truth."""
