"""Where tasks go: what they ask for, how they are submitted, seen and cancelled.

submitit writes the files and brings each task to life; it is imported only when tasks are
submitted.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from benchmark.executors.on_slurm.task import Task, python_command

if TYPE_CHECKING:
    import submitit

RUNNING = "RUNNING"
COMPLETED = "COMPLETED"
PREEMPTED = "PREEMPTED"
GONE = "no longer known to the cluster"
ENDED = frozenset(
    {COMPLETED, PREEMPTED, GONE, "BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED"}
    | {"NODE_FAIL", "OUT_OF_MEMORY", "REVOKED", "TIMEOUT"}
)
"""States that a task does not leave."""
SHARE = 0.1
"""Of the tasks that may be submitted at a time: when so many have ended, others follow."""
SIGNAL_DELAY = 90
"""Seconds before the end of its time at which a task is told, so that it is queued again."""


@dataclass(frozen=True)
class Wishes:
    """What tasks ask of the cluster.

    Attributes:
        workers: tasks at a time at most, or None.
        cpus: cores of a task.
        gpus: GPUs of a task.
        memory: bytes of a task, or None for what the cluster gives.
        minutes: time of a task; one that needs longer is queued again.
        retries: how often it is.
        partition: queue, or None for the cluster's default.
        setup: lines of shell before a task starts.
        sbatch: other options of ``sbatch``, without the dashes.
        queued: tasks that are submitted at a time at most, or None.
    """

    workers: int | None
    cpus: int
    gpus: int
    memory: int | None
    minutes: int
    retries: int
    partition: str | None = None
    setup: list[str] = field(default_factory=list)
    sbatch: dict[str, Any] = field(default_factory=dict)
    queued: int | None = None

    @property
    def signal_delay(self) -> int:
        return min(SIGNAL_DELAY, 15 * self.minutes)


class Cluster(ABC):
    """Where tasks go."""

    lasting: ClassVar[bool] = True
    """Whether tasks live on without the command that submitted them."""

    def __init__(self, wishes: Wishes) -> None:
        self.wishes = wishes

    def check(self) -> None:  # noqa: B027 not every cluster has something to check
        """Raise a :class:`UserError` where the cluster cannot be reached from this machine."""

    def room(self, active: int) -> int | None:
        """How many more tasks it takes while ``active`` are under way; None for any number."""
        if self.wishes.queued is None:
            return None
        # What is submitted at different times shares no limit of workers but this one.
        most = min(self.wishes.queued, self.wishes.workers or self.wishes.queued)
        free = most - active
        # Not one by one: each submission is a job of its own.
        return free if free >= SHARE * most else 0

    @abstractmethod
    def submit(self, tasks: list[Task], folder: Path) -> list[str]:
        """Queue the tasks, with their files in ``folder``; gives the id of each.

        Raises:
            UserError: the cluster refuses them.
        """

    @abstractmethod
    def states(self, names: set[str]) -> dict[str, str] | None:
        """Task id -> Slurm's word for its state; None where the cluster does not answer now.

        Args:
            names: of the folders that tasks were submitted from. Tasks that ended long ago may
                be absent.
        """

    @abstractmethod
    def last_state(self, task: str) -> str:
        """The state of a task that :meth:`states` no longer tells, or :data:`GONE`."""

    @abstractmethod
    def cancel(self, tasks: list[str]) -> None:
        """End these tasks, queued or running."""


C = TypeVar("C", bound=type[Cluster])
CLUSTERS: dict[str, type[Cluster]] = {}
"""Name in experiment files -> class."""


def register_cluster(name: str) -> Callable[[C], C]:
    """Make a class known by ``name``."""

    def register(cls: C) -> C:
        CLUSTERS[name] = cls
        return cls

    return register


@register_cluster("local")
class LocalCluster(Cluster):
    """Processes of this machine, as many at a time as there are cores or ``workers``."""

    lasting = False

    def __init__(self, wishes: Wishes) -> None:
        super().__init__(wishes)
        self.jobs: dict[str, submitit.Job[int]] = {}

    def room(self, active: int) -> int | None:
        return (self.wishes.workers or len(os.sched_getaffinity(0))) - active

    def submit(self, tasks: list[Task], folder: Path) -> list[str]:
        import submitit

        executor = submitit.LocalExecutor(folder, self.wishes.retries, python=python_command())
        executor.update_parameters(
            timeout_min=self.wishes.minutes,
            signal_delay_s=self.wishes.signal_delay,
            gpus_per_node=self.wishes.gpus,
            setup=self.wishes.setup,
            stderr_to_stdout=True,
        )
        jobs = executor.submit_array(tasks)
        self.jobs |= {job.job_id: job for job in jobs}
        return [job.job_id for job in jobs]

    def states(self, names: set[str]) -> dict[str, str] | None:
        return {task: self.last_state(task) for task in self.jobs}

    def last_state(self, task: str) -> str:
        job = self.jobs[task]
        if not job.done():
            return RUNNING
        return COMPLETED if job.paths.result_pickle.exists() else "FAILED"

    def cancel(self, tasks: list[str]) -> None:
        for task in tasks:
            self.jobs[task].cancel()
        for task in tasks:
            self.jobs[task].wait()
