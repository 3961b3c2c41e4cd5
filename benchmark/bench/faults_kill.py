"""The processes of a `run`, and the killing of some of them."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

SERVER = "multiprocessing.forkserver"
"""Stands in the command line of the fork server, and of what was forked from it."""


@dataclass(frozen=True)
class Processes:
    """A `run` at work.

    Attributes:
        server: the process that the runs are forked from; there is none before the first run.
        workers: one for each run in training.
    """

    runner: psutil.Process
    server: psutil.Process | None = None
    workers: tuple[psutil.Process, ...] = ()

    @classmethod
    def of(cls, runner: psutil.Process) -> Processes:
        """Those alive right now."""
        try:
            servers = [child for child in runner.children() if SERVER in " ".join(child.cmdline())]
            server = servers[-1] if servers else None
            workers = server.children() if server else []
        except psutil.Error:  # one ended while it was looked at
            return cls(runner)
        return cls(runner, server, tuple(workers))

    def all(self) -> list[psutil.Process]:
        server = [] if self.server is None else [self.server]
        return [self.runner, *server, *self.workers]


Chooser = Callable[[Processes, random.Random], list[psutil.Process]]


def _a_worker(found: Processes, rng: random.Random) -> list[psutil.Process]:
    return [rng.choice(found.workers)] if found.workers else []


def _server(found: Processes, rng: random.Random) -> list[psutil.Process]:
    return [] if found.server is None else [found.server]


def _runner(found: Processes, rng: random.Random) -> list[psutil.Process]:
    return [found.runner]


def _both(found: Processes, rng: random.Random) -> list[psutil.Process]:
    return [*_a_worker(found, rng), found.runner]


def _all(found: Processes, rng: random.Random) -> list[psutil.Process]:
    return found.all()


VICTIMS: dict[str, Chooser] = {
    "worker": _a_worker,
    "fork server": _server,
    "runner": _runner,
    "runner and worker": _both,
    "all": _all,
}
"""Who can be killed -> their processes, of those alive."""


def kill(processes: list[psutil.Process]) -> int:
    """SIGKILL, one right after the other; the number of those that were still alive."""
    killed = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
            killed += 1
    return killed


def run_of(worker: psutil.Process) -> Path | None:
    """The folder of the run that a worker trains: the one whose log it writes."""
    with contextlib.suppress(psutil.Error):
        for file in worker.open_files():
            if Path(file.path).name == "log.txt":
                return Path(file.path).parent
    return None


def still_there(processes: Iterable[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Those that have not ended after so many seconds at most."""
    _, left = psutil.wait_procs(list(processes), timeout=0)
    deadline = time.monotonic() + timeout
    while (left := [one for one in left if _runs(one)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def _runs(process: psutil.Process) -> bool:
    """Whether it has not ended; one that only its parent has not asked for yet has."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
