"""How fast the harness itself is, as ratios measured side by side in one run.

- Throughput of a whole cell (data, augmentation, logging, evaluation) beside the bare
  forward/backward/step loop of the same model on one resident batch.
- Time of a grid's cells one at a time beside the same cells on two workers.
- Cost of starting a run, beside a fresh interpreter that imports the same modules.
- Memory of a worker.
"""

from __future__ import annotations

import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from rich.console import Console
from rich.table import Table

from benchmark.bench.processes import INTERVAL
from benchmark.bench.timing import wait
from benchmark.console.display import shown_warnings
from benchmark.executors import Job
from benchmark.executors.local import LocalExecutor
from benchmark.executors.server import PRELOAD
from benchmark.experiment.cell import CellConfig
from benchmark.experiment.config import Experiment
from benchmark.options import UserError
from benchmark.runner import Grid, PlannedCell, make_jobs, plan_grid
from benchmark.store import RunFolder
from benchmark.training.loading import EpochBatches, training_batches
from benchmark.training.loop import train_cell
from benchmark.training.optimization import make_optimizer
from benchmark.training.state import build_model, make_task
from datasets.cache import open_cached

ROUNDS = 3
"""Repetitions of every measurement; the median is printed."""
STARTS = 10
"""Processes started to time one start."""


@dataclass(frozen=True)
class Timing:
    """Two things measured in turn, so that both saw the same machine.

    Attributes:
        name: what is compared.
        ours: median of the first.
        other: median of the second.
        ratio: median of the ratios of the single rounds.
        unit: of the first two.
    """

    name: str
    ours: float
    other: float
    ratio: float
    unit: str


def bench(console: Console, experiment: Experiment, epochs: int | None, cache: Path | None) -> None:
    """Measure everything on the first cell of each task of an experiment and print a table.

    Args:
        epochs: of each timed run; None for as many as the experiment says, which alone gives
            evaluation its true share.
    """
    with tempfile.TemporaryDirectory(prefix="lossbench-") as temporary:
        folder = Path(temporary)
        grid = _short_grid(experiment, epochs, folder)
        with shown_warnings(console):
            jobs = make_jobs(grid, grid.cells, cache or folder / "cache", "cpu", 1, 0)
        first = {job.cell.task: job for job in reversed(jobs)}
        timings = []
        with console.status("measuring"):
            for task, job in first.items():
                timings.append(_paired(f"{task}: whole cell / bare loop", "images/s", *_rates(job)))
            timings.append(_paired("1 worker / 2 workers", "s", *_grids(jobs, folder)))
            start, fresh = _start_seconds(), _fresh_import_seconds()
            timings.append(
                Timing("start of a run / fresh import", start, fresh, start / fresh, "s")
            )
            memory = _worker_memory(jobs[0], folder)
    table = Table("measured", "first", "second", "unit", "first / second", box=None)
    for t in timings:
        table.add_row(t.name, f"{t.ours:.3g}", f"{t.other:.3g}", t.unit, f"{t.ratio:.2f}")
    console.print(table)
    console.print(
        f"memory of a worker: {memory[0]:.0f} MB resident, {memory[1]:.0f} MB of them its own"
    )
    console.print(
        f"median of {ROUNDS} rounds, 1 thread a run, {psutil.cpu_count()} cores; the two sides of "
        "a line took turns"
    )


def _short_grid(experiment: Experiment, epochs: int | None, folder: Path) -> Grid:
    """The experiment's cells of one repetition, with so many epochs if a number is given."""
    grid = plan_grid(experiment, folder)
    cells = []
    for planned in grid.cells:
        cell = planned.cell
        if cell.repetition:
            continue
        chosen = epochs or cell.train.epochs
        short = cell.model_copy(update={"train": cell.train.model_copy(update={"epochs": chosen})})
        steps = planned.steps // cell.train.epochs * chosen
        cells.append(PlannedCell(short, grid.store.run_folder(short), steps))
    return Grid(grid.experiment, grid.store, cells, grid.datasets, [])


def _paired(
    name: str, unit: str, first: Callable[[], float], second: Callable[[], float]
) -> Timing:
    """Measure both in turn, :data:`ROUNDS` times."""
    pairs = [(first(), second()) for _ in range(ROUNDS)]
    return Timing(
        name,
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(a / b for a, b in pairs),
        unit,
    )


def _rates(job: Job) -> tuple[Callable[[], float], Callable[[], float]]:
    """Training images per second of a whole cell, and of the bare loop."""
    torch.set_num_threads(1)
    splits = {name: open_cached(path) for name, path in job.splits.items()}
    device = torch.device("cpu")

    def whole() -> float:
        batches = len(training_batches(job.cell, splits["train"]))
        train = job.cell.train
        with tempfile.TemporaryDirectory() as temporary:
            started = time.perf_counter()
            train_cell(job.cell, splits, RunFolder(Path(temporary)), device)
            return train.epochs * batches * train.batch_size / (time.perf_counter() - started)

    def bare() -> float:
        return bare_rate(job.cell, job.splits["train"], device)

    return whole, bare


def bare_rate(cell: CellConfig, train_folder: Path, device: torch.device) -> float:
    """Images per second of forward, backward and step alone, on one batch held in memory."""
    split = open_cached(train_folder)
    task = make_task(cell, split.classes)
    model = build_model(cell, len(task.classes), device).train()
    optimizer = make_optimizer(model, cell.train)
    loader = training_batches(cell, split)
    assert isinstance(loader.batch_sampler, EpochBatches)
    batch = next(iter(loader)).to(device)
    steps = cell.train.epochs * len(loader.batch_sampler)
    started = 0.0
    for step in range(-2, steps):  # two steps to warm up
        if step == 0:
            wait(device)
            started = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(task.parts(model, batch).values())).sum().backward()
        optimizer.step()
    wait(device)
    return steps * len(batch.images) / (time.perf_counter() - started)


def _grids(jobs: list[Job], folder: Path) -> tuple[Callable[[], float], Callable[[], float]]:
    """Seconds of the first two cells on one worker, and on two."""
    chosen = jobs[:2]

    def seconds(workers: int) -> float:
        started = time.perf_counter()
        for job in chosen:
            RunFolder(job.folder).clear()
        LocalExecutor(workers).run(chosen, lambda event: None)
        seconds = time.perf_counter() - started
        for job in chosen:
            if RunFolder(job.folder).outcome() is None:
                raise UserError(f"a run failed: {(RunFolder(job.folder).failure() or {})['error']}")
        return seconds

    LocalExecutor(1).run(chosen[:1], lambda event: None)  # starts the server, decodes nothing
    return lambda: seconds(1), lambda: seconds(2)


def _nothing() -> None:
    """What a process does whose start is timed."""


def _start_seconds() -> float:
    """Seconds to start and end a process of the preloaded server."""
    LocalExecutor(1).prepare()
    context = multiprocessing.get_context("forkserver")
    times = []
    for _ in range(STARTS + 1):
        started = time.perf_counter()
        process = context.Process(target=_nothing)
        process.start()
        process.join()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])  # the first pays for what is done once


def _fresh_import_seconds() -> float:
    """Seconds for a new interpreter to import what a run needs."""
    code = "import " + ", ".join(PRELOAD)
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    return time.perf_counter() - started


def _worker_memory(job: Job, folder: Path) -> tuple[float, float]:
    """Resident memory (MB) of a process that trains one cell, and what it shares with none.

    Both are peaks of their own: the two numbers of a process that just ends are not of one moment.
    """
    RunFolder(job.folder).clear()
    resident, own = 0.0, 0.0
    done = threading.Event()

    def train() -> None:
        try:
            LocalExecutor(1).run([job], lambda event: None)
        finally:
            done.set()

    thread = threading.Thread(target=train)
    thread.start()
    while not done.wait(INTERVAL):
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                memory = child.memory_full_info()
                if _trains(child):
                    resident = max(resident, memory.rss / 2**20)
                    own = max(own, memory.uss / 2**20)
    thread.join()
    return resident, own


def _trains(process: psutil.Process) -> bool:
    """Whether a child is a worker; the server forks those, so their parent is not this process."""
    parent = process.parent()
    return parent is not None and parent.pid != psutil.Process().pid
