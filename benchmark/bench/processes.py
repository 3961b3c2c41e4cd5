"""What a command costs: its time and memory, measured in a process of its own."""

from __future__ import annotations

import resource
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from benchmark.options import UserError

INTERVAL = 0.02
"""Seconds between two looks at the memory."""


@dataclass(frozen=True)
class Usage:
    """What a process and those it started took.

    Attributes:
        seconds: from its start to its end.
        cpu_seconds: of computation, on whatever cores; other programs on the machine change it
            less than ``seconds``.
        peak_bytes: most resident memory, summed over the processes; what they share is counted
            for each.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def measure(words: Sequence[str], what: str) -> Usage:
    """Run a command to its end.

    Args:
        words: the program and its arguments.
        what: what the command is called, should it fail.

    Raises:
        UserError: it ended with another exit code than 0; the message has what it said.
    """
    before, started = _cpu(), time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = psutil.Popen(list(words), stdout=subprocess.DEVNULL, stderr=said)
        peak = 0
        while process.poll() is None:
            peak = max(peak, _resident(process))
            time.sleep(INTERVAL)
        seconds = time.perf_counter() - started
        if process.returncode:
            said.seek(0)
            raise UserError(f"{what} failed:\n{said.read().strip()}")
    return Usage(seconds, _cpu() - before, peak)


def _cpu() -> float:
    """Seconds that the ended children of this process, and theirs, have computed so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _resident(process: psutil.Process) -> int:
    """Bytes of a process and all below it."""
    total = 0
    with suppress(psutil.NoSuchProcess):  # ended meanwhile
        for one in [*process.children(recursive=True), process]:
            with suppress(psutil.NoSuchProcess):  # only that one has; the others count
                total += one.memory_info().rss
    return total
