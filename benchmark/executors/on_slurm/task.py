"""One run as submitit calls it in a process of the cluster."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmark.executors.base import Job, timed_out
from benchmark.executors.worker import BUSY, FAILED, run_job
from benchmark.store import RunFolder

ROOT = Path(__file__).parents[3]
RETRY_AFTER = 5.0
"""Seconds before a cell that another process holds is looked at again."""


@dataclass
class Task:
    """One job as submitit calls it in a process of the cluster.

    Attributes:
        timeout: seconds after which the run is ended and counts as failed, or None.
        used: seconds of them that went by before the task was last queued again.
        begun: when its process began, by :func:`time.monotonic`.
    """

    job: Job
    timeout: float | None = None
    used: float = 0.0
    begun: float | None = field(default=None, init=False)

    @classmethod
    def of(cls, job: Job, timeout: float | None) -> Task:
        """The task of a job, with paths that hold whatever folder its process starts in."""
        splits = {name: path.absolute() for name, path in job.splits.items()}
        return cls(replace(job, folder=job.folder.absolute(), splits=splits), timeout)

    def __call__(self) -> int:
        # submitit passes over SIGTERM, and a task that was cancelled would train on until killed.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        self.begun = time.monotonic()
        if self.timeout is not None:
            left = max(0.0, self.timeout - self.used)
            timer = threading.Timer(left, self._give_up, [self.timeout])
            timer.daemon = True
            timer.start()
        # The cell may be in the hands of a task that was cancelled and is not quite gone.
        while (code := run_job(self.job, lambda progress: None, log=True)) == BUSY:
            time.sleep(RETRY_AFTER)
        return code

    def _give_up(self, seconds: float) -> None:
        try:
            RunFolder(self.job.folder).fail(timed_out(seconds))
        finally:
            os._exit(FAILED)

    def checkpoint(self) -> Any:
        """What goes back into the queue when the time is over: the rest of the run.

        A run continues by itself; of its timeout, the time that has gone by is used.
        """
        from submitit.helpers import DelayedSubmission

        spent = 0.0 if self.begun is None else time.monotonic() - self.begun
        return DelayedSubmission(replace(self, used=self.used + spent))


def python_command() -> str:
    """The shell's words that start this Python with this clone's packages before any others."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    settings = {"PYTHONPATH": path, "PYTHONSAFEPATH": "1", "SUBMITIT_LOG_LEVEL": "WARNING"}
    return shlex.join(["env", *(f"{k}={v}" for k, v in settings.items()), sys.executable])
