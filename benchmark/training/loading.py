"""From the decoded cache to augmented training batches, the same for any number of workers."""

from __future__ import annotations

import random
from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from benchmark.experiment.cell import CellConfig
from benchmark.experiment.sizes import scaled_size
from benchmark.seeding import epoch_order, stream_seed
from benchmark.tasks import TASKS, Batch
from datasets.augment import Augment, Augmentation, Augmented
from datasets.cache import CachedSplit


class TrainingSet(Dataset):
    """Augmented samples; the key is (epoch, index), so a sample depends on nothing else."""

    def __init__(self, cell: CellConfig, split: CachedSplit) -> None:
        self.cell = cell
        self.split = split
        height, width = cell.train.image_size
        self.augmentation = Augmentation(Augment(**cell.train.augment), height, width)
        self.truth = TASKS[cell.task].truth

    def __getitem__(self, key: tuple[int, int]) -> Augmented:
        epoch, index = key
        # A segmenter has no use for boxes, a detector none for masks: augment what is used.
        boxes, labels = self.split.boxes(index), self.split.labels(index)
        return self.augmentation(
            self.split.image(index),
            boxes if "boxes" in self.truth else boxes[:0],
            labels if "boxes" in self.truth else labels[:0],
            self.split.semantic(index) if "semantic" in self.truth else None,
            stream_seed(self.cell, "augmentation", epoch, index),
            self.split.instances(index) if "instances" in self.truth else None,
        )


class EpochBatches(Sampler[list[tuple[int, int]]]):
    """Keys of one epoch's batches; set ``epoch`` before iterating."""

    def __init__(self, cell: CellConfig, n: int) -> None:
        self.cell = cell
        self.n = n
        self.epoch = 1

    def __len__(self) -> int:
        return steps_per_epoch(self.n, self.cell.train.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = epoch_order(self.cell, self.epoch, self.n)
        size = self.cell.train.batch_size
        for step in range(len(self)):
            yield [(self.epoch, i) for i in order[step * size : (step + 1) * size]]


def steps_per_epoch(n: int, batch_size: int) -> int:
    """Optimiser steps in an epoch over ``n`` samples.

    A last, smaller batch is left out (its samples are others in every epoch), because the
    statistics of batch norm would lean on it; an epoch has at least one step.
    """
    return max(1, n // batch_size)


def step_size(cell: CellConfig, epoch: int, step: int) -> tuple[int, int]:
    """Height and width of a training step's images; the cell's size unless it is multi-scale.

    All losses of a repetition draw the same sizes.
    """
    height, width = cell.train.image_size
    if cell.train.multi_scale is None:
        return height, width
    factor = random.Random(stream_seed(cell, "size", epoch, step)).uniform(*cell.train.multi_scale)
    return scaled_size((height, width), factor)


def training_batches(
    cell: CellConfig, split: CachedSplit, workers: int = 0, pin_memory: bool = False
) -> DataLoader[Batch]:
    """The loader of a cell; set ``loader.batch_sampler.epoch`` before each epoch."""
    return DataLoader(
        TrainingSet(cell, split),
        batch_sampler=EpochBatches(cell, len(split)),
        collate_fn=Batch.collate,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=pin_memory,
        # Without one of its own, the loader would draw from the stream of the model's dropout,
        # and how often depends on its workers.
        generator=torch.Generator(),
    )
