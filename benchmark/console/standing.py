"""How the losses of a grid stand while it runs: runs done, and the metric so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from benchmark.experiment.cell import CellConfig
from benchmark.runner import PlannedCell
from benchmark.store import RunFolder
from benchmark.tasks import TASKS

Key = tuple[str, str, str, str]
"""Task, data set, model, loss."""


@dataclass
class Row:
    """One loss in one table.

    Attributes:
        total: its runs in this phase.
        ended: of those, how many have ended, and ``lost`` how many of these have no value.
        values: of the task's primary metric, fractions: on the test split for final runs, on the
            validation split for tuning runs.
    """

    total: int = 0
    ended: int = 0
    lost: int = 0
    values: list[float] = field(default_factory=list)


class Standing:
    """Counts the runs of one phase of a grid as they end.

    Args:
        todo: cells that will be trained.
        earlier: cells of the same phase that had ended before.
    """

    def __init__(self, todo: Iterable[PlannedCell], earlier: Iterable[PlannedCell] = ()) -> None:
        self.rows: dict[Key, Row] = {}
        self.cells: dict[Path, CellConfig] = {}
        before = list(earlier)
        for planned in sorted([*before, *todo], key=lambda one: one.cell.repetition):
            self.rows.setdefault(_key(planned.cell), Row()).total += 1
            self.cells[planned.folder.path] = planned.cell
        self.tuning = any(cell.stage == "tuning" for cell in self.cells.values())
        for planned in before:
            self.end(planned.folder.path)

    def end(self, folder: Path) -> None:
        """Count the run in ``folder``, which has ended somehow."""
        cell = self.cells[folder]
        row = self.rows[_key(cell)]
        row.ended += 1
        value = _value(cell, RunFolder(folder).outcome() or {})
        if value is None:
            row.lost += 1
        else:
            row.values.append(value)

    def table(self, height: int, width: int) -> Table:
        """At most ``height`` lines; in less than 60 columns only the loss names a row."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("loss", no_wrap=True, overflow="ellipsis")
        for column in ("runs", "lost", self._heading()):
            table.add_column(column, justify="right", no_wrap=True)
        room = max(0, height - 1)
        shown = list(self.rows.items())
        if len(shown) > room:
            shown = shown[: max(0, room - 1)]
        for key, row in shown:
            name = key[3] if width < 60 else " / ".join([key[1], key[2], key[3]])
            lost = str(row.lost) if row.lost else ""
            table.add_row(escape(name), f"{row.ended}/{row.total}", lost, self._metric(key, row))
        if len(shown) < len(self.rows):
            table.add_row(f"and {len(self.rows) - len(shown)} more", "", "", "")
        return table

    def _heading(self) -> str:
        # A mean over settings, good and bad, would say nothing.
        return "best on validation" if self.tuning else "mean on test"

    def _metric(self, key: Key, row: Row) -> str:
        if not row.values:
            return ""
        value = max(row.values) if self.tuning else sum(row.values) / len(row.values)
        return f"{TASKS[key[0]].primary} {100 * value:.1f} %"


def _key(cell: CellConfig) -> Key:
    return cell.task, cell.dataset.label, cell.model.label, cell.loss.label


def _value(cell: CellConfig, outcome: dict[str, Any]) -> float | None:
    split = "validation" if cell.stage == "tuning" else "metrics"
    value: float | None = (outcome.get(split) or {}).get(TASKS[cell.task].primary)
    return value
