"""What is done, running, or failed and why, as a table in the terminal."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from benchmark.options import UserError
from benchmark.store import RunFolder, Store

STYLES = {"done": "green", "running": "cyan", "diverged": "yellow", "failed": "red"}
MANY = 1000
"""More runs than these are not listed one by one."""
PLAIN = ("done", "pending")
"""States of runs that are then only counted."""


def print_status(console: Console, store: Store, only_failures: bool = False) -> int:
    """Print the state of every run in a store, and the traceback of each failure.

    Returns:
        The number of failed runs.
    """
    folders = [*store.run_folders("tuning"), *store.run_folders()]
    states = [(folder, folder.status()) for folder in folders]
    if not only_failures:
        _print_runs(console, states)
        counts = Counter(state for _, state in states)
        console.print(", ".join(f"{number} {state}" for state, number in counts.items()))
    for name in store.lost():
        console.print(f"[red]{escape(name)}[/]: its config.yaml is gone; `run` trains it again")
    failures = [folder for folder, state in states if state == "failed"]
    for folder in failures:
        failure = failure_of(folder)
        console.print(f"[red]{escape(folder.path.name)}[/]: {escape(failure.get('error', ''))}")
        if failure.get("traceback"):
            console.print(escape(failure["traceback"].rstrip()), style="dim")
    return len(failures)


def failure_of(folder: RunFolder) -> dict[str, Any]:
    """``error`` and ``traceback`` of a run; empty where it did not fail.

    A failure whose file is damaged is one all the same, and hides none of the others.
    """
    try:
        return folder.failure() or {}
    except UserError as error:
        return {"error": f"why it failed cannot be read: {error}", "traceback": ""}


def _print_runs(console: Console, states: list[tuple[RunFolder, str]]) -> None:
    """A row a run; of more than :data:`MANY`, only those that something is to be said of."""
    listed = [one for one in states if len(states) <= MANY or one[1] not in PLAIN]
    run = Column("run", overflow="fold")  # names of folders: whole on any terminal
    table = Table(run, "status", "epochs", "remark", box=None, pad_edge=False)
    for folder, state in listed:
        style = STYLES.get(state, "dim")
        table.add_row(
            escape(folder.path.name),
            f"[{style}]{state}[/]",
            _epochs(folder),
            escape(_remark(folder)),
        )
    if listed:
        console.print(table)
    if len(listed) < len(states):
        names = " or ".join(PLAIN)
        console.print(f"{len(states) - len(listed):,} runs that are {names} are not listed")


def _epochs(folder: RunFolder) -> str:
    """Epochs in the history, of those that the configuration asks for."""
    return f"{folder.last_epoch()}/{folder.config().train.epochs}"


def _remark(folder: RunFolder) -> str:
    outcome = folder.outcome() or {}
    if "diverged_at" in outcome:
        at = outcome["diverged_at"]
        return f"loss or gradient not finite in epoch {at['epoch']}, step {at['step']}"
    return "" if outcome else failure_of(folder).get("error", "")
