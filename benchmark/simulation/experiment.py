"""The whole experiment for one loss: blocks of cases, on processes or on a GPU, added up.

A block is a number of anchor centres with all their cases, small enough that its boxes stay in a
processor's cache through all 200 steps. What blocks are does not depend on how many processes
share them, each block is computed by one thread, and the sums of the blocks are added in their
order: the same settings give the same numbers to the last bit on any number of processes.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.experiment.loss_spec import load_loss
from benchmark.simulation.descent import Along, Boxes, ExactSlope, Slope, descend
from benchmark.simulation.protocol import (
    CASES_PER_POINT,
    POINTS,
    STEPS,
    anchor_centres,
    cases,
)
from benchmark.simulation.published import PUBLISHED
from losses import BoxLoss

Gradient = Literal["exact", "published"]
BLOCK_POINTS = {"cpu": 95, "cuda": POINTS}
"""Anchor centres of a block. On a CPU fewer make every operation's fixed cost count, and more
leave the cache; a GPU takes all it can get."""
SOLVED = 0.9
"""IoU above which a case counts as solved."""


@dataclass(frozen=True)
class Settings:
    """What the numbers depend on, beside the loss.

    Attributes:
        gradient: of the loss itself, or as in the authors' script.
        steps: the four numbers that are descended.
        points: anchor centres, 343 cases each.
        device: ``cpu`` or ``cuda``.
        block: anchor centres of a block; 0 for what suits the device. It moves the sums by
            rounding only, but for a loss whose values depend on the batch.
    """

    gradient: Gradient = "exact"
    steps: Along = "cxcywh"
    points: int = POINTS
    seed: int = 0
    device: str = "cpu"
    block: int = 0

    @property
    def cases(self) -> int:
        return self.points * CASES_PER_POINT

    @property
    def block_points(self) -> int:
        return self.block or BLOCK_POINTS[self.device]

    @property
    def blocks(self) -> int:
        return -(-self.points // self.block_points)


@dataclass(frozen=True)
class Course:
    """How a loss fared, summed over cases.

    Attributes:
        error: ``[201]``, sum of |Δcx| + |Δcy| + |Δw| + |Δh|, at the start and after each step.
        iou: ``[201]``, sum of the IoU.
        solved: ``[201]``, number of cases with an IoU above :data:`SOLVED`.
        final: ``[points]``, sum of the last error of each anchor centre's cases.
        stuck: cases for which the last step's gradient was not finite.
        seconds: wall-clock time.
    """

    error: NDArray[np.float64]
    iou: NDArray[np.float64]
    solved: NDArray[np.float64]
    final: NDArray[np.float64]
    stuck: int
    seconds: float = 0.0


def simulate(
    text: str,
    settings: Settings,
    executor: Executor | None = None,
    on_block: Callable[[], None] = lambda: None,
) -> Course:
    """Run the experiment for one loss.

    Args:
        text: the loss, as for :func:`~benchmark.experiment.loss_spec.load_loss`.
        executor: where the blocks are computed; None for this process.
        on_block: called when a block is done.
    """
    begun = time.perf_counter()
    count = settings.blocks
    if executor is None:
        parts = {}
        with one_thread():
            for block in range(count):
                parts[block] = run_block(text, settings, block)
                on_block()
    else:
        parts = _on(executor, text, settings, on_block)
    return _total([parts[block] for block in range(count)], time.perf_counter() - begun)


def _on(
    executor: Executor, text: str, settings: Settings, on_block: Callable[[], None]
) -> dict[int, Course]:
    waiting: dict[Future[Course], int] = {
        executor.submit(run_block, text, settings, block): block for block in range(settings.blocks)
    }
    parts = {}
    try:
        for future in as_completed(waiting):
            parts[waiting[future]] = future.result()
            on_block()
    finally:
        for future in waiting:
            future.cancel()
    return parts


def _total(parts: list[Course], seconds: float) -> Course:
    return Course(
        error=np.sum([part.error for part in parts], axis=0),
        iou=np.sum([part.iou for part in parts], axis=0),
        solved=np.sum([part.solved for part in parts], axis=0),
        final=np.concatenate([part.final for part in parts]),
        stuck=sum(part.stuck for part in parts),
        seconds=seconds,
    )


def run_block(text: str, settings: Settings, block: int) -> Course:
    """The cases of the ``block``-th group of anchor centres."""
    size = settings.block_points
    centres = anchor_centres(settings.points, settings.seed)[block * size : (block + 1) * size]
    boxes = start_boxes(centres, settings.device)
    return follow(boxes, slope_of(text, settings))


def start_boxes(centres: NDArray[np.float64], device: str) -> Boxes:
    """All cases of some anchor centres, in float32.

    Float64 takes twice as long and moves the sums by far less than the choice of the centres.
    """
    start, target = (part.to(device, torch.float32) for part in cases(centres))
    return Boxes(start, target)


def slope_of(text: str, settings: Settings) -> Slope:
    """The gradient that the settings ask for, of a loss that remembers nothing yet."""
    if settings.gradient == "published":
        return PUBLISHED[text]
    # A copy: what a loss remembers must not go from one block to the next.
    return ExactSlope(copy.deepcopy(box_loss(text)), settings.steps)


@cache
def box_loss(text: str) -> BoxLoss:
    """What :func:`~benchmark.experiment.loss_spec.load_loss` makes of ``text``, made once."""
    loss = load_loss(text, "box").loss
    assert isinstance(loss, BoxLoss)
    return loss


def follow(boxes: Boxes, slope: Slope) -> Course:
    """Descend, and write down how it goes; boxes of one centre are neighbours."""
    record = torch.zeros(3, STEPS + 1, dtype=torch.float64, device=boxes.state.device)
    error, iou, solved = record
    for step in descend(boxes, slope):
        error[step] = boxes.errors().sum(dtype=torch.float64)
        iou[step] = boxes.iou.sum(dtype=torch.float64)
        solved[step] = (boxes.iou > SOLVED).sum()
    final = boxes.errors().sum(0, dtype=torch.float64).view(-1, CASES_PER_POINT).sum(1)
    stuck = (~slope(boxes).isfinite()).any(0).sum()
    error_, iou_, solved_ = record.cpu().numpy()
    return Course(error_, iou_, solved_, final.cpu().numpy(), int(stuck))


def trace(boxes: Boxes, slope: Slope) -> NDArray[np.float64]:
    """Every state of a descent, ``[201, 4, n]``: centre x, centre y, width, height."""
    states = [boxes.state.cpu().numpy().astype(np.float64) for _ in descend(boxes, slope)]
    return np.stack(states)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread meanwhile: sums then do not depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
