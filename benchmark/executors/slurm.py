"""Slurm: the runs become tasks of a job array, on a store that all nodes share.

A task trains as a process of the local executor does, and writes the same files. One that comes to
the end of its time, or is preempted, or loses its node goes back into the queue and continues from
its checkpoint. The tasks live without the command that submitted them: what was submitted is kept
in ``slurm/`` of the store, and a later ``run`` follows those that are still under way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Annotated

from pydantic import Field

from benchmark.executors.base import Event, Executor, Job, register_executor
from benchmark.executors.on_slurm import arrays  # noqa: F401 registers Slurm itself
from benchmark.executors.on_slurm.clusters import CLUSTERS, Cluster, Wishes
from benchmark.executors.on_slurm.following import Follower
from benchmark.experiment.quantities import Seconds
from benchmark.experiment.train_settings import one_of
from benchmark.options import UserError


@register_executor("slurm")
@dataclass(frozen=True)
class SlurmExecutor(Executor):
    """Job arrays of Slurm; the store and the cache lie on a folder that all nodes see.

    Runs train on a GPU where ``resources.gpu`` is 1, else on the CPU.

    Attributes:
        partition: queue; None for the cluster's default.
        time: of a task, in seconds (in a file also ``4h``); a run that needs longer is queued
            again and continues from its last epoch.
        retries: how often a run is queued again for its time.
        setup: lines of shell before each task, such as ``module load cuda``.
        sbatch: other options of ``sbatch`` by their long names, such as ``account: vision``.
        queued: tasks that are submitted at a time at most, where Slurm or the site takes only so
            many; None for all at once.
        poll: seconds between two questions to Slurm.
        detach: submit and return; a later ``run`` follows and reports.
        cluster: ``local`` starts the tasks as processes of this machine, to try things out.
    """

    partition: str | None = None
    time: Seconds = 4 * 3600.0
    retries: Annotated[int, Field(ge=0)] = 3
    setup: list[str] = field(default_factory=list)
    sbatch: dict[str, str | int | bool] = field(default_factory=dict)
    queued: Annotated[int, Field(ge=1)] | None = None
    poll: Seconds = 10.0
    detach: bool = False
    cluster: Annotated[str, one_of(CLUSTERS)] = "slurm"

    def __post_init__(self) -> None:
        if self.detach and not CLUSTERS[self.cluster].lasting:
            raise ValueError(
                f"detach (--detach): tasks of executor.cluster={self.cluster} end with the command "
                "that started them; leave it away, or submit to Slurm"
            )
        if self.detach and self.queued is not None:
            raise ValueError(
                "detach (--detach): submits all runs at once, so that nothing is left for queued; "
                "leave one of them away"
            )
        if self.resources.gpu not in (0, 1):
            raise ValueError(
                "resources.gpu: must be 0 or 1 for Slurm, which hands out whole GPUs, got "
                f"{self.resources.gpu:g}"
            )

    def prepare(self) -> None:
        """See :class:`Executor`.

        Raises:
            UserError: submitit is not installed, or this machine has no way to Slurm.
        """
        if find_spec("submitit") is None:
            raise UserError(
                "executor: 'slurm' needs the package submitit, which is not installed; "
                'python3 -m pip install -e ".[slurm]" -c constraints.txt brings it'
            )
        self._cluster().check()

    def leaves_runs(self) -> bool:
        return self.detach

    def places(self, runs: int) -> str:
        where = f", partition {self.partition}" if self.partition else ""
        at_a_time = f", {self.workers} at a time" if self.workers else ""
        return f"the cluster '{self.cluster}'{where}{at_a_time}"

    def run(self, jobs: list[Job], on_event: Callable[[Event], None]) -> None:
        """See :class:`Executor`. With ``detach`` it returns when all jobs are submitted.

        Raises:
            UserError: the cluster refuses the jobs.
        """
        follower = Follower(self._cluster(), self.timeout, on_event)
        follower.take(jobs, self.poll)
        if self.detach:
            follower.submit()
            return
        try:
            follower.follow(self.poll)
        except BaseException as error:
            staying = follower.cancel()
            error.add_note(
                "the runs that this command submitted were taken off the cluster; with --detach "
                "they would stay there"
            )
            if staying:
                error.add_note(f"{staying} run(s) that an earlier command submitted stay there")
            raise

    def _cluster(self) -> Cluster:
        wishes = Wishes(
            self.workers,
            math.ceil(self.resources.cpu),
            int(self.resources.gpu),
            self.resources.memory,
            math.ceil(self.time / 60),
            self.retries,
            self.partition,
            self.setup,
            self.sbatch,
            self.queued,
        )
        return CLUSTERS[self.cluster](wishes)
