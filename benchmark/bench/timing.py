"""Time and memory of forward and backward, side by side."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

MIN_SECONDS = 0.01
"""Time that one measurement takes at least; short calls are repeated until then."""


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        rounds: of every race, fewest and most.
        seconds: after which no further round is begun.
        limit: a call that takes longer is no part of the rounds, but measured once.
    """

    rounds: tuple[int, int] = (3, 15)
    seconds: float = 0.6
    limit: float = 1.0


QUICK = Effort(rounds=(3, 5), seconds=0.1, limit=0.5)


@dataclass(frozen=True)
class Step:
    """Forward and backward of a loss on one batch.

    Attributes:
        inputs: predictions, a leaf that requires its gradient.
        function: from these to one number.
    """

    inputs: Tensor
    function: Callable[[Tensor], Tensor]

    def __call__(self) -> None:
        self.inputs.grad = None
        self.function(self.inputs).backward()


def race(steps: Sequence[Step], effort: Effort) -> list[list[float]]:
    """Seconds a call of each step, round by round; the steps of a round take turns.

    Every step must have been called before, so that nothing is done for the first time here.
    """
    repeats = []
    for step in steps:
        once = seconds(step)
        once = once if once > MIN_SECONDS else min(once, seconds(step, 3))
        repeats.append(max(1, round(MIN_SECONDS / once)))
    times: list[list[float]] = [[] for _ in steps]
    started = time.perf_counter()
    for done in range(effort.rounds[1]):
        if done >= effort.rounds[0] and time.perf_counter() - started > effort.seconds:
            break
        for i, step in enumerate(steps):
            times[i].append(seconds(step, repeats[i]))
    return times


def seconds(step: Step, repeats: int = 1) -> float:
    """Mean seconds of a call."""
    device = step.inputs.device
    wait(device)
    started = time.perf_counter()
    for _ in range(repeats):
        step()
    wait(device)
    return (time.perf_counter() - started) / repeats


def wait(device: torch.device) -> None:
    """Until the device has done what it was given; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def speedups(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Theirs over ours, round by round: the median and both quartiles.

    Where one of them was measured once, the ratio of the medians, three times.
    """
    if len(ours) != len(theirs) or len(ours) == 1:
        ratio = statistics.median(theirs) / statistics.median(ours)
        return ratio, ratio, ratio
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return middle, low, high


def peak_memory(step: Step) -> int:
    """Most bytes that torch holds at a time on top of the inputs, during one call.

    On a CPU this sums what the profiler records of torch's allocator, so numpy's memory is not
    in it.
    """
    step.inputs.grad = None
    if step.inputs.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(step.inputs.device)
        before = torch.cuda.memory_allocated(step.inputs.device)
        step()
        return torch.cuda.max_memory_allocated(step.inputs.device) - before
    with _quiet(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    assert profiler.profiler is not None
    assert profiler.profiler.kineto_results is not None
    events = profiler.profiler.kineto_results.events()
    changes = [event for event in events if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(changes, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the profiler's C++ part logs to the process's standard error."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
