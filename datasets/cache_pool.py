"""A function over many items in several processes: results in order, few of them in memory."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection, parent_process
from typing import Any, TypeVar

from datasets.sample import DatasetError

ITEMS = 16
"""Items that a process is handed at once."""
AHEAD = 3
"""Portions in work or waiting to be taken, for each process."""

T = TypeVar("T")
R = TypeVar("R")

_function: Callable[[Any], Any]
"""In a worker process: what to do with each item."""


@contextmanager
def map_in_order(
    function: Callable[[T], R], items: Sequence[T], processes: int
) -> Iterator[Iterator[R]]:
    """Apply a function to all items; the first error in the order of the items is raised.

    Args:
        function: with more than one process it is pickled, once for each of them.
        items: what it is applied to.
        processes: how many; 1 does it in this one.

    Raises:
        DatasetError: a process died.
    """
    if processes == 1:
        yield map(function, items)
        return
    # Fresh processes: a fork would copy locks that threads of this one (OpenCV's, torch's) hold.
    pool = ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), _start_worker, (function,)
    )
    try:
        yield _results(pool, items, processes * AHEAD)
    except BrokenProcessPool as error:
        raise DatasetError(
            "a process that decodes samples died; did the machine run out of memory?"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _results(pool: ProcessPoolExecutor, items: Sequence[T], limit: int) -> Iterator[Any]:
    waiting: deque[Future[list[Any]]] = deque()
    for start in range(0, len(items), ITEMS):
        if len(waiting) == limit:
            yield from waiting.popleft().result()
        waiting.append(pool.submit(_portion, items[start : start + ITEMS]))
    while waiting:
        yield from waiting.popleft().result()


def _portion(items: Sequence[Any]) -> list[Any]:
    return [_function(item) for item in items]


def _start_worker(function: Callable[[Any], Any]) -> None:
    """Keep the function, leave Ctrl-C to the parent, and end when the parent does."""
    global _function
    _function = function
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None
    threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    """A parent that is killed closes nothing, and its workers would wait for it for ever."""
    connection.wait([sentinel])
    os._exit(1)
