"""How the commands on a results folder grow with the number of its runs, up to 10,000."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmark.bench.processes import measure
from benchmark.bench.scale_page import render
from benchmark.bench.scale_rows import MB, Measurement, Weight, weigh
from benchmark.bench.synthetic import Content, build_store
from benchmark.environment import describe
from benchmark.options import UserError
from benchmark.store import write_text

ROOT = Path(__file__).parents[2]
RUN = str(ROOT / "run.py")
LABELS = tuple(f"loss {letter}" for letter in "ABCDEFGHIJ")
SETS = ("one", "two", "three", "four", "five")
EPOCHS = 50
SIZES = {
    100: Content(LABELS, repetitions=5, epochs=EPOCHS, broken=False),
    1_000: Content(LABELS, repetitions=10, datasets=SETS, epochs=EPOCHS, broken=False),
    10_000: Content(LABELS, repetitions=20, datasets=SETS, models=5, epochs=EPOCHS, broken=False),
}
"""Runs -> what the folder holds: ten times as many runs are five times as many tables of twice as
many repetitions."""
COLLECT = (
    "import sys; sys.path.insert(0, {root!r}); from pathlib import Path; "
    "from benchmark.collecting import report_data; from benchmark.store import Store; "
    "report_data(Store(Path({folder!r})))"
)


def _run(folder: Path, *options: str) -> list[str]:
    experiment = str(folder / "experiment.yaml")
    return [RUN, "run", experiment, "--results", str(folder.parent), "--device", "cpu", *options]


def _report(part: str) -> Callable[[Path], list[str]]:
    return lambda folder: [RUN, "report", str(folder), "--only", part]


STEPS: dict[str, Callable[[Path], list[str]]] = {
    "plan": lambda folder: _run(folder, "--dry-run"),
    "status": lambda folder: [RUN, "status", str(folder)],
    "collect": lambda folder: ["-c", COLLECT.format(root=str(ROOT), folder=str(folder))],
    "report: tables": _report("tables"),
    "report: page": _report("page"),
    "run": _run,
}
"""What is measured -> arguments for Python. ``run`` finds nothing to do and writes the whole
report, charts and JSON included."""


def sizes_up_to(cells: int) -> list[int]:
    """The sizes to measure, the largest last.

    Raises:
        UserError: ``cells`` is none of :data:`SIZES`.
    """
    if cells not in SIZES:
        raise UserError(f"--cells: must be one of {', '.join(map(str, SIZES))}, got {cells}")
    return [size for size in SIZES if size <= cells]


def bench(console: Console, sizes: Sequence[int], out: Path, command: str) -> None:
    """Build a folder of each size, run every command on it, write README.md and CSVs to ``out``.

    Args:
        sizes: of :data:`SIZES`.
        command: the command line that asked for it, as the page shows it.

    Raises:
        UserError: a command failed.
    """
    found: list[Measurement] = []
    weights: list[Weight] = []
    environment = describe(torch.device("cpu"))
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="lossbench-") as temporary:
            folder = Path(temporary) / f"runs{size}"
            with console.status(f"building {size:,} runs"):
                build_store(folder, SIZES[size])
            for step, words in STEPS.items():
                with console.status(f"{size:,} runs: {step}"):
                    used = measure([sys.executable, *words(folder)], step)
                cost = used.seconds, used.cpu_seconds, used.peak_bytes / MB
                found.append(Measurement(size, step, *cost))
            weights.append(weigh(folder, size))
        # After each size: the largest takes long, and the others are worth having without it.
        write_text(out / "scale.csv", _csv(found))
        write_text(out / "store.csv", _csv(weights))
        write_text(out / "README.md", render(found, weights, SIZES, environment, command))
    console.print(_table(found))
    console.print(f"written to {out}")


def _csv(rows: Sequence[Measurement] | Sequence[Weight]) -> str:
    return pd.DataFrame([asdict(row) for row in rows]).to_csv(index=False, float_format="%.4g")


def _table(found: Sequence[Measurement]) -> Table:
    table = Table("runs", "step", "seconds", "CPU seconds", "peak MB", box=SIMPLE_HEAD)
    for one in found:
        numbers = f"{one.seconds:.1f}", f"{one.cpu_seconds:.1f}", f"{one.peak_mb:,.0f}"
        table.add_row(f"{one.cells:,}", one.step, *numbers)
    return table
