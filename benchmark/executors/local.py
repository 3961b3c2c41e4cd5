"""A pool of processes on this machine: one process a run, forked from a preloaded server.

A run that is killed, crashes or is ended for want of memory takes only itself along. A run waits
for a place, for a share of a GPU where runs take one, and for memory to be free; one run at a
time always goes ahead.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import ForkServerProcess
from typing import Annotated, ClassVar

from pydantic import Field

from benchmark.executors.base import Event, Executor, Job, register_executor, timed_out
from benchmark.executors.gpus import GpuSlots, visible_gpus
from benchmark.executors.memory import MemoryGuard
from benchmark.executors.server import CONTEXT, PRELOAD, start_server
from benchmark.executors.worker import BUSY, work
from benchmark.options import UserError
from benchmark.store import RunFolder

RETRY_AFTER = 1.0
"""Seconds before a cell that another ``run`` holds is looked at again."""

GRACE = 10.0
"""Seconds that a run has to end when it is asked to, before it is killed."""

HELD = "another `run` is at work on it"


@register_executor("local")
@dataclass(frozen=True)
class LocalExecutor(Executor):
    """See the module; without ``workers`` as many runs at a time as there are cores.

    ``resources.memory`` is measured where it is not given, from the runs before.

    Attributes:
        nice: what is added to the niceness of the processes that train, 0 to 19: the higher, the
            more they leave to others.
    """

    here: ClassVar[bool] = True

    nice: Annotated[int, Field(ge=0, le=19)] = 0

    def prepare(self) -> None:
        CONTEXT.set_forkserver_preload(PRELOAD)
        start_server()

    def places(self, runs: int) -> str:
        return f"{min(self.most, max(1, runs))} worker(s)"

    @property
    def most(self) -> int:
        """Runs at a time at most."""
        return self.workers or len(os.sched_getaffinity(0))

    def run(self, jobs: list[Job], on_event: Callable[[Event], None]) -> None:
        self.prepare()
        pool = _Pool(self, jobs, on_event)
        try:
            while pool.waiting or pool.running:
                pool.step()
        finally:
            pool.stop()


SERVER_LOST = 255
"""Exit code that multiprocessing gives a process whose fork server is gone; it may train on."""


@dataclass
class Running:
    """A process at work and the channel that its progress comes through.

    Attributes:
        gpu: that it sees; None where it sees all, or trains on none.
        deadline: time by :func:`time.monotonic` at which it is ended, killed if it is ``late``
            already.
    """

    job: Job
    process: ForkServerProcess
    channel: connection.Connection
    gpu: str | None
    deadline: float
    late: bool = False


class _Pool:
    """The runs of one call of :meth:`LocalExecutor.run`."""

    def __init__(
        self, executor: LocalExecutor, jobs: list[Job], on_event: Callable[[Event], None]
    ) -> None:
        self.executor, self.on_event = executor, on_event
        self.waiting: deque[tuple[float, Job]] = deque((0.0, job) for job in jobs)
        self.running: list[Running] = []
        self.memory = MemoryGuard(executor.resources.memory)
        on_gpu = any(_takes_slot(job) for job in jobs)
        self.gpus = GpuSlots(visible_gpus() if on_gpu else [], executor.resources.gpu)
        self.short_of_memory: Job | None = None

    def step(self) -> None:
        """Start what can start, wait for news, and pass it on."""
        if self.waiting:
            self.memory.look({one.job.folder: one.process.pid or 0 for one in self.running})
        self._fill()
        sources = [r.channel for r in self.running] + [r.process.sentinel for r in self.running]
        connection.wait(sources, timeout=RETRY_AFTER)
        self._end_late()
        for one in list(self.running):
            self._listen(one)
            if not one.process.is_alive():
                self.running.remove(one)
                self._end(one)

    def stop(self) -> None:
        """End all processes."""
        for one in self.running:
            one.process.terminate()
        deadline = time.monotonic() + GRACE
        for one in self.running:
            one.process.join(max(0.0, deadline - time.monotonic()))
            one.process.kill()
            one.process.join()

    def _fill(self) -> None:
        """Start processes while there is room for them and cells whose time has come."""
        for _ in range(len(self.waiting)):
            if len(self.running) >= self.executor.most:
                return
            not_before, job = self.waiting[0]
            if time.monotonic() < not_before:
                self.waiting.rotate(-1)
                continue
            if not self._fits(job):
                return  # nor may a smaller one overtake it: it might wait forever
            gpu = self.gpus.take() if _takes_slot(job) else None
            if gpu is None and _takes_slot(job) and self.gpus.runs:
                return
            self.waiting.popleft()
            self.running.append(self._start(job, gpu))
            self.on_event(Event(job, "started"))

    def _fits(self, job: Job) -> bool:
        """Whether memory is free for the job; the first time that it is not, this is told."""
        if not self.running:
            return True
        lacking = self.memory.lacking(job, [one.job for one in self.running])
        if lacking and self.short_of_memory is not job:
            self.short_of_memory = job
            self.on_event(Event(job, "waiting", detail=lacking))
        return not lacking

    def _start(self, job: Job, gpu: str | None) -> Running:
        # A run that is killed before it begins would seem to have failed as it did before.
        RunFolder(job.folder).forget_failure()
        receiving, sending = CONTEXT.Pipe(duplex=False)
        for last in (False, True):
            # A server that was killed since the last start is replaced by one that preloads.
            start_server()
            process = CONTEXT.Process(target=work, args=(job, sending, gpu, self.executor.nice))
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
        limit = self.executor.timeout
        deadline = float("inf") if limit is None else time.monotonic() + limit
        return Running(job, process, receiving, gpu, deadline)

    def _end_late(self) -> None:
        """Ask runs that are over their time to end, and kill those that do not."""
        now = time.monotonic()
        for one in self.running:
            if now < one.deadline:
                continue
            if one.late:
                one.process.kill()
            else:
                one.process.terminate()
                one.late, one.deadline = True, now + GRACE

    def _listen(self, one: Running) -> None:
        try:
            while one.channel.poll():
                progress = one.channel.recv()
                if progress.metric is not None:  # trained and evaluated: the peak was there
                    self.memory.settle(one.job)
                self.on_event(Event(one.job, "progress", progress))
        except (EOFError, OSError):
            # The process has closed its end; without a pause the wait would return at once.
            one.process.join(timeout=RETRY_AFTER)

    def _end(self, one: Running) -> None:
        one.process.join()
        one.channel.close()
        if one.gpu is not None:
            self.gpus.give_back(one.gpu)
        folder, code = RunFolder(one.job.folder), one.process.exitcode
        if code == -signal.SIGKILL or folder.outcome() is not None:
            self.memory.settle(one.job)  # one that failed may have done so before its peak
        self.memory.forget(one.job)
        if code == BUSY or (code == SERVER_LOST and folder.is_locked()):
            self.waiting.append((time.monotonic() + RETRY_AFTER, one.job))
            detail = HELD if code == BUSY else "it goes on without the server that started it"
            self.on_event(Event(one.job, "waiting", detail=detail))
            return
        if folder.outcome() is None:
            if one.late and self.executor.timeout is not None:
                folder.fail(timed_out(self.executor.timeout))
            elif folder.failure() is None:
                folder.fail(_cause(code))
        self.on_event(Event(one.job, "ended"))


def _takes_slot(job: Job) -> bool:
    """Whether the run trains on whichever GPU it is given."""
    return job.device == "cuda"


def _cause(exitcode: int | None) -> str:
    """Why a process ended that could not say so itself."""
    if exitcode is None or exitcode >= 0:
        return f"the process ended with exit code {exitcode} and left no result"
    name = signal.Signals(-exitcode).name
    hint = " (the system does this when memory runs out)" if -exitcode == signal.SIGKILL else ""
    return f"the process was killed by {name}{hint}"
