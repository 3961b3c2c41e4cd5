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
        kind: ``started``, ``progress``, ``ended`` (its folder says how), or ``waiting`` (another
            ``run`` is at work on the cell).
    """

    job: Job
    kind: str
    progress: Progress | None = None


class Executor(ABC):
    """Runs jobs until each has ended, in whatever order."""

    @abstractmethod
    def run(self, jobs: list[Job], on_event: Callable[[Event], None]) -> None:
        """Run all jobs. A job that fails is recorded in its folder and stops no other."""
