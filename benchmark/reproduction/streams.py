"""Hashes of what a run starts from and is fed: the proof that runs are paired.

All losses of a repetition are to start from the same weights and to see the same samples in the
same order, augmented alike. ``streams.json`` in each run's folder holds the hash of the initial
weights and, for the first epochs, that of the samples' names in the order of the batches and that
of the augmented images with their annotation. They are taken of what is trained on, not of the
seeds that it should follow from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from benchmark.training.batch import Batch
from benchmark.training.loading import EpochBatches, TrainingSet, step_size

HASHED_EPOCHS = 2
"""Epochs whose batches are hashed; the later ones follow from the same seeds."""
DIGEST_BYTES = 16


@dataclass
class Streams:
    """The hashes of one run so far.

    Attributes:
        weights: of the model's parameters and buffers before the first step.
        epochs: ``epoch``, ``batches`` and ``images`` of each of the first epochs.
    """

    weights: str
    epochs: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, model: nn.Module) -> Streams:
        """Before the first step."""
        digest = _new()
        for name, tensor in model.state_dict().items():
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            _add(digest, [tensor])
        return cls(digest.hexdigest())

    def content(self) -> dict[str, Any]:
        """As the run's files hold it."""
        return {"weights": self.weights, "epochs": self.epochs}

    def follow(self, epoch: int, batches: DataLoader[Batch]) -> Iterator[Batch]:
        """The batches of an epoch as the loader gives them, hashed on their way if it is early."""
        if epoch > HASHED_EPOCHS:
            yield from batches
            return
        training_set = batches.dataset
        sampler = batches.batch_sampler
        assert isinstance(training_set, TrainingSet)
        assert isinstance(sampler, EpochBatches)
        ids, order, images = training_set.split.ids, _new(), _new()
        for step, (keys, batch) in enumerate(zip(sampler, batches, strict=True), start=1):
            names = [ids[index] for _, index in keys]
            order.update(repr(names).encode())
            images.update(repr(step_size(training_set.cell, epoch, step)).encode())
            _add(images, _tensors(batch))
            yield batch
        found = {"epoch": epoch, "batches": order.hexdigest(), "images": images.hexdigest()}
        self.epochs = [*self.epochs, found]


def differences(then: dict[str, Any] | None, now: dict[str, Any] | None) -> list[str]:
    """What two runs' ``streams.json`` do not have alike, in words; what only one has is passed."""
    if then is None or now is None:
        return []
    found = [] if then["weights"] == now["weights"] else ["the initial weights"]
    for one, other in zip(then["epochs"], now["epochs"], strict=False):
        words = {"batches": "the order of the samples", "images": "the augmented images"}
        found += [
            f"{what} of epoch {one['epoch']}"
            for key, what in words.items()
            if one[key] != other[key]
        ]
    return found


def _tensors(batch: Batch) -> Iterator[torch.Tensor]:
    # The layout in memory is channels last, and stays so: no copy.
    yield batch.images.permute(0, 2, 3, 1)
    yield from batch.boxes
    yield from batch.labels
    if batch.semantic is not None:
        yield batch.semantic
    yield from batch.masks or []


def _new() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=DIGEST_BYTES)


def _add(digest: hashlib.blake2b, tensors: Iterable[torch.Tensor]) -> None:
    for tensor in tensors:
        digest.update(f"{tuple(tensor.shape)}".encode())
        if tensor.numel():  # what is empty has no bytes to look at
            whole = tensor.detach().cpu().contiguous().reshape(-1)
            # Bytes, as numpy knows not all of torch's types.
            digest.update(whole.view(torch.uint8).numpy().data)
