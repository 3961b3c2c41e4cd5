"""What is shown while work goes on: a grid's runs, on a terminal and in a log, and warnings."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from benchmark.executors import Event
from benchmark.runner import PlannedCell
from benchmark.standing import Standing
from benchmark.store import RunFolder
from benchmark.tasks import TASKS


class GridDisplay:
    """Shows runs done / total, time left, the runs at work, and how the losses stand.

    On a terminal this is one live panel; elsewhere one line is printed for each run that ends.

    Args:
        console: where to draw.
        todo: the cells that will be trained.
        earlier: cells of the same phase that had ended before.
        workers: runs at a time.
        title: what is going on, such as "tuning".
    """

    def __init__(
        self,
        console: Console,
        todo: list[PlannedCell],
        earlier: list[PlannedCell],
        workers: int,
        title: str = "training",
    ) -> None:
        self.console = console
        self.costs = {planned.folder.path: planned.cost for planned in todo}
        self.fractions = dict.fromkeys(self.costs, 0.0)
        self.resumed = dict.fromkeys(self.costs, 0.0)
        self.active: dict[Path, Event] = {}
        self.metrics: dict[Path, float] = {}
        self.standing = Standing(todo, earlier)
        self.total = len(todo) + len(earlier)
        self.ended = len(earlier)
        self.failed = 0
        self.workers = workers
        self.started = time.monotonic()
        self.bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("runs"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
        )
        self.task: TaskID = self.bar.add_task(
            title, total=self.total, completed=self.ended, left=""
        )
        self.live = Live(get_renderable=self._render, console=console, refresh_per_second=4)

    def __enter__(self) -> GridDisplay:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.console.is_terminal:
            self.live.stop()

    def __call__(self, event: Event) -> None:
        folder = event.job.folder
        if event.kind == "progress" and event.progress is not None:
            if folder not in self.active or self.active[folder].progress is None:
                # A run that continues from a checkpoint starts with work done earlier.
                first = event.progress
                self.resumed[folder] = max(0.0, (first.epoch - 1) / first.epochs)
            self.fractions[folder] = event.progress.fraction
            if event.progress.metric is not None:  # stays on show until the next evaluation
                self.metrics[folder] = event.progress.metric
            self.active[folder] = event
        elif event.kind == "started":
            self.active[folder] = event
        else:
            self.active.pop(folder, None)
            if event.kind == "ended":
                self._end(folder)

    def _end(self, folder: Path) -> None:
        self.ended += 1
        self.fractions[folder] = 1.0
        self.standing.end(folder)
        run = RunFolder(folder)
        status = run.status()
        self.failed += status == "failed"
        self.bar.update(self.task, completed=self.ended)
        if status == "failed":
            reason = (run.failure() or {}).get("error", "")
            text = escape(f"{folder.name}: {reason}")
            self.console.print(f"[red]failed[/] {text}", highlight=False, soft_wrap=True)
        elif status == "diverged":
            text = f"[yellow]diverged[/] {escape(folder.name)}"
            self.console.print(text, highlight=False, soft_wrap=True)
        elif not self.console.is_terminal:
            outcome = run.outcome() or {}
            primary = TASKS[run.config().task].primary
            value = (outcome.get("metrics") or {}).get(primary)
            shown = "" if value is None else f" {primary} {100 * value:.1f} %"
            seconds = outcome.get("seconds") or 0.0
            self.console.print(
                f"{self.ended}/{self.total} {escape(folder.name)}{shown}, {seconds:.0f} s;"
                f" {self._left() or 'last one'}",
                highlight=False,
                soft_wrap=True,
            )

    def _left(self) -> str:
        """Time left, from the pixels trained so far; empty until there is something to go by."""
        done = sum((self.fractions[f] - self.resumed[f]) * cost for f, cost in self.costs.items())
        rest = sum((1 - self.fractions[f]) * cost for f, cost in self.costs.items())
        elapsed = time.monotonic() - self.started
        if done <= 0 or rest <= 0 or elapsed < 2:
            return ""
        return f"about {_duration(elapsed * rest / done)} left"

    def _render(self) -> Group:
        self.bar.update(self.task, left=self._left())
        height, width = self.console.height, self.console.width
        active = [self._active_runs()] if self.active else []
        # One line for the bar, the active runs with their heading, and one that stays free.
        room = height - 2 - (len(self.active) + 1 if active else 0)
        standing = [self.standing.table(room, width)] if room >= 3 else []
        return Group(self.bar, *active, *standing)

    def _active_runs(self) -> Table:
        """One row for each run at work."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for column in ("run", "epoch", "loss", "validation"):
            table.add_column(column, justify="left" if column == "run" else "right")
        for folder, event in self.active.items():
            cell, progress = event.job.cell, event.progress
            name = escape(
                f"{cell.dataset.label} / {cell.loss.label} / repetition {cell.repetition}"
            )
            if progress is None:
                table.add_row(name, "starting", "", "")
                continue
            loss = "" if progress.loss is None else f"{progress.loss:.3f}"
            metric = ""
            if folder in self.metrics:
                metric = f"{TASKS[cell.task].primary} {100 * self.metrics[folder]:.1f} %"
            table.add_row(name, f"{progress.epoch}/{progress.epochs}", loss, metric)
        return table


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest:02d} s"


@contextmanager
def shown_warnings(console: Console) -> Iterator[None]:
    """Print warnings (dropped boxes, a rebuilt cache) as lines instead of Python's format."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for text in dict.fromkeys(str(w.message) for w in caught if w.category is UserWarning):
        console.print(f"[yellow]warning:[/] {escape(text)}", soft_wrap=True)
