"""The one place that decides every random stream.

All streams come from (experiment seed, data set, model, repetition) and never from the loss, so
that every loss of one repetition starts from the same weights and sees the same batches in the
same augmentation. That is what makes the differences between losses paired. Tuning runs have
repetitions of their own: no final run repeats the luck that a setting was chosen by.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import torch

from benchmark.experiment.cell import CellConfig

Stream = Literal["weights", "order", "augmentation", "step", "size"]


def derive(*parts: object) -> int:
    """A 63-bit seed from any printable parts; the same on every machine and Python version."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def stream_seed(cell: CellConfig, stream: Stream, *position: int) -> int:
    """Seed of one stream of a cell, at a position such as (epoch, sample)."""
    final = cell.stage == "final"
    repetition = cell.repetition if final else f"{cell.stage} {cell.repetition}"
    return derive(cell.seed, cell.dataset.label, cell.model.label, repetition, stream, *position)


def epoch_order(cell: CellConfig, epoch: int, n: int) -> list[int]:
    """Order in which the n training samples are visited in one epoch."""
    generator = torch.Generator().manual_seed(stream_seed(cell, "order", epoch))
    return torch.randperm(n, generator=generator).tolist()
