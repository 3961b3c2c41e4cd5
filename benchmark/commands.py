"""What the commands of :mod:`benchmark.cli` do, once their arguments are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, TaskID
from rich.table import Table

from benchmark import runner
from benchmark.console.display import GridDisplay, shown_warnings
from benchmark.console.status import print_status
from benchmark.damage import set_damaged_aside
from benchmark.executors import Executor
from benchmark.experiment.cell import CellConfig
from benchmark.experiment.config import Experiment
from benchmark.experiment.grid import plan
from benchmark.experiment.tuning import table_of
from benchmark.options import UserError, suggest
from benchmark.reporting import Choices, write_report
from benchmark.reproduction.data_check import check_data
from benchmark.runner import (
    Grid,
    PlannedCell,
    make_jobs,
    open_dataset,
    prepare_splits,
    unfinished,
)
from benchmark.seeding import stream_seed
from benchmark.store.at_work import at_work
from datasets import SPLITS
from datasets.augment import Augment, Augmentation
from datasets.cache import open_cached


def print_plan(console: Console, grid: Grid) -> None:
    """The cells of a grid with their steps and state; nothing is trained."""
    table = Table("cell", "steps", "status", box=None, pad_edge=False)
    table.columns[0].overflow = "fold"  # names of folders: whole on any terminal
    table.columns[1].justify = "right"
    table.columns[1].no_wrap = table.columns[2].no_wrap = True
    known = grid.with_chosen_settings().cells
    settled = {_row(one.cell) for one in known}
    waiting = [one for one in grid.cells if _row(one.cell) not in settled]
    for planned in [*grid.tuning, *known]:
        name, status = planned.folder.path.name, planned.folder.status()
        table.add_row(escape(name), f"{planned.steps:,}", status)
    for planned in waiting:
        # Its folder is named when its setting is known.
        name = planned.folder.path.name.rpartition("-")[0]
        table.add_row(escape(name), f"{planned.steps:,}", "after its tuning")
    console.print(table)
    cells = [*grid.tuning, *known, *waiting]
    steps = sum(planned.steps for planned in cells)
    todo = sum(planned.steps for planned in [*unfinished([*grid.tuning, *known]), *waiting])
    tuning = f" ({len(grid.tuning)} of them tuning)" if grid.tuning else ""
    console.print(f"{len(cells)} cells{tuning}, about {steps:,} steps, {todo:,} of them to do")


def _row(cell: CellConfig) -> tuple[object, ...]:
    return table_of(cell), cell.loss.label, cell.repetition


@dataclass(frozen=True)
class Machine:
    """How the runs of a grid are executed.

    Attributes:
        executor: what trains them.
        device: as torch names it.
        threads: CPU threads of a run.
        loaders: processes that load the samples of a run.
        cache: folder of the decoded images.
        fresh: forget what earlier runs left.
    """

    executor: Executor
    device: str
    threads: int
    loaders: int
    cache: Path
    fresh: bool


def pick_device(executor: Executor, asked: str) -> str:
    """The device that the runs train on, as torch names it.

    This machine's devices decide where its own executor is asked for; elsewhere runs are on GPUs
    if each takes (part of) one.

    Raises:
        UserError: what the runs take and the device they are to be on do not fit together.
    """
    on_gpu = executor.resources.gpu > 0
    if executor.here:
        device = runner.pick_device(asked)
        if on_gpu and device == "cpu":
            raise UserError(
                "--gpus-per-run (executor.resources.gpu): the runs are on the CPU, since "
                f"--device is {asked}" + (" and torch sees no GPU" if asked == "auto" else "")
            )
        return device
    if asked == "cuda" and not on_gpu:
        raise UserError(
            "--device cuda: say how much of a GPU each run takes, such as --gpus-per-run 0.25 "
            "(executor.resources.gpu in the experiment file)"
        )
    return "cuda" if on_gpu and asked != "cpu" else "cpu"


def run_grid(console: Console, grid: Grid, machine: Machine, choices: Choices | None = None) -> int:
    """Tune where the experiment asks for it, train what is missing, then report.

    Args:
        choices: what the report consists of; by default all.

    Returns:
        The number of runs without a result; the final runs that wait for a tuning among them.
    """
    with at_work(grid.store.path):
        return _go_through(console, grid, machine, choices)


def _go_through(console: Console, grid: Grid, machine: Machine, choices: Choices | None) -> int:
    """See :func:`run_grid`."""
    planned = len(grid.cells)
    if grid.tuning:
        tuned = {table_of(one.cell) for one in grid.tuning}
        others = [one for one in grid.cells if table_of(one.cell) not in tuned]
        _write_experiment(replace(grid, cells=others))
        _train(console, grid, grid.tuning, machine, "tuning")
        if _left_running(console, grid, grid.tuning, machine):
            return 0
        grid = grid.with_chosen_settings()
    _write_experiment(grid)
    _train(console, grid, grid.cells, machine, "final" if grid.tuning else "")
    if _left_running(console, grid, grid.cells, machine):
        return 0
    missing = unfinished([*grid.tuning, *grid.cells])
    waiting = planned - len(grid.cells)
    if missing:
        console.print(f"[red]{len(missing)} run(s) without a result[/]; the reasons:")
        print_status(console, grid.store, only_failures=True)
    if waiting:
        console.print(f"[red]{waiting} final run(s) wait[/] for the tuning of their losses")
    write_report(console, grid.store, choices)
    return len(missing) + waiting


def _left_running(console: Console, grid: Grid, cells: list[PlannedCell], machine: Machine) -> bool:
    """Whether some of ``cells`` train on without this command; it then says how to go on."""
    left = len(unfinished(cells)) if machine.executor.leaves_runs() else 0
    if left:
        console.print(
            f"{left} run(s) were handed over and train without this command; "
            f"`status --watch {escape(str(grid.store.path))}` follows them, and `run` again, "
            "without --detach, waits for them and goes on",
            soft_wrap=True,
        )
    return left > 0


def _write_experiment(grid: Grid) -> None:
    cells = [planned.cell for planned in [*grid.tuning, *grid.cells]]
    grid.store.write_experiment(grid.experiment, cells)


def _train(
    console: Console, grid: Grid, cells: list[PlannedCell], machine: Machine, phase: str
) -> None:
    """Train those of ``cells`` that have not ended, all of them where asked to start afresh."""
    set_damaged_aside(console, cells)
    todo = cells if machine.fresh else unfinished(cells)
    ended = len(cells) - len(todo)
    name = f"{grid.experiment.name}, {phase}" if phase else grid.experiment.name
    console.print(
        f"[bold]{escape(name)}[/]: {len(cells)} runs, {ended} done before, {len(todo)} to do on "
        f"{machine.executor.places(len(todo))}, {machine.device}"
    )
    if not machine.fresh:
        with shown_warnings(console), Progress(console=console, transient=True) as bar:
            check_data(grid, cells, machine.cache, _decoding(bar))
    if not todo:
        return
    machine.executor.prepare()
    with shown_warnings(console), Progress(console=console, transient=True) as bar:
        jobs = make_jobs(
            grid,
            todo,
            machine.cache,
            machine.device,
            machine.threads,
            machine.loaders,
            _decoding(bar),
        )
    if machine.fresh:  # not before the data are known to be good
        _clear(cells)
    places = {planned.folder.path for planned in todo}
    earlier = [planned for planned in cells if planned.folder.path not in places]
    with GridDisplay(console, todo, earlier, phase or "training") as display:
        machine.executor.run(jobs, display)


def _clear(cells: list[PlannedCell]) -> None:
    for planned in cells:
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
    from benchmark.console.inspection import (  # loads seaborn, which others do not
        draw_sheet,
        statistics,
    )

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
