"""A pool of processes on this machine: one process a run, forked from a preloaded server.

A run that is killed, crashes or is ended for want of memory takes only itself along.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import connection, forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from benchmark.executors.base import Event, Executor, Job
from benchmark.executors.worker import BUSY, work
from benchmark.options import UserError
from benchmark.store import RunFolder

ROOT = Path(__file__).parents[2]
PRELOAD = ["benchmark.cli", "benchmark.executors.worker"]
CONTEXT = multiprocessing.get_context("forkserver")
RETRY_AFTER = 1.0
"""Seconds before a cell that another ``run`` holds is looked at again."""


@dataclass
class Running:
    """A process at work and the channel that its progress comes through."""

    job: Job
    process: ForkServerProcess
    channel: connection.Connection


@dataclass(frozen=True)
class LocalExecutor(Executor):
    """See the module; without ``workers`` as many as there are cores."""

    def __post_init__(self) -> None:
        CONTEXT.set_forkserver_preload(PRELOAD)
        start_server()

    def run(self, jobs: list[Job], on_event: Callable[[Event], None]) -> None:
        waiting: deque[tuple[float, Job]] = deque((0.0, job) for job in jobs)
        running: list[Running] = []
        try:
            while waiting or running:
                self._fill(waiting, running, on_event)
                sources = [r.channel for r in running] + [r.process.sentinel for r in running]
                connection.wait(sources, timeout=RETRY_AFTER)
                for one in list(running):
                    self._listen(one, on_event)
                    if not one.process.is_alive():
                        running.remove(one)
                        self._end(one, waiting, on_event)
        finally:
            for one in running:
                one.process.terminate()
            for one in running:
                one.process.join()

    def _fill(
        self,
        waiting: deque[tuple[float, Job]],
        running: list[Running],
        on_event: Callable[[Event], None],
    ) -> None:
        """Start processes while there are free places and cells whose time has come."""
        for _ in range(len(waiting)):
            if len(running) >= (self.workers or len(os.sched_getaffinity(0))):
                return
            not_before, job = waiting.popleft()
            if time.monotonic() < not_before:
                waiting.append((not_before, job))
                continue
            running.append(self._start(job))
            on_event(Event(job, "started"))

    def _start(self, job: Job) -> Running:
        receiving, sending = CONTEXT.Pipe(duplex=False)
        for last in (False, True):
            # A server that was killed since the last start is replaced by one that preloads.
            start_server()
            process = CONTEXT.Process(target=work, args=(job, sending))
            try:
                process.start()
                break
            except (EOFError, ConnectionError):
                if last:
                    raise UserError(
                        "the process that starts the runs was killed twice (the system does this "
                        "when memory runs out); `run` again continues, and with fewer --workers "
                        "it takes less memory"
                    ) from None
                time.sleep(RETRY_AFTER)  # a server that is not quite dead would be kept
        sending.close()  # or its end would not be seen here
        return Running(job, process, receiving)

    def _listen(self, one: Running, on_event: Callable[[Event], None]) -> None:
        try:
            while one.channel.poll():
                on_event(Event(one.job, "progress", one.channel.recv()))
        except (EOFError, OSError):
            # The process has closed its end; without a pause the wait would return at once.
            one.process.join(timeout=RETRY_AFTER)

    def _end(
        self,
        one: Running,
        waiting: deque[tuple[float, Job]],
        on_event: Callable[[Event], None],
    ) -> None:
        one.process.join()
        one.channel.close()
        if one.process.exitcode == BUSY:
            waiting.append((time.monotonic() + RETRY_AFTER, one.job))
            on_event(Event(one.job, "waiting"))
            return
        folder = RunFolder(one.job.folder)
        if folder.outcome() is None and folder.failure() is None:
            folder.fail(_cause(one.process.exitcode))
        on_event(Event(one.job, "ended"))


def start_server() -> None:
    """Start the fork server where none runs yet, so that it finds what it is to preload.

    The server is a new interpreter that looks for modules in the current folder, which may be any
    (with packages named like ours), and passes over silently what it does not find.
    """
    changed = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PYTHONSAFEPATH": "1",
    }
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _cause(exitcode: int | None) -> str:
    """Why a process ended that could not say so itself."""
    if exitcode is None or exitcode >= 0:
        return f"the process ended with exit code {exitcode} and left no result"
    name = signal.Signals(-exitcode).name
    hint = " (the system does this when memory runs out)" if -exitcode == signal.SIGKILL else ""
    return f"the process was killed by {name}{hint}"
