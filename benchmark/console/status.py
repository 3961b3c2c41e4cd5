"""What is done, running, or failed and why, as a table in the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from benchmark.migrations import NewerFile
from benchmark.options import UserError
from benchmark.store import RunFolder, Store

DAMAGED = "damaged"
"""State of a run one of whose files cannot be read."""
STYLES = {
    "done": "green",
    "running": "cyan",
    "diverged": "yellow",
    "failed": "red",
    DAMAGED: "red",
}
MANY = 1000
"""More runs than these are not listed one by one."""
PLAIN = ("done", "pending")
"""States of runs that are then only counted."""


@dataclass
class Seen:
    """A run as its files show it.

    Attributes:
        state: as of :meth:`RunFolder.status`, or :data:`DAMAGED`.
        epochs: in the history, of those that the configuration asks for; empty before
            :meth:`read`.
        remark: why it diverged, failed or is damaged; of the first two after :meth:`read`.
    """

    folder: RunFolder
    state: str = ""
    epochs: str = ""
    remark: str = ""

    def look(self) -> None:
        """Find the state."""
        with self._noting_damage():
            self.state = self.folder.status()

    def read(self) -> None:
        """Find the epochs and the remark, which takes longer."""
        if self.state == DAMAGED:
            return
        with self._noting_damage():
            self.epochs = f"{self.folder.last_epoch()}/{self.folder.config().train.epochs}"
            self.remark = _remark(self.folder)

    @contextmanager
    def _noting_damage(self) -> Iterator[None]:
        try:
            yield
        except NewerFile:  # is sound, and no business of `run`
            raise
        except UserError as error:
            self.state, self.remark = DAMAGED, str(error)


def print_status(console: Console, store: Store, only_failures: bool = False) -> int:
    """Print the state of every run in a store, and the traceback of each failure.

    Returns:
        The number of failed and damaged runs.
    """
    runs = [Seen(folder) for folder in [*store.run_folders("tuning"), *store.run_folders()]]
    for run in runs:
        run.look()
    if not only_failures:
        _print_runs(console, runs)
        counts = Counter(run.state for run in runs)
        console.print(", ".join(f"{number} {state}" for state, number in counts.items()))
    for name in store.lost():
        console.print(f"[red]{escape(name)}[/]: its config.yaml is gone; `run` trains it again")
    failed = [run for run in runs if run.state in ("failed", DAMAGED)]
    for run in failed:
        failure = failure_of(run.folder) if run.state == "failed" else {"error": run.remark}
        console.print(f"[red]{escape(run.folder.path.name)}[/]: {escape(failure.get('error', ''))}")
        if failure.get("traceback"):
            console.print(escape(failure["traceback"].rstrip()), style="dim")
    if any(run.state == DAMAGED for run in failed):
        console.print("`run` trains the damaged runs again")
    return len(failed)


def failure_of(folder: RunFolder) -> dict[str, Any]:
    """``error`` and ``traceback`` of a run; empty where it did not fail.

    A failure whose file is damaged is one all the same, and hides none of the others.
    """
    try:
        return folder.failure() or {}
    except UserError as error:
        return {"error": f"why it failed cannot be read: {error}", "traceback": ""}


def _print_runs(console: Console, runs: list[Seen]) -> None:
    """A row a run; of more than :data:`MANY`, only those that something is to be said of."""
    listed = [one for one in runs if len(runs) <= MANY or one.state not in PLAIN]
    name = Column("run", overflow="fold")  # names of folders: whole on any terminal
    table = Table(name, "status", "epochs", "remark", box=None, pad_edge=False)
    for run in listed:
        run.read()
        state = f"[{STYLES.get(run.state, 'dim')}]{run.state}[/]"
        table.add_row(escape(run.folder.path.name), state, run.epochs, escape(run.remark))
    if listed:
        console.print(table)
    if len(listed) < len(runs):
        names = " or ".join(PLAIN)
        console.print(f"{len(runs) - len(listed):,} runs that are {names} are not listed")


def _remark(folder: RunFolder) -> str:
    outcome = folder.outcome() or {}
    if "diverged_at" in outcome:
        at = outcome["diverged_at"]
        return f"loss or gradient not finite in epoch {at['epoch']}, step {at['step']}"
    return "" if outcome else failure_of(folder).get("error", "")
