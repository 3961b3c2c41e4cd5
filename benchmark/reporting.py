"""From a results folder to tables on the terminal and the files of the report; without torch."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from benchmark import report
from benchmark.collecting import report_data
from benchmark.options import UserError
from benchmark.store import Store


def write_report(console: Console, store: Store, baseline: str | None) -> None:
    """Write the report of all runs in a store, and print its tables."""
    data = report_data(store)
    if data.runs.empty and data.tuning.empty:
        raise UserError(f"{store.path}: holds no run yet")
    try:
        written = report.write(data, store.path, baseline)
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
    for name in ("report.html", "tables", "charts", "runs"):
        console.print(f"{name}: {escape(str(store.path / name))}")
