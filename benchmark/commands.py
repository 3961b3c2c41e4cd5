"""What the commands of :mod:`benchmark.cli` do, once their arguments are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, TaskID
from rich.table import Table

from benchmark.config import Experiment
from benchmark.display import GridDisplay, shown_warnings
from benchmark.executors.local import LocalExecutor
from benchmark.grid import plan
from benchmark.inspection import draw_sheet, statistics
from benchmark.options import UserError, suggest
from benchmark.reporting import write_report
from benchmark.runner import ENDED, Grid, make_jobs, open_dataset, prepare_splits
from benchmark.seeding import stream_seed
from benchmark.status import print_status
from datasets import SPLITS
from datasets.augment import Augment, Augmentation
from datasets.cache import open_cached


def print_plan(console: Console, grid: Grid) -> None:
    """The cells of a grid with their steps and state; nothing is trained."""
    table = Table("cell", "steps", "status", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for planned in grid.cells:
        table.add_row(planned.folder.path.name, f"{planned.steps:,}", planned.folder.status())
    console.print(table)
    steps = sum(planned.steps for planned in grid.cells)
    todo = sum(planned.steps for planned in grid.unfinished())
    console.print(f"{len(grid.cells)} cells, about {steps:,} steps, {todo:,} of them to do")


def run_grid(
    console: Console,
    grid: Grid,
    *,
    workers: int,
    device: str,
    threads: int,
    loaders: int,
    cache: Path,
    fresh: bool,
) -> int:
    """Train what is missing, then report; the number of cells without a result."""
    todo = grid.cells if fresh else grid.unfinished()
    ended = len(grid.cells) - len(todo)
    console.print(
        f"[bold]{grid.experiment.name}[/]: {len(grid.cells)} runs, {ended} done before, "
        f"{len(todo)} to do on {min(workers, max(1, len(todo)))} worker(s), {device}"
    )
    grid.store.write_experiment(grid.experiment, [planned.cell for planned in grid.cells])
    if todo:
        with shown_warnings(console), Progress(console=console, transient=True) as bar:
            jobs = make_jobs(grid, todo, cache, device, threads, loaders, _decoding(bar))
        if fresh:  # not before the data are known to be good
            _clear(grid)
        with GridDisplay(console, todo, ended, workers) as display:
            LocalExecutor(workers).run(jobs, display)
    missing = [planned for planned in grid.cells if planned.folder.status() not in ENDED]
    if missing:
        console.print(f"[red]{len(missing)} run(s) without a result[/]; the reasons:")
        print_status(console, grid.store, only_failures=True)
    write_report(console, grid.store, None)
    return len(missing)


def _clear(grid: Grid) -> None:
    for planned in grid.cells:
        with planned.folder.lock() as mine:
            if not mine:
                raise UserError(
                    f"--fresh: {planned.folder.path} is being trained by another run; stop it first"
                )
            planned.folder.clear()
            planned.folder.plan(planned.cell)


def _decoding(bar: Progress) -> Callable[[str, int, int], None]:
    """A callback that keeps one line of a progress bar for each split being decoded."""
    lines: dict[str, TaskID] = {}

    def tell(what: str, done: int, total: int) -> None:
        if what not in lines:
            lines[what] = bar.add_task(f"decoding {escape(what)}", total=total)
        bar.update(lines[what], completed=done)

    return tell


def inspect(
    console: Console,
    experiment: Experiment,
    label: str | None,
    split: str,
    out: Path,
    cache: Path,
) -> bool:
    """Print a data set's statistics and draw its sample sheet; False where files are bad.

    Args:
        label: which of the experiment's data sets; None for the first.
        split: ``train`` (shown as augmented), ``val`` or ``test``.
    """
    if split not in SPLITS:
        raise UserError(f"--split: must be one of {', '.join(SPLITS)}, got '{split}'")
    cells = {cell.dataset.label: cell for cell in reversed(plan(experiment))}
    if label is not None and label not in cells:
        raise UserError(
            f"--dataset: the experiment has no data set '{label}'{suggest(label, cells)}; "
            f"allowed: {', '.join(cells)}"
        )
    cell = cells[label] if label is not None else list(cells.values())[-1]
    dataset = open_dataset(cell.dataset)
    with console.status("reading every file"):
        problems = dataset.problems()
    for problem in problems:
        console.print(f"[yellow]problem:[/] {escape(problem)}")
    with shown_warnings(console), Progress(console=console, transient=True) as bar:
        folders = prepare_splits(dataset, cell.train.image_size, cache, _decoding(bar))
    cached = open_cached(folders[split])
    for title, frame in statistics(cached).items():
        console.print(f"[bold]{escape(cell.dataset.label)} {split}: {title}[/]")
        console.print(_as_table(frame))
    height, width = cell.train.image_size
    augmentation = Augmentation(Augment(**cell.train.augment), height, width)
    sheet = out / f"{cell.dataset.label}-{split}.png"
    out.mkdir(parents=True, exist_ok=True)
    seed = stream_seed(cell, "augmentation", 1)
    draw_sheet(cached, augmentation if split == "train" else None, seed, sheet)
    console.print(f"sample sheet: {sheet}")
    return not problems


def _as_table(frame: pd.DataFrame) -> Table:
    """A data frame with its row names, numbers to three digits."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column(str(frame.index.name or ""))
    for name in frame.columns:
        table.add_column(str(name), justify="right")
    for row in frame.itertuples():
        table.add_row(*(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row))
    return table
