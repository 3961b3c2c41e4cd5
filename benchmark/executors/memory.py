"""The memory guard: whether one more run would fit into this machine's main memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from benchmark.executors.base import Job
from benchmark.experiment.quantities import shown_bytes

AT_FIRST = 2**30
"""Bytes that a run is taken to need before any was measured: twice what a small one does."""

LOOK_EVERY = 1.0
"""Seconds between two looks at what the runs hold; one takes some milliseconds a run."""


def available_memory(
    own: Path = Path("/proc/self/cgroup"), groups: Path = Path("/sys/fs/cgroup")
) -> int:
    """Bytes that new processes could take without swapping.

    That is what the system has available, or less where a control group limits this process, as
    containers and cluster schedulers do.

    Args:
        own: file that names this process's control groups.
        groups: folder where these are mounted.
    """
    free = [int(psutil.virtual_memory().available)]
    for folder, limit, used, files in _groups(own, groups):
        with suppress(OSError, ValueError):  # "max", or not there: no limit
            most = int((folder / limit).read_text())
            held = int((folder / used).read_text())
            free.append(most - held + _file_pages(folder / "memory.stat", files))
    return max(0, min(free))


def _groups(own: Path, mounted: Path) -> list[tuple[Path, str, str, tuple[str, ...]]]:
    """Folders of this process's control groups with those above them, and their files.

    Of each the names of the files with the limit and the use, and the lines of ``memory.stat``
    that count pages of files, which the system takes back when it needs them.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    found: list[tuple[Path, str, str, tuple[str, ...]]] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        top, names = mounted, ("memory.max", "memory.current", ("active_file ", "inactive_file "))
        if controllers:  # version 1, which has a tree for each controller
            if "memory" not in controllers.split(","):
                continue
            top = mounted / "memory"
            totals = ("total_active_file ", "total_inactive_file ")
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", totals)
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(top):
                found.append((folder, *names))
    return found


def _file_pages(stat: Path, names: tuple[str, ...]) -> int:
    try:
        lines = stat.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(names))


def private_memory(pid: int) -> int:
    """Bytes that a process and its children hold alone; 0 when it is gone."""
    held = 0
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                held += int(one.memory_full_info().uss)
    return held


class MemoryGuard:
    """Estimates what a run will take from those before it.

    Args:
        given: bytes of every run; None to measure.
        available: tells how many bytes are free.
        held_by: bytes that the process with an id holds.
    """

    def __init__(
        self,
        given: int | None,
        available: Callable[[], int] = available_memory,
        held_by: Callable[[int], int] = private_memory,
    ) -> None:
        self.given, self.available, self.held_by = given, available, held_by
        self.known: dict[Any, int] = {}
        self.held: dict[Path, int] = {}
        self.peaks: dict[Path, int] = {}
        self.next = 0.0

    def look(self, running: Mapping[Path, int]) -> None:
        """Measure the runs at work: run folder -> process id."""
        if time.monotonic() < self.next:
            return
        self.held = {folder: self.held_by(pid) for folder, pid in running.items()}
        for folder, held in self.held.items():
            self.peaks[folder] = max(held, self.peaks.get(folder, 0))
        self.next = time.monotonic() + LOOK_EVERY

    def settle(self, job: Job) -> None:
        """The job has gone through all that a run does, or has ended: its peak is known."""
        kind = _kind(job)
        self.known[kind] = max(self.known.get(kind, 0), self.peaks.get(job.folder, 0))

    def forget(self, job: Job) -> None:
        """The job's process is gone."""
        self.held.pop(job.folder, None)
        self.peaks.pop(job.folder, None)

    def estimate(self, job: Job) -> int:
        """Bytes that a run of the job will take at most, as far as is known."""
        if self.given is not None:
            return self.given
        found = self.known.get(_kind(job)) or max(self.known.values(), default=0)
        return found or AT_FIRST

    def lacking(self, job: Job, running: list[Job]) -> str:
        """Why the job must wait beside those running, or an empty text if it fits."""
        grow = (self.estimate(one) - self.held.get(one.folder, 0) for one in running)
        free = self.available() - sum(max(0, more) for more in grow)
        needed = self.estimate(job)
        if free >= needed:
            return ""
        return f"a run takes about {shown_bytes(needed)} of memory, and less is free"


def _kind(job: Job) -> tuple[Any, ...]:
    """What runs have in common that take the same memory."""
    cell, train = job.cell, job.cell.train
    return (
        cell.model.label,
        cell.dataset.label,
        tuple(train.image_size),
        train.batch_size,
        job.loader_workers,
    )
