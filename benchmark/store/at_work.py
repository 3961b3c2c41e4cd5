"""Whether a ``run`` is at work on a results folder, also while it trains no run."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = ".lock"


@contextmanager
def at_work(store: Path) -> Iterator[None]:
    """Be seen at work on a results folder; any number of processes can be.

    The operating system lets go of the lock when the process ends, however it ends.
    """
    store.mkdir(parents=True, exist_ok=True)
    with (store / LOCK).open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # waits for no more than a look of `is_at_work`
        yield


def is_at_work(store: Path) -> bool:
    """Whether some process is at work on a results folder right now; nothing is written."""
    lock = store / LOCK
    if not os.access(lock, os.W_OK):
        return False  # never begun, or a copy that nobody can be at work on
    with suppress(FileNotFoundError), lock.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
