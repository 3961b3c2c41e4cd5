"""What :mod:`benchmark.bench.scale` measures, and how to tell its growth."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MB = 1e6


@dataclass(frozen=True)
class Measurement:
    """One command on one folder.

    Attributes:
        cells: runs in the folder.
        step: what was run, of :data:`benchmark.bench.scale.STEPS`.
        seconds: as :class:`benchmark.bench.processes.Usage`, like ``cpu_seconds``.
        peak_mb: most resident memory, in 10^6 bytes.
    """

    cells: int
    step: str
    seconds: float
    cpu_seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Weight:
    """What a folder of runs weighs on a file system.

    Attributes:
        cells: runs in it.
        files: of the runs.
        folders: of the runs.
        content_mb: sum of the files' lengths, in 10^6 bytes.
        disk_mb: what they take where they lie, in whole blocks.
        page_mb: length of ``report.html``; NaN before it is written.
        report_mb: of all other files of the report.
    """

    cells: int
    files: int
    folders: int
    content_mb: float
    disk_mb: float
    page_mb: float
    report_mb: float


def weigh(folder: Path, cells: int) -> Weight:
    """Count the files of a results folder, its runs' and its report's."""
    runs = [Path(top) for top, _, _ in os.walk(folder / "runs")][1:]
    files = [entry.stat() for run in runs for entry in os.scandir(run) if entry.is_file()]
    page = folder / "report.html"
    beside = [
        path.stat().st_size
        for name in ("tables", "charts", "report.json")
        for path in [folder / name, *(folder / name).glob("*")]
        if path.is_file()
    ]
    return Weight(
        cells,
        len(files),
        len(runs),
        sum(one.st_size for one in files) / MB,
        sum(one.st_blocks * 512 for one in files) / MB,
        page.stat().st_size / MB if page.exists() else math.nan,
        sum(beside) / MB,
    )


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The power ``k`` of ``value = start + b * size^k`` through the last three points.

    What every size costs alike, such as loading the program, is in ``start`` and does not make
    the growth look smaller than it is.

    Args:
        sizes: at least three, each the same factor above the one before.
        values: what was measured at each.

    Returns:
        1 for values on a straight line; NaN for fewer than three or where they do not rise.
    """
    if len(sizes) < 3:
        return math.nan
    first, second, third = values[-3:]
    ratio = sizes[-1] / sizes[-2]
    if second <= first or third <= second:
        return math.nan
    return math.log((third - second) / (second - first)) / math.log(ratio)
