"""``status --watch``: what a grid that runs elsewhere is doing, drawn again and again."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from benchmark.console.status import DAMAGED, STYLES
from benchmark.executors.on_slurm.records import submitted
from benchmark.experiment.cell import CellConfig
from benchmark.experiment.quantities import shown_duration
from benchmark.migrations import NewerFile
from benchmark.options import UserError
from benchmark.store import RunFolder, Store
from benchmark.store.at_work import is_at_work
from benchmark.tasks import TASKS

EVERY = 2.0
"""Seconds between two looks."""


def watch_status(console: Console, store: Store, every: float = EVERY) -> None:
    """Show the state of the runs until all is over, or until Ctrl-C; nothing is written.

    It is over when no run is at work, nor a ``run`` command that may start one, and no task of
    Slurm waits.

    Raises:
        UserError: a file of a run at work, or of the experiment, is damaged.
    """
    watcher = Watcher(store)
    view = Live(console=console, auto_refresh=False, transient=True)
    with view as live, suppress(KeyboardInterrupt):
        watcher.look()
        while watcher.goes_on:
            live.update(watcher.shown(console.height), refresh=True)
            time.sleep(every)
            watcher.look()
    console.print(watcher.shown(console.height))
    if not watcher.goes_on:
        console.print("no run is at work, and no `run` command or task of Slurm that may start one")


@dataclass(frozen=True)
class AtWork:
    """A run at work.

    Attributes:
        epoch: the last that ended; 0 is the untrained model.
        metric: the task's primary one on the validation split, as last measured.
        left: seconds until the run ends; None before there is anything to go by.
    """

    name: str
    cell: CellConfig
    epoch: int
    metric: float | None
    left: float | None


class Watcher:
    """Looks at a store; what has ended is read but once.

    Attributes:
        running: the runs at work at the last look.
        counts: state -> number of runs, at the last look.
        queued: runs that were submitted to Slurm and had not begun, or were interrupted, then.
        commanded: whether a ``run`` command was at work then.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.running: list[AtWork] = []
        self.counts: Counter[str] = Counter()
        self.queued = 0
        self.commanded = False
        self.ended: dict[Path, tuple[str, float]] = {}
        self.cells: dict[Path, CellConfig] = {}

    def look(self) -> None:
        """Read the state of all runs."""
        # First, as a command that ends during the look may have started a run before.
        self.commanded = is_at_work(self.store.path)
        waiting = submitted(self.store.path)
        folders = [*self.store.run_folders("tuning"), *self.store.run_folders()]
        states = [(folder, self._state(folder)) for folder in folders]
        self.counts = Counter(state for _, state in states)
        self.running = [self._at_work(folder) for folder, state in states if state == "running"]
        self.queued = sum(state == "pending" and f.path in waiting for f, state in states)

    @property
    def goes_on(self) -> bool:
        """Whether something was at work at the last look, or waited for a place."""
        return bool(self.running or self.queued or self.commanded)

    def shown(self, height: int) -> RenderableType:
        """What was seen, in fewer than ``height`` lines."""
        counts = ", ".join(
            f"[{STYLES.get(state, 'dim')}]{number} {state}[/]"
            for state, number in self.counts.items()
        )
        lines = [Text.from_markup(f"{escape(self.store.path.name)}: {counts}{self._left()}")]
        lines += [Text(line, style="dim") for line in self._waits_for()]
        # Beside these lines a heading, how many more there are, and a free one.
        room = max(1, height - 3 - len(lines))
        if len(self.running) > room:
            lines.append(Text(f"{len(self.running)} at work, {room} of them here:"))
        return Group(*lines, *([self._table(room)] if self.running else []))

    def _waits_for(self) -> list[str]:
        """What may begin, where it is not at work."""
        lines = []
        if self.queued:
            lines.append(f"{self.queued} submitted to Slurm, not at work (see `squeue --me`)")
        if self.commanded and not self.running and not self.queued:
            lines.append("`run` is at work: it prepares the data or the next runs, or reports")
        return lines

    def _state(self, folder: RunFolder) -> str:
        """As :meth:`RunFolder.status`; a run that has ended stays so while its result is there."""
        if folder.path in self.ended and (folder.path / "metrics.json").exists():
            return self.ended[folder.path][0]
        self.ended.pop(folder.path, None)
        try:
            outcome = folder.outcome()
        except NewerFile:
            raise
        except UserError:
            return DAMAGED
        if outcome is None:
            return folder.status()
        self.ended[folder.path] = str(outcome["status"]), outcome.get("seconds") or 0.0
        return str(outcome["status"])

    def _at_work(self, folder: RunFolder) -> AtWork:
        if folder.path not in self.cells:
            self.cells[folder.path] = folder.config()
        cell, history = self.cells[folder.path], folder.history()
        values = [row[m] for row in history if (m := TASKS[cell.task].primary) in row]
        return AtWork(
            folder.path.name,
            cell,
            int(history[-1]["epoch"]) if history else 0,
            values[-1] if values else None,
            seconds_left(folder, history, cell.train.epochs, time.time()),
        )

    def _left(self) -> str:
        """About how long the grid still takes; empty where there is nothing to go by."""
        left = [run.left for run in self.running if run.left is not None]
        spent = [seconds for _, seconds in self.ended.values()]
        todo = self.counts["pending"] + self.counts["failed"]
        if not left or (todo and not spent):
            return ""
        rest = todo * mean(spent) if todo else 0.0
        return f"; about {shown_duration((sum(left) + rest) / len(left))} left"

    def _table(self, rows: int) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("run", no_wrap=True, overflow="ellipsis")
        for column in ("epoch", "validation", "left"):
            table.add_column(column, justify="right", no_wrap=True)
        for run in self.running[:rows]:
            primary = TASKS[run.cell.task].primary
            table.add_row(
                escape(run.name),
                f"{run.epoch}/{run.cell.train.epochs}",
                "" if run.metric is None else f"{primary} {100 * run.metric:.1f} %",
                "" if run.left is None else shown_duration(run.left),
            )
        return table


def seconds_left(
    folder: RunFolder, history: list[dict[str, float]], epochs: int, now: float
) -> float | None:
    """Seconds until a run at work will end; None before its first epoch has.

    The epochs to come take as long as those before: by the training time in the history, or by
    the times of this attempt's files where that is more, since it holds the evaluations too.

    Args:
        history: its rows so far.
        epochs: of the whole run.
        now: seconds since 1970.
    """
    epoch = history[-1]["epoch"] if history else 0
    if not epoch:
        return None
    try:
        begun = (folder.path / "environment.json").stat().st_mtime
        written = (folder.path / "history.csv").stat().st_mtime
    except OSError:
        return None  # cleared since it was read
    spent = max(history[-1].get("seconds", 0.0), written - begun)
    return max(0.0, spent / epoch * (epochs - epoch) - max(0.0, now - written))
