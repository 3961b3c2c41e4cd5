"""The processes that share the blocks of an experiment, and the memory that they hold."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, parent_process

import psutil
import torch

from benchmark.executors.server import start_server


@contextmanager
def processes(count: int) -> Iterator[ProcessPoolExecutor | None]:
    """A pool of ``count`` processes with one thread each; None for one, which needs no pool.

    On Ctrl-C the blocks at work are finished, the others dropped, and no process is left.
    """
    if count == 1:
        yield None
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "benchmark.simulation.experiment"])
    start_server()
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_begin)
    try:
        pool.submit(os.getpid).result()  # has the server import torch now, not in timed work
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass
class MemoryWatch:
    """The most memory that this process and its children were seen to hold together.

    Attributes:
        peak: bytes; pages that several processes share count once (outside Linux: not at all).
    """

    peak: int = 0
    _next: float = 0.0

    def look(self) -> None:
        """Take a look, at most one a second: it takes some milliseconds a process."""
        if time.monotonic() < self._next:
            return
        here = psutil.Process()
        held = 0
        for process in (here, *here.children(recursive=True)):
            with suppress(psutil.Error):
                memory = process.memory_full_info()
                held += getattr(memory, "pss", memory.uss)
        self.peak = max(self.peak, held)
        self._next = time.monotonic() + 1


def _begin() -> None:
    """Prepare a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends us
    torch.set_num_threads(1)
    parent = parent_process()
    assert parent is not None
    threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    """End this process when the one that started it is gone."""
    connection.wait([sentinel])
    os._exit(1)
