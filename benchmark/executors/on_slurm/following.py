"""What becomes of tasks on a cluster, seen from the command that submitted them.

The tasks live without it: what was submitted is kept in the store, and a later ``run`` follows
those that are still under way.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmark.executors.base import Event, Job
from benchmark.executors.on_slurm.clusters import ENDED, GONE, PREEMPTED, RUNNING, Cluster
from benchmark.executors.on_slurm.records import Submission, submissions
from benchmark.executors.on_slurm.task import Task
from benchmark.options import UserError
from benchmark.store import RunFolder
from benchmark.tasks import TASKS
from benchmark.training.loop import Progress

SILENT = "the cluster does not answer"
ATTEMPTS = 30
"""How often a cluster that does not answer is asked what became of earlier tasks."""
QUEUED = frozenset({"PENDING", "REQUEUED", "CONFIGURING"})
HINTS = {
    "OUT_OF_MEMORY": "; executor.resources.memory asks for more memory",
    "TIMEOUT": "; executor.time asks for more time",
    "CANCELLED": " (scancel)",
}


@dataclass
class Followed:
    """A submitted job.

    Attributes:
        submission: that it is part of.
        own: whether this command submitted it.
        state: that the cluster last told.
        epoch: the last that was told.
        looks: how often in a row it was seen to have ended.
    """

    job: Job
    submission: Submission
    own: bool
    state: str = "PENDING"
    epoch: int = -1
    looks: int = 0


class Follower:
    """Submits jobs and tells what becomes of them, until each has ended.

    Args:
        timeout: seconds after which a run is ended, or None.
    """

    def __init__(
        self, cluster: Cluster, timeout: float | None, on_event: Callable[[Event], None]
    ) -> None:
        self.cluster, self.timeout, self.on_event = cluster, timeout, on_event
        self.waiting: deque[Job] = deque()
        self.active: dict[str, Followed] = {}
        self.stores: set[Path] = set()

    def take(self, jobs: list[Job], poll: float) -> None:
        """Follow those that an earlier ``run`` submitted and left there; the others wait.

        Args:
            poll: seconds between two questions to a cluster that does not answer.

        Raises:
            UserError: the cluster does not say what is under way, or a record is damaged.
        """
        left = {job.folder: job for job in jobs}
        self.stores |= {_store(job) for job in jobs}
        for submission in self._submissions():
            tasks = {t: run for t, run in submission.tasks().items() if run in left}
            if not tasks:
                continue
            states = self._states(submission, left[next(iter(tasks.values()))], poll)
            for task, run in tasks.items():
                if run in left and states.get(task, GONE) not in ENDED:
                    self.active[task] = Followed(left.pop(run), submission, own=False)
        self.waiting.extend(left.values())

    def _states(self, submission: Submission, job: Job, poll: float) -> dict[str, str]:
        """Those of an earlier submission, ``job`` being one of its runs.

        No answer must not pass for none at work: the runs would be submitted twice.
        """
        for attempt in range(ATTEMPTS):
            states = self.cluster.states({submission.files.name})
            if states is not None:
                return states
            if attempt == 0:
                self.on_event(Event(job, "waiting", detail=SILENT))
            time.sleep(poll)
        raise UserError(
            f"executor: the cluster does not say which runs of {submission.files} are under way; "
            "`run` again when `squeue --me` works"
        )

    def submit(self, room: int | None = None) -> None:
        """Submit what waits, ``room`` jobs at most."""
        count = len(self.waiting) if room is None else min(room, len(self.waiting))
        if count < 1:
            return
        jobs = [self.waiting.popleft() for _ in range(count)]
        name = f"lossbench-{time.strftime('%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"
        submission = Submission.new(_store(jobs[0]), name)
        for job in jobs:  # a task that never begins would seem to have failed as it did before
            RunFolder(job.folder).forget_failure()
        try:
            tasks = [Task.of(job, self.timeout) for job in jobs]
            runs = dict(zip(self.cluster.submit(tasks, submission.files), jobs, strict=True))
        except UserError:
            submission.remove()
            raise
        self.active |= {task: Followed(job, submission, own=True) for task, job in runs.items()}
        submission.write({task: job.folder for task, job in runs.items()})

    def follow(self, poll: float) -> None:
        """Tell what happens until all jobs have ended.

        Args:
            poll: seconds between two questions to the cluster.
        """
        while self.waiting or self.active:
            self.submit(self.cluster.room(len(self.active)))
            names = {one.submission.files.name for one in self.active.values()}
            states = self.cluster.states(names)
            for task, one in list(self.active.items()):
                if states is None:
                    self._unanswered(one)
                else:
                    self._look(task, one, states.get(task))
            if self.waiting or self.active:
                time.sleep(poll)
        for submission in self._submissions():
            submission.tidy()

    def cancel(self) -> int:
        """Take off the cluster what this command submitted and is under way.

        Returns:
            How many runs of earlier commands stay there.
        """
        own = {task: one.submission for task, one in self.active.items() if one.own}
        if own:
            self.cluster.cancel(list(own))
        for submission in set(own.values()):
            submission.forget(own)
        return len(self.active) - len(own)

    def _submissions(self) -> list[Submission]:
        """All from the stores of the jobs."""
        return [one for store in sorted(self.stores) for one in submissions(store)]

    def _unanswered(self, one: Followed) -> None:
        if one.state == RUNNING:
            self.on_event(Event(one.job, "waiting", detail=SILENT))
            one.state = "PENDING"

    def _look(self, task: str, one: Followed, state: str | None) -> None:
        state = state or self.cluster.last_state(task)
        if state == RUNNING:
            if one.state != RUNNING:
                self.on_event(Event(one.job, "started"))
            self._progress(one)
        elif state in QUEUED and one.state == RUNNING:
            why = "its time was over, or its place was lost; it is queued again"
            self.on_event(Event(one.job, "retried", detail=why))
        one.state = state
        one.looks = one.looks + 1 if state in ENDED else 0
        # What a node wrote may take a moment to be seen here.
        if one.looks > 1 or (one.looks and _settled(one.job)):
            self._end(task, one)

    def _progress(self, one: Followed) -> None:
        """Tell the last epoch of the history, if it is a new one."""
        cell = one.job.cell
        with contextlib.suppress(UserError):  # damaged: the task itself says so
            rows = RunFolder(one.job.folder).history()
            if not rows or rows[-1]["epoch"] == one.epoch:
                return
            one.epoch = int(rows[-1]["epoch"])
            primary, epochs = TASKS[cell.task].primary, cell.train.epochs
            metric = next((row[primary] for row in reversed(rows) if primary in row), None)
            loss = rows[-1].get("loss_total")
            progress = Progress(one.epoch, epochs, one.epoch / epochs, loss, metric)
            self.on_event(Event(one.job, "progress", progress))

    def _end(self, task: str, one: Followed) -> None:
        del self.active[task]
        if not _settled(one.job):
            if one.state == PREEMPTED:
                self.waiting.append(one.job)
                self.on_event(Event(one.job, "retried", detail="it was preempted"))
                return
            hint = HINTS.get(one.state, "")
            RunFolder(one.job.folder).fail(
                f"the cluster ended the run without a result: {one.state}{hint}; its output is in "
                f"{one.submission.files}, task {task}"
            )
        self.on_event(Event(one.job, "ended"))


def _store(job: Job) -> Path:
    return job.folder.parents[1]


def _settled(job: Job) -> bool:
    """Whether the run's folder says how it ended."""
    folder = RunFolder(job.folder)
    return folder.outcome() is not None or folder.failure() is not None
