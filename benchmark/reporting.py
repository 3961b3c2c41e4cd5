"""From results folders to tables on the terminal and the files of the report; without torch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from benchmark import report
from benchmark.collecting import report_data
from benchmark.data_alike import data_notes
from benchmark.merging import merge
from benchmark.options import UserError
from benchmark.report.data import ReportData
from benchmark.store import Store


@dataclass(frozen=True)
class Choices:
    """What is written, and how.

    Attributes:
        baseline: loss that the others are compared with; by default the experiment's.
        only: parts of the report; see :data:`benchmark.report.PARTS`.
        out: folder that gets the files; by default the store's own, or a new one for several.
        bootstrap: show bootstrap intervals as well.
    """

    baseline: str | None = None
    only: Collection[str] = tuple(report.PARTS)
    out: Path | None = None
    bootstrap: bool = False


def write_report(console: Console, store: Store, choices: Choices | None = None) -> None:
    """Write the report of all runs in a store, or some of its parts, and print its tables."""
    choices = choices or Choices()
    data = report_data(store)
    if data.runs.empty and data.tuning.empty:
        raise UserError(f"{store.path}: holds no run yet")
    notes = [*data_notes(data), *_left_out(store)]
    _write(console, data, choices.out or store.path, choices, notes)
    console.print(f"runs: {escape(str(store.path / 'runs'))}")


def write_merged_report(console: Console, stores: list[Store], choices: Choices) -> None:
    """Write one report of the runs in several stores, into none of them; see :func:`write_report`.

    Raises:
        UserError: a folder is given twice or is to be written into, or as
            :func:`benchmark.merging.merge`.
    """
    folders = [store.path.resolve() for store in stores]
    for place, folder in enumerate(folders):
        if folder in folders[:place]:
            raise UserError(f"{stores[place].path}: is given twice")
    out = choices.out or Path("results") / "+".join(folder.name for folder in folders)
    if out.resolve() in folders:
        raise UserError(f"--out {out}: is one of the folders to merge; give another one")
    data, notes = merge([report_data(store) for store in stores], choices.baseline is not None)
    if data.runs.empty and data.tuning.empty:
        raise UserError(f"{', '.join(str(store.path) for store in stores)}: hold no run yet")
    notes += [*data_notes(data), *(note for store in stores for note in _left_out(store))]
    _write(console, data, out, choices, notes)


def _write(
    console: Console, data: ReportData, out: Path, choices: Choices, notes: list[str]
) -> None:
    """Write and print; ``notes`` are printed below those of the report."""
    try:
        written = report.write(data, out, choices.baseline, choices.only, choices.bootstrap)
    except ValueError as error:
        raise UserError(f"{out}: {error}") from None
    for table in written.tables:
        console.print(table.rich())
    for note in [*written.notes, *notes]:
        console.print(f"note: {escape(note)}")
    for path in sorted({out / path.relative_to(out).parts[0] for path in written.paths}):
        console.print(f"{path.name}: {escape(str(path))}")


def _left_out(store: Store) -> list[str]:
    """Notes on runs in the store that are not in the report, and on those that are gone."""
    notes = []
    if store.left_out():
        notes.append(
            f"{store.left_out()} run(s) in {store.path / 'runs'} have other settings than the "
            "experiment last run and are left out"
        )
    if lost := store.lost():
        notes.append(
            f"{len(lost)} run(s) of the experiment have no config.yaml in {store.path} and are "
            f"not in the report ({', '.join(lost)}); `run` trains them again"
        )
    return notes
