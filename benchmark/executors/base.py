"""The interface between the runner and whatever trains the cells."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, TypeVar

from pydantic import BaseModel, Field

from benchmark.experiment.cell import CellConfig
from benchmark.experiment.protocol import Positive
from benchmark.experiment.quantities import Bytes, Seconds, Share, shown_seconds
from benchmark.experiment.train_settings import STRICT
from benchmark.metrics.engines import PYCOCOTOOLS
from benchmark.training.loop import Progress


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
        detail: why, of ``waiting`` and ``retried``; the same words for as long as it is the same
            reason, so that it need be shown but once.
    """

    job: Job
    kind: str
    progress: Progress | None = None
    detail: str = ""


class Resources(BaseModel):
    """What one run takes of the machine it lands on.

    Attributes:
        cpu: cores.
        gpu: GPUs, at most 1, as a run trains on one; 0.25 lets four runs share one.
        memory: bytes of main memory (in a file also ``2GB``); None where nothing is known.
    """

    model_config = STRICT

    cpu: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    gpu: Share = 0.0
    memory: Bytes | None = None


@dataclass(frozen=True)
class Executor(ABC):
    """Runs jobs until each has ended, in whatever order.

    Subclasses are dataclasses; their fields are what ``executor:`` in an experiment file may say.
    Making one only checks them and starts nothing.

    Attributes:
        workers: runs at a time at most; None for as many as there is room for.
        resources: what one run takes.
        timeout: seconds after which a run is ended and counts as failed (in a file also ``2h``);
            None for no limit.
    """

    here: ClassVar[bool] = False
    """Whether runs train on this machine, so that its devices are those they can have."""

    workers: Positive | None = None
    resources: Resources = field(default_factory=Resources)
    timeout: Seconds | None = None

    @abstractmethod
    def run(self, jobs: list[Job], on_event: Callable[[Event], None]) -> None:
        """Run all jobs. A job that fails is recorded in its folder and stops no other."""

    def prepare(self) -> None:  # noqa: B027 most executors have nothing to do ahead
        """Begin to start what runs will need; called before the data are decoded."""

    def leaves_runs(self) -> bool:
        """Whether :meth:`run` returns once all jobs are handed over, and they train without it."""
        return False

    def places(self, runs: int) -> str:
        """Where so many runs train and how many at a time, as the command line shows it."""
        if self.workers is None:
            return "as many workers as there is room for"
        return f"{min(self.workers, max(1, runs))} worker(s)"


E = TypeVar("E", bound=Executor)
EXECUTORS: dict[str, type[Executor]] = {}
"""Name in experiment files -> class."""


def register_executor(name: str) -> Callable[[type[E]], type[E]]:
    """Make a class known by ``name``."""

    def register(cls: type[E]) -> type[E]:
        EXECUTORS[name] = cls
        return cls

    return register


def timed_out(seconds: float) -> str:
    """What ``failure.json`` says of a run that was ended for its time."""
    return (
        f"the run was ended after {shown_seconds(seconds)}, the limit of --timeout (executor."
        "timeout in the experiment file); `run` again goes on from its last epoch"
    )
