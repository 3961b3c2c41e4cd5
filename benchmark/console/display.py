"""What is shown while work goes on: a grid's runs, on a terminal and in a log, and warnings."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
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
from rich.text import Text

from benchmark.console.standing import Standing
from benchmark.console.status import failure_of
from benchmark.executors import Event
from benchmark.experiment.quantities import shown_duration
from benchmark.runner import PlannedCell
from benchmark.store import RunFolder
from benchmark.tasks import TASKS

REASONS = 2
"""Lines at most on why runs wait."""


class GridDisplay:
    """Shows runs done / total, time left, the runs at work, and how the losses stand.

    On a terminal this is one live panel; elsewhere one line is printed for each run that ends.

    Args:
        console: where to draw.
        todo: the cells that will be trained.
        earlier: cells of the same phase that had ended before.
        title: what is going on, such as "tuning".
    """

    def __init__(
        self,
        console: Console,
        todo: list[PlannedCell],
        earlier: list[PlannedCell],
        title: str = "training",
    ) -> None:
        self.console = console
        self.costs = {planned.folder.path: planned.cost for planned in todo}
        self.fractions = dict.fromkeys(self.costs, 0.0)
        self.resumed = dict.fromkeys(self.costs, 0.0)
        self.begun: set[Path] = set()
        self.active: dict[Path, Event] = {}
        self.waiting: dict[Path, str] = {}
        self.told: set[str] = set()
        self.metrics: dict[Path, float] = {}
        self.standing = Standing(todo, earlier)
        self.total = len(todo) + len(earlier)
        self.ended = len(earlier)
        self.failed = 0
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
        self.waiting.pop(folder, None)
        if event.kind == "progress" and event.progress is not None:
            if folder not in self.begun:
                # A run that continues from a checkpoint starts with work done earlier.
                first = event.progress
                self.resumed[folder] = max(0.0, (first.epoch - 1) / first.epochs)
                self.begun.add(folder)
            self.fractions[folder] = event.progress.fraction
            if event.progress.metric is not None:  # stays on show until the next evaluation
                self.metrics[folder] = event.progress.metric
            self.active[folder] = event
        elif event.kind == "started":
            self.active[folder] = event
        else:
            self.active.pop(folder, None)
            FURTHER[event.kind](self, event)

    def _wait(self, event: Event) -> None:
        """Show why a run waits; in a log once for each reason."""
        self.waiting[event.job.folder] = event.detail
        if not self.console.is_terminal and event.detail not in self.told:
            self.told.add(event.detail)
            self._print(f"waiting {escape(f'{event.job.folder.name}: {event.detail}')}")

    def _retry(self, event: Event) -> None:
        self._print(f"[yellow]again[/] {escape(f'{event.job.folder.name}: {event.detail}')}")

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, soft_wrap=True)

    def _end(self, event: Event) -> None:
        folder = event.job.folder
        self.ended += 1
        self.fractions[folder] = 1.0
        self.standing.end(folder)
        run = RunFolder(folder)
        status = run.status()
        self.failed += status == "failed"
        self.bar.update(self.task, completed=self.ended)
        if status == "failed":
            reason = failure_of(run).get("error", "")
            self._print(f"[red]failed[/] {escape(f'{folder.name}: {reason}')}")
        elif status == "diverged":
            self._print(f"[yellow]diverged[/] {escape(folder.name)}")
        elif not self.console.is_terminal:
            outcome = run.outcome() or {}
            primary = TASKS[run.config().task].primary
            value = (outcome.get("metrics") or {}).get(primary)
            shown = "" if value is None else f" {primary} {100 * value:.1f} %"
            seconds = outcome.get("seconds") or 0.0
            self._print(
                f"{self.ended}/{self.total} {escape(folder.name)}{shown}, {seconds:.0f} s;"
                f" {self._left() or 'last one'}"
            )

    def _left(self) -> str:
        """Time left, from the pixels trained so far; empty until there is something to go by."""
        done = sum((self.fractions[f] - self.resumed[f]) * cost for f, cost in self.costs.items())
        rest = sum((1 - self.fractions[f]) * cost for f, cost in self.costs.items())
        elapsed = time.monotonic() - self.started
        if done <= 0 or rest <= 0 or elapsed < 2:
            return ""
        return f"about {shown_duration(elapsed * rest / done)} left"

    def _render(self) -> Group:
        self.bar.update(self.task, left=self._left())
        height, width = self.console.height, self.console.width
        active = [self._active_runs()] if self.active else []
        waiting = self._waiting_runs()
        # One line for the bar, the active runs with their heading, and one that stays free.
        room = height - 2 - len(waiting) - (len(self.active) + 1 if active else 0)
        standing = [self.standing.table(room, width)] if room >= 3 else []
        return Group(self.bar, *active, *waiting, *standing)

    def _waiting_runs(self) -> list[Text]:
        """One line for each of the most frequent reasons why runs wait."""
        reasons = Counter(reason for reason in self.waiting.values() if reason)
        return [
            Text(f"{count} waiting: {reason}", no_wrap=True, overflow="ellipsis", style="dim")
            for reason, count in reasons.most_common(REASONS)
        ]

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


FURTHER: dict[str, Callable[[GridDisplay, Event], None]] = {
    "waiting": GridDisplay._wait,
    "retried": GridDisplay._retry,
    "ended": GridDisplay._end,
}
"""What is done on news of a run that is not at work."""


@contextmanager
def shown_warnings(console: Console) -> Iterator[None]:
    """Print warnings (dropped boxes, a rebuilt cache) as lines instead of Python's format."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for text in dict.fromkeys(str(w.message) for w in caught if w.category is UserWarning):
        console.print(f"[yellow]warning:[/] {escape(text)}", soft_wrap=True)
