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

from benchmark.console.status import STYLES
from benchmark.experiment.cell import CellConfig
from benchmark.experiment.quantities import shown_duration
from benchmark.store import RunFolder, Store
from benchmark.tasks import TASKS

EVERY = 2.0
"""Seconds between two looks."""

QUIET_LOOKS = 2
"""Looks in a row without a run at work after which a grid counts as over: between two runs of one
worker there is a moment without any."""


def watch_status(console: Console, store: Store, every: float = EVERY) -> None:
    """Show the state of the runs until none is at work, or until Ctrl-C; nothing is written.

    Raises:
        UserError: a file of the store is damaged.
    """
    watcher = Watcher(store)
    quiet = 0
    view = Live(console=console, auto_refresh=False, transient=True)
    with view as live, suppress(KeyboardInterrupt):
        while quiet < QUIET_LOOKS:
            watcher.look()
            live.update(watcher.shown(console.height), refresh=True)
            quiet = 0 if watcher.running else quiet + 1
            time.sleep(every if quiet < QUIET_LOOKS else 0)
    console.print(watcher.shown(console.height))
    if not watcher.running:
        console.print("no run is at work")


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
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.running: list[AtWork] = []
        self.counts: Counter[str] = Counter()
        self.ended: dict[Path, tuple[str, float]] = {}
        self.cells: dict[Path, CellConfig] = {}

    def look(self) -> None:
        """Read the state of all runs."""
        folders = [*self.store.run_folders("tuning"), *self.store.run_folders()]
        states = [(folder, self._state(folder)) for folder in folders]
        self.counts = Counter(state for _, state in states)
        self.running = [self._at_work(folder) for folder, state in states if state == "running"]

    def shown(self, height: int) -> RenderableType:
        """What was seen, in fewer than ``height`` lines."""
        counts = ", ".join(
            f"[{STYLES.get(state, 'dim')}]{number} {state}[/]"
            for state, number in self.counts.items()
        )
        lines = [Text.from_markup(f"{escape(self.store.path.name)}: {counts}{self._left()}")]
        room = max(1, height - 4)  # beside that line, a heading, how many more, and a free one
        if len(self.running) > room:
            lines.append(Text(f"{len(self.running)} at work, {room} of them here:"))
        return Group(*lines, *([self._table(room)] if self.running else []))

    def _state(self, folder: RunFolder) -> str:
        """As :meth:`RunFolder.status`; a run that has ended stays so while its result is there."""
        if folder.path in self.ended and (folder.path / "metrics.json").exists():
            return self.ended[folder.path][0]
        self.ended.pop(folder.path, None)
        outcome = folder.outcome()
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
