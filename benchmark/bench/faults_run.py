"""A `run` of the command line in a process of its own, followed from outside."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil

from benchmark.bench.faults_kill import Processes
from benchmark.bench.faults_rows import Plan

RUN = Path(__file__).parents[2] / "run.py"
STAGES = ("start", "training", "report")
POLL = 0.1
"""Seconds between two looks at the processes."""
QUIET = 2.0
"""Seconds without a worker after which the training counts as over."""


class Invocation:
    """See the module; what it prints goes to the end of ``output.txt`` in its results."""

    def __init__(self, plan: Plan, out: Path, results: Path) -> None:
        command = [sys.executable, str(RUN), "run", str(out / "experiment.yaml")]
        command += ["--workers", str(plan.workers), "--device", "cpu", "--results", str(results)]
        # Only the runs are held against each other; charts would be most of the work.
        command += ["--cache", str(results / ".cache"), "--report", "tables"]
        results.mkdir(parents=True, exist_ok=True)
        with (results / "output.txt").open("a", encoding="utf-8") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        self.begun = time.monotonic()
        self.runner = psutil.Process(self.process.pid)
        self.now = Processes(self.runner)
        self.seen: set[psutil.Process] = {self.runner}
        self.trained: float | None = None
        self.served: psutil.Process | None = None

    @property
    def seconds(self) -> float:
        """Since it was started."""
        return time.monotonic() - self.begun

    @property
    def stage(self) -> str:
        """Where it is, as far as its processes show."""
        if self.trained is None:
            return "start"
        # After the death of a fork server another one comes, and then more workers.
        waiting = self.now.workers or self.now.server != self.served
        over = not waiting and time.monotonic() - self.trained > QUIET
        return "report" if over else "training"

    def look(self) -> bool:
        """Take note of the processes that are there; False once the `run` has ended."""
        self.now = Processes.of(self.runner)
        self.seen.update(self.now.all())
        if self.now.workers:
            self.trained, self.served = time.monotonic(), self.now.server
        return self.process.poll() is None

    def wait_for(self, stage: str, delay: float) -> bool:
        """Wait until the stage is reached, or passed, and then so many seconds more.

        Returns:
            False where the `run` ended before.
        """
        while STAGES.index(self.stage) < STAGES.index(stage):
            if not self.look():
                return False
            time.sleep(POLL)
        until = time.monotonic() + delay
        while time.monotonic() < until:
            if not self.look():
                return False
            time.sleep(min(POLL, max(0.0, until - time.monotonic())))
        return self.look()
