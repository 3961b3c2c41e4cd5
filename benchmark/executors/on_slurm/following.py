"""What becomes of tasks on a cluster, seen from the command that submitted them.

The tasks live without it: what was submitted stands in ``slurm/`` of the store, one folder for each
submission, and a later ``run`` follows those that are still under way.
"""

from __future__ import annotations

import contextlib
import shutil
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmark.executors.base import Event, Job
from benchmark.executors.on_slurm.clusters import ENDED, GONE, PREEMPTED, RUNNING, Cluster
from benchmark.executors.on_slurm.task import Task
from benchmark.options import UserError
from benchmark.store import RunFolder, read_json, write_json
from benchmark.tasks import TASKS
from benchmark.training.loop import Progress

FOLDER = "slurm"
RECORD = "tasks.json"
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
        files: folder of its submission.
        state: that the cluster last told.
        epoch: the last that was told.
        looks: how often in a row it was seen to have ended.
    """

    job: Job
    files: Path
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

    def take(self, jobs: list[Job]) -> None:
        """Follow those that an earlier ``run`` submitted and left there; the others wait."""
        left = {job.folder: job for job in jobs}
        self.stores |= {_store(job) for job in jobs}
        for record in self._records():
            files = record.parent
            states = self.cluster.states({files.name}) or {}
            for task, run in read_json(record)["tasks"].items():
                folder = files.parents[1] / run
                if folder in left and states.get(task, GONE) not in ENDED:
                    self.active[task] = Followed(left.pop(folder), files)
        self.waiting.extend(left.values())

    def submit(self, room: int | None = None) -> None:
        """Submit what waits, ``room`` jobs at most."""
        count = len(self.waiting) if room is None else min(room, len(self.waiting))
        if count < 1:
            return
        jobs = [self.waiting.popleft() for _ in range(count)]
        name = f"lossbench-{time.strftime('%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"
        store = _store(jobs[0])
        files = store / FOLDER / name
        for job in jobs:  # a task that never begins would seem to have failed as it did before
            RunFolder(job.folder).forget_failure()
        try:
            tasks = self.cluster.submit([Task.of(job, self.timeout) for job in jobs], files)
        except UserError:
            _remove(files)
            raise
        runs = dict(zip(tasks, jobs, strict=True))
        for task, job in runs.items():
            self.active[task] = Followed(job, files)
        places = {task: str(job.folder.relative_to(store)) for task, job in runs.items()}
        write_json(files / RECORD, {"tasks": places})

    def follow(self, poll: float) -> None:
        """Tell what happens until all jobs have ended.

        Args:
            poll: seconds between two questions to the cluster.
        """
        while self.waiting or self.active:
            self.submit(self.cluster.room(len(self.active)))
            states = self.cluster.states({one.files.name for one in self.active.values()})
            for task, one in list(self.active.items()):
                if states is None:
                    self._unanswered(one)
                else:
                    self._look(task, one, states.get(task))
            if self.waiting or self.active:
                time.sleep(poll)
        for record in self._records():
            _tidy(record)

    def cancel(self) -> None:
        """Take off the cluster what is under way."""
        self.cluster.cancel(list(self.active))
        for files in {one.files for one in self.active.values()}:
            (files / RECORD).unlink(missing_ok=True)

    def _records(self) -> list[Path]:
        """Of all submissions from the stores of the jobs."""
        return sorted(r for store in self.stores for r in store.glob(f"{FOLDER}/*/{RECORD}"))

    def _unanswered(self, one: Followed) -> None:
        if one.state == RUNNING:
            self.on_event(Event(one.job, "waiting", detail="the cluster does not answer"))
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
                f"{one.files}, task {task}"
            )
        self.on_event(Event(one.job, "ended"))


def _store(job: Job) -> Path:
    return job.folder.parents[1]


def _settled(job: Job) -> bool:
    """Whether the run's folder says how it ended."""
    folder = RunFolder(job.folder)
    return folder.outcome() is not None or folder.failure() is not None


def _tidy(record: Path) -> None:
    """Remove a submission's files, unless one of its runs has no result: they may say why."""
    runs = [RunFolder(record.parents[2] / run) for run in read_json(record)["tasks"].values()]
    if all(run.outcome() is not None for run in runs):
        _remove(record.parent)


def _remove(files: Path) -> None:
    shutil.rmtree(files, ignore_errors=True)
    with contextlib.suppress(OSError):  # another submission's files lie there
        files.parent.rmdir()
