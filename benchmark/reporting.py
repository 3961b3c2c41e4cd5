"""From a store to the tables on the terminal and the files of the report; needs no torch."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from benchmark import report
from benchmark.options import UserError
from benchmark.store import Store


def write_report(console: Console, store: Store, baseline: str | None) -> None:
    """Write tables and charts of all runs in a store, and print the tables."""
    runs, history = store.collect()
    if runs.empty:
        raise UserError(f"{store.path}: holds no run yet")
    experiment = store.experiment()
    chosen = baseline or (experiment.baselines() if experiment else None)
    try:
        written = report.write(runs, history, store.path, chosen)
    except ValueError as error:
        raise UserError(f"{store.path}: {error}") from None
    for table in written.tables:
        console.print(table.rich())
    notes = list(written.notes)
    if store.left_out():
        notes.append(
            f"{store.left_out()} run(s) in {store.path / 'runs'} have other settings than the "
            "experiment last run and are left out"
        )
    for note in notes:
        console.print(f"note: {escape(note)}")
    for name in ("tables", "charts", "runs"):
        console.print(f"{name}: {escape(str(store.path / name))}")
