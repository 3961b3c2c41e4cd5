"""The interface between the runner and whatever trains the cells."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.cell import CellConfig
from benchmark.metrics.engines import PYCOCOTOOLS
from benchmark.training import Progress


@dataclass(frozen=True)
class Job:
    """One cell and all that a process needs to train it.

    Attributes:
        folder: the run folder.
        splits: ``train``, ``val``, ``test`` -> folder of the decoded cache.
        device: as torch names it.
        threads: CPU threads of the process.
        loader_workers: processes that load its samples.
        trivial: test metrics of the trivial predictor on this data, kept with the result.
        logging: names of the loggers that follow the run, besides its history.
        evaluator: which of the engines computes average precision.
    """

    cell: CellConfig
    folder: Path
    splits: dict[str, Path]
    device: str = "cpu"
    threads: int = 1
    loader_workers: int = 0
    trivial: dict[str, float] = field(default_factory=dict)
    logging: tuple[str, ...] = ()
    evaluator: str = PYCOCOTOOLS


@dataclass(frozen=True)
class Event:
    """News of one job.

    Attributes:
        kind: ``started``, ``progress``, ``ended`` (its folder says how), ``waiting`` (it cannot
            start yet, another ``run`` being at work on the cell, say) or ``retried`` (what it
            ran on was lost; it will go on elsewhere).
        detail: why, of ``waiting`` and ``retried``.
    """

    job: Job
    kind: str
    progress: Progress | None = None
    detail: str = ""


@dataclass(frozen=True)
class Resources:
    """What one run takes of the machine it lands on.

    Attributes:
        cpu: cores.
        gpu: GPUs; 0.25 lets four runs share one.
        memory: bytes of main memory; None where nothing is known.
    """

    cpu: float = 1.0
    gpu: float = 0.0
    memory: int | None = None


@dataclass(frozen=True)
class Executor(ABC):
    """Runs jobs until each has ended, in whatever order.

    Subclasses are dataclasses; their fields are what ``executor:`` in an experiment file may say.

    Attributes:
        workers: runs at a time at most; None for as many as there is room for.
        resources: what one run takes.
        timeout: seconds after which a run is ended and counts as failed; None for no limit.
    """

    workers: int | None = None
    resources: Resources = Resources()
    timeout: float | None = None

    @abstractmethod
    def run(self, jobs: list[Job], on_event: Callable[[Event], None]) -> None:
        """Run all jobs. A job that fails is recorded in its folder and stops no other."""
