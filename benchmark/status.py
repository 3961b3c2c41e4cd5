"""What is done, running, or failed and why, as a table in the terminal."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from benchmark.store import RunFolder, Store

STYLES = {"done": "green", "running": "cyan", "diverged": "yellow", "failed": "red"}


def print_status(console: Console, store: Store, only_failures: bool = False) -> int:
    """Print the state of every run in a store, and the traceback of each failure.

    Returns:
        The number of failed runs.
    """
    folders = [*store.run_folders("tuning"), *store.run_folders()]
    states = [(folder, folder.status()) for folder in folders]
    if not only_failures:
        run = Column("run", overflow="fold")  # names of folders: whole on any terminal
        table = Table(run, "status", "epochs", "remark", box=None, pad_edge=False)
        for folder, state in states:
            style = STYLES.get(state, "dim")
            table.add_row(
                escape(folder.path.name),
                f"[{style}]{state}[/]",
                _epochs(folder),
                escape(_remark(folder)),
            )
        console.print(table)
        counts = Counter(state for _, state in states)
        console.print(", ".join(f"{number} {state}" for state, number in counts.items()))
    for name in store.lost():
        console.print(f"[red]{escape(name)}[/]: its config.yaml is gone; `run` trains it again")
    failures = [folder for folder, state in states if state == "failed"]
    for folder in failures:
        failure = folder.failure() or {}
        console.print(f"[red]{escape(folder.path.name)}[/]: {escape(failure.get('error', ''))}")
        if failure.get("traceback"):
            console.print(escape(failure["traceback"].rstrip()), style="dim")
    return len(failures)


def _epochs(folder: RunFolder) -> str:
    """Epochs in the history, of those that the configuration asks for."""
    history = folder.history()
    return f"{history[-1]['epoch'] if history else 0}/{folder.config().train.epochs}"


def _remark(folder: RunFolder) -> str:
    outcome = folder.outcome() or {}
    if "diverged_at" in outcome:
        at = outcome["diverged_at"]
        return f"loss or gradient not finite in epoch {at['epoch']}, step {at['step']}"
    failure = folder.failure()
    return failure["error"] if failure and not outcome else ""
