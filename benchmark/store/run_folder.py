"""The files of one run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import ValidationError

from benchmark.experiment.cell import CellConfig
from benchmark.experiment.config import read_yaml
from benchmark.migrations import NewerFile, migrate, stamp
from benchmark.options import UserError, explain
from benchmark.store.files import (
    TEMPORARY,
    compact_json,
    forget_arrivals,
    read_json,
    to_yaml,
    write_atomically,
    write_json,
    write_text,
)
from benchmark.store.history import Columns, read_columns, read_last_epoch, read_rows, write_rows
from benchmark.store.recorded import (
    details_fault,
    environment_fault,
    failure_fault,
    outcome_fault,
    streams_fault,
)
from benchmark.store.yaml_parts import parse_in_parts


@dataclass(frozen=True)
class RunFolder:
    """The files of one cell."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.pt"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    def config(self) -> CellConfig:
        """The cell that was, or is to be, trained here."""
        file = self.path / "config.yaml"
        try:
            content = read_yaml(file, parse_in_parts)
            return CellConfig.model_validate(migrate("config", content, file))
        except ValidationError as error:
            lines = explain(error, CellConfig)
            raise UserError("\n".join(f"{file}: {line}" for line in lines)) from None

    def is_planned(self) -> bool:
        """Whether the cell's configuration lies here."""
        return (self.path / "config.yaml").exists()

    def is_planned_as(self, cell: CellConfig) -> bool:
        """Whether the configuration that lies here can be read and is the cell's.

        The same run may be asked for under a tuning that names its setting otherwise.

        Raises:
            NewerFile: a newer version of the program wrote it.
        """
        if not self.is_planned():
            return False
        try:
            found = self.config()
        except NewerFile:
            raise
        except UserError:  # cut short: the cell tells what was in it
            return False
        return found.tuned == cell.tuned and found.identity() == cell.identity()

    def plan(self, cell: CellConfig) -> None:
        """Write the cell's configuration: from now on the cell is known, and pending."""
        content = to_yaml(cell)
        write_text(self.path / "config.yaml", content)

    def begin(self, cell: CellConfig, environment: dict[str, Any]) -> None:
        """Write what describes the run; forget an earlier failure and its litter."""
        self.plan(cell)
        write_json(self.path / "environment.json", environment, durable=True)
        self.forget_failure()
        for leftover in self.path.glob(TEMPORARY):  # nobody writes here but who holds the lock
            leftover.unlink(missing_ok=True)
        forget_arrivals(self.path)

    def write_history(self, rows: list[dict[str, float]]) -> None:
        """Replace the history by these rows, one an epoch; they need not share all columns."""
        write_atomically(
            self.path / "history.csv", lambda file: write_rows(file, rows), durable=True
        )

    def history(self) -> list[dict[str, float]]:
        """Rows written so far, without their empty fields."""
        return read_rows(self.path / "history.csv")

    def history_columns(self) -> Columns:
        """Column -> values written so far; see :func:`benchmark.store.history.read_columns`."""
        return read_columns(self.path / "history.csv")

    def last_epoch(self) -> int:
        """The last epoch of the history; 0 before there is one."""
        return read_last_epoch(self.path / "history.csv")

    def write_details(self, details: dict[str, Any]) -> None:
        """Keep the breakdowns of the test metrics; before :meth:`finish`."""
        write_text(self.path / "details.json", compact_json(details), durable=True)

    def details(self) -> dict[str, Any] | None:
        """What :meth:`write_details` wrote, or None."""
        file = self.path / "details.json"
        if not file.exists():
            return None
        details = read_json(file)
        if fault := details_fault(details):
            raise UserError(f"{file}: {fault}; delete the file to leave its breakdowns out")
        return details

    def write_streams(self, streams: dict[str, Any]) -> None:
        """Keep the hashes of :mod:`benchmark.reproduction.streams`."""
        write_json(self.path / "streams.json", streams)

    def streams(self) -> dict[str, Any] | None:
        """What :meth:`write_streams` wrote, or None: runs from before there were hashes."""
        return self._read("streams.json", streams_fault)

    def environment(self) -> dict[str, Any] | None:
        """What the run ran on, or None before it began."""
        return self._read("environment.json", environment_fault)

    def _read(
        self, name: str, find_fault: Callable[[dict[str, Any]], str]
    ) -> dict[str, Any] | None:
        """The content of a file that a report can do without; None where there is none."""
        file = self.path / name
        if not file.exists():
            return None
        content = read_json(file)
        if fault := find_fault(content):
            raise UserError(f"{file}: {fault}; delete the file to go on without it")
        return content

    def finish(self, outcome: dict[str, Any]) -> None:
        """Write ``metrics.json``: from now on the run counts as ended. The checkpoint goes."""
        write_json(self.path / "metrics.json", stamp(outcome), durable=True)
        self.checkpoint.unlink(missing_ok=True)

    def fail(self, error: str, trace: str = "") -> None:
        """Record why the run did not end; the next ``run`` tries it again."""
        write_json(self.path / "failure.json", {"error": error, "traceback": trace})

    def forget_failure(self) -> None:
        """Before a new attempt, whose own failure is the one to tell."""
        (self.path / "failure.json").unlink(missing_ok=True)

    def outcome(self) -> dict[str, Any] | None:
        """What :meth:`finish` wrote, or None while there is none."""
        file = self.path / "metrics.json"
        if not file.exists():
            return None
        outcome = migrate("metrics", read_json(file), file)
        if fault := outcome_fault(outcome):
            raise UserError(f"{file}: {fault}; delete the file to train the run again")
        return outcome

    def failure(self) -> dict[str, Any] | None:
        """What :meth:`fail` wrote, or None."""
        return self._read("failure.json", failure_fault)

    def status(self) -> str:
        """``done``, ``diverged``, ``failed``, ``running`` or ``pending``."""
        outcome = self.outcome()
        if outcome is not None:
            return str(outcome["status"])
        if self.is_locked():
            return "running"
        return "failed" if (self.path / "failure.json").exists() else "pending"

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Hold the cell for this process; gives False where another process holds it.

        The operating system lets go of the lock when the process ends, however it ends.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock")
        try:
            # A moment's patience: who asks for the status holds the lock for an instant.
            lock.acquire(timeout=0.2, poll_interval=0.02)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def is_locked(self) -> bool:
        """Whether some process is at work on the cell right now."""
        if not os.access(self.path / ".lock", os.W_OK):
            return False  # never begun, or a copy that nobody can be at work on
        with self.lock() as mine:
            return not mine

    def set_aside(self, place: Path) -> Path:
        """Move all but the lock to another folder, ``metrics.json`` first.

        Returns:
            The new folder: ``place``, or where that exists the first of ``place-2``,
            ``place-3``, ... that does not.
        """
        numbered = (place.with_name(f"{place.name}-{number}") for number in count(2))
        free = next(folder for folder in chain([place], numbered) if not folder.exists())
        free.mkdir(parents=True)
        for item in self._contents():
            item.replace(free / item.name)
        return free

    def clear(self) -> None:
        """Remove all that earlier runs of the cell left; the lock stays with who holds it."""
        for item in self._contents():
            if item.is_dir():  # of a logger
                shutil.rmtree(item)
            else:
                item.unlink()

    def _contents(self) -> list[Path]:
        """All that lies here but the lock, in the order in which it has to go.

        What is left when a kill comes in between must not pass for a run that has ended, nor for
        one to be continued.
        """
        order = {"metrics.json": 0, self.checkpoint.name: 1}
        # Unlike `iterdir`, `glob` finds nothing in a folder that is not there.
        items = (item for item in self.path.glob("*") if item.name != ".lock")
        return sorted(items, key=lambda item: order.get(item.name, len(order)))
