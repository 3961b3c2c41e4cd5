"""Training a detector the plain way, in the manner of torchvision's detection references.

Images are decoded by PIL and changed by ``torchvision.transforms.v2`` in every epoch, handed out
one by one, resized and normalised by the network's own transform, and measured by COCO's
evaluation after every epoch. It is what :mod:`benchmark.bench.training` holds our harness
against; nothing else uses it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.transforms import v2

from benchmark.experiment.train_settings import Train
from benchmark.metrics.detection import AveragePrecision
from benchmark.training.optimization import make_optimizer, make_schedule
from datasets import Split
from datasets.base import Dataset as Source
from datasets.letterbox import GREY

Target = dict[str, Any]
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
"""ImageNet's, of images in 0..1."""


@dataclass(frozen=True)
class Annotated:
    """One image's file and what is annotated in it: ``[n, 4]`` xyxy in pixels, int64 ``[n]``."""

    path: Path
    boxes: Tensor
    labels: Tensor


def read_annotation(source: Source, split: Split) -> list[Annotated]:
    """The annotation of a split; kept in memory, as pycocotools' API for COCO does."""
    found = []
    pictures = Image.registered_extensions()
    for sample_id in source.ids(split):
        sample = source.load_for(sample_id, split)
        boxes, labels = torch.from_numpy(sample.boxes), torch.from_numpy(sample.labels)
        path = next(p for p in source.files(sample_id) if p.suffix.lower() in pictures)
        found.append(Annotated(path, boxes, labels))
    return found


class Pictures(Dataset[tuple[Tensor, Target]]):
    """Images from their files, and their targets."""

    def __init__(self, annotated: list[Annotated], transforms: Callable[..., Any]) -> None:
        self.annotated = annotated
        self.transforms = transforms

    def __len__(self) -> int:
        return len(self.annotated)

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        one = self.annotated[index]
        image = Image.open(one.path).convert("RGB")
        canvas = (image.height, image.width)
        boxes = tv_tensors.BoundingBoxes(one.boxes, format="XYXY", canvas_size=canvas)
        return self.transforms(image, {"boxes": boxes, "labels": one.labels})


def training_transforms(train: Train) -> v2.Transform:
    """The kinds of change that our augmentation makes, as strong as there."""
    options = train.augment
    height, width = train.image_size
    strength = options["colour"]
    light, hue, saturation = 0.5 * strength, 0.25 * strength, 0.6 * strength
    steps: list[nn.Module] = []
    if strength:
        steps.append(v2.ColorJitter(brightness=light, contrast=light))
        steps.append(v2.RandomApply([v2.ColorJitter(saturation=saturation, hue=hue)], p=0.5))
    steps.append(v2.RandomHorizontalFlip(options["hflip"]))
    steps.append(v2.RandomVerticalFlip(options["vflip"]))
    steps.append(v2.ScaleJitter((height, width), tuple(options["scale"])))
    steps.append(v2.RandomCrop((height, width), pad_if_needed=True, fill=GREY))
    return v2.Compose([*steps, v2.ClampBoundingBoxes(), v2.SanitizeBoundingBoxes(), *_as_tensor()])


def _as_tensor() -> list[nn.Module]:
    return [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]


def _collate(samples: list[tuple[Tensor, Target]]) -> tuple[Any, ...]:
    return tuple(zip(*samples, strict=True))


class PlainLoop:
    """The loop over one data set.

    Args:
        network: torchvision's; its transform is replaced by one to the size of ``train``.
        train: settings; augmentation, optimiser and schedule are made of them.

    Attributes:
        train_seconds: what the last run's training took, without validation.
    """

    train_seconds: float = 0.0

    def __init__(
        self,
        network: nn.Module,
        train: Train,
        pictures: dict[Split, list[Annotated]],
        classes: list[str],
        device: torch.device,
        workers: int,
    ) -> None:
        height, width = train.image_size
        sides = min(height, width), max(height, width)
        # Padded to multiples of 32, as by default, its images would be larger than ours.
        network.transform = GeneralizedRCNNTransform(*sides, MEAN, DEVIATION, size_divisible=16)
        self.network, self.train, self.device = network.to(device), train, device
        self.measure = AveragePrecision(
            [one.boxes.double().numpy() for one in pictures["val"]],
            [one.labels.numpy() for one in pictures["val"]],
            classes,
        )
        shared: dict[str, Any] = {
            "num_workers": workers,
            "persistent_workers": workers > 0,
            "pin_memory": device.type == "cuda",
            "collate_fn": _collate,
        }
        self.batches = DataLoader(
            Pictures(pictures["train"], training_transforms(train)),
            batch_size=train.batch_size,
            shuffle=True,
            drop_last=True,
            **shared,
        )
        self.validation = DataLoader(
            Pictures(pictures["val"], v2.Compose(_as_tensor())),
            batch_size=1,  # as the references have it
            **shared,
        )

    def run(self) -> dict[str, float]:
        """Train to the last epoch, measured after each; the last metrics."""
        train = self.train
        optimizer = make_optimizer(self.network, train)
        schedule = make_schedule(optimizer, train, train.epochs * len(self.batches))
        metrics: dict[str, float] = {}
        self.train_seconds = 0.0
        for _ in range(train.epochs):
            started = time.perf_counter()
            self.network.train()
            for images, targets in self.batches:
                losses = self.network(*self._moved(images, targets))
                loss = torch.stack(list(losses.values())).sum()
                if not math.isfinite(loss.item()):
                    return {}
                optimizer.zero_grad()
                loss.backward()
                if train.grad_clip is not None:
                    nn.utils.clip_grad_norm_(self.network.parameters(), train.grad_clip)
                optimizer.step()
                schedule.step()
            self.train_seconds += time.perf_counter() - started
            metrics = self._evaluate()
        return metrics

    def _moved(
        self, images: tuple[Tensor, ...], targets: tuple[Target, ...]
    ) -> tuple[list[Tensor], list[Target]]:
        moved = [{name: value.to(self.device) for name, value in t.items()} for t in targets]
        return [image.to(self.device) for image in images], moved

    @torch.no_grad()
    def _evaluate(self) -> dict[str, float]:
        self.network.eval()
        found = [
            {name: value.cpu().numpy() for name, value in detections.items()}
            for images, _ in self.validation
            for detections in self.network([image.to(self.device) for image in images])
        ]
        return self.measure(
            [d["boxes"].astype(np.float64) for d in found],
            [d["scores"].astype(np.float64) for d in found],
            [d["labels"] for d in found],
        )
