"""What a task adds to the training loop: its loss, its evaluation, its trivial predictor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.metrics.engines import PYCOCOTOOLS
from benchmark.models import Kind
from benchmark.training.batch import Batch
from datasets.cache import CachedSplit

TASKS: dict[str, type[Task]] = {}
T = TypeVar("T", bound="type[Task]")

Truth = Literal["boxes", "semantic", "instances"]
"""Kinds of annotation; masks of instances go with the boxes, in their order."""

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


def register(name: str) -> Callable[[T], T]:
    """Class decorator: make a task known to experiment files as ``name``."""

    def add(cls: T) -> T:
        TASKS[name] = cls
        return cls

    return add


def normalise(images: Tensor) -> Tensor:
    """uint8 ``[B, 3, H, W]`` -> float32, channels last, with ImageNet's mean and deviation."""
    mean, std = _imagenet(images.device)
    x = images.to(torch.float32, memory_format=torch.channels_last)
    return x.sub_(mean).div_(std)


@cache
def _imagenet(device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation ``[3, 1, 1]``; sent once, as the host waits for the device to get them."""
    mean, std = (torch.tensor(values, device=device) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return mean[:, None, None], std[:, None, None]


def images_of(split: CachedSplit, indices: Sequence[int]) -> Tensor:
    """Some images of a split, uint8 ``[n, 3, H, W]``, channels last."""
    return torch.from_numpy(np.stack([split.image(i) for i in indices])).permute(0, 3, 1, 2)


def image_batches(split: CachedSplit, size: int, device: torch.device) -> Iterator[Tensor]:
    """All images of a split in order, as normalised batches of at most ``size``."""
    for start in range(0, len(split), size):
        stop = min(start + size, len(split))
        yield normalise(images_of(split, range(start, stop)).to(device))


class Evaluator(ABC):
    """Measures models on one split. Gradients are the caller's to switch off."""

    @abstractmethod
    def __call__(self, model: nn.Module, device: torch.device, batch_size: int) -> dict[str, float]:
        """The metrics of a model in evaluation mode, in 0..1."""

    def choose(self, model: nn.Module, device: torch.device, batch_size: int) -> dict[str, float]:
        """What can be chosen for a trained model by the validation split, which this must be."""
        return {}

    @abstractmethod
    def breakdown(
        self, model: nn.Module, device: torch.device, batch_size: int, chosen: dict[str, float]
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """The metrics, more of them than a call gives, and where they come from.

        Args:
            chosen: what :meth:`choose` gave for the same model.

        Returns:
            The metrics, and the breakdowns as the run's ``details.json`` has them.
        """


class Task(ABC):
    """One task under one loss.

    Args:
        loss: a loss of the register that fits the task.
        weight: what the loss is multiplied by.
        classes: names of the foreground classes.
    """

    primary: ClassVar[str]
    """The metric that tables and charts lead with."""

    metrics: ClassVar[tuple[str, ...]]
    """What an evaluation measures whatever the classes."""

    class_metrics: ClassVar[tuple[str, ...]]
    """What it measures of each class as well, as ``<metric>/<class>``."""

    truth: ClassVar[frozenset[Truth]]
    """The annotation that its training batches carry; the rest is not even augmented."""

    plain_places: ClassVar[dict[str, Kind]] = {}
    """Where a loss stands that is named without a place, by the kind that the loss must be of.

    Empty where it stands at every place that the model offers to the task's losses."""

    @classmethod
    def measures(cls, name: str) -> bool:
        """Whether an evaluation reports the metric, where there is a class of that name."""
        metric, of_class, _ = name.partition("/")
        return metric in (cls.class_metrics if of_class else cls.metrics)

    @classmethod
    def metric_names(cls) -> list[str]:
        """What :meth:`measures` takes, for messages."""
        return [*cls.metrics, *(f"{metric}/<class>" for metric in cls.class_metrics)]

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

    @staticmethod
    @abstractmethod
    def without_gradient(gradient: Tensor, *truth: Tensor) -> Tensor:
        """Positives that the loss gave no gradient, and all: int64 ``[2]``.

        Args:
            gradient: of the loss's first argument; ``truth``: the loss's other arguments.
        """

    @abstractmethod
    def evaluator(self, split: CachedSplit, engine: str = PYCOCOTOOLS) -> Evaluator:
        """What measures models on the split; average precision by the program ``engine``."""

    @abstractmethod
    def show(
        self, model: nn.Module, split: CachedSplit, indices: list[int], device: torch.device
    ) -> list[dict[str, Any]]:
        """Truth and prediction of a few samples, in pixels of the picture without its padding.

        Returns:
            For each index ``truth`` and ``predicted``: a class map, uint8 ``[h, w]`` with 255 =
            ignore, or a mapping of lists.
        """

    @staticmethod
    @abstractmethod
    def trivial(train: CachedSplit, split: CachedSplit, seed: int) -> dict[str, float]:
        """Metrics on ``split`` of a predictor that looks at no image, only at training truth."""
