"""The one place that reads and writes runs.

Files are the truth: an experiment's folder holds ``experiment.yaml``, ``cells.txt`` (the names of
its cells) and, in ``runs/``, one folder a cell with ``config.yaml``, ``environment.json``,
``streams.json``, ``history.csv``, ``details.json``, ``log.txt``, and ``metrics.json``, which is
written last: its presence means that the run has ended. Tuning runs lie in ``tuning/`` in the
same form. All but the log are written beside their place and then moved there, so none is ever
seen half-written. Tables are collected from these files by :mod:`benchmark.collecting`. Merging
results is copying run folders, those of the same experiment into one folder, or any into one
without ``cells.txt``. Files of an older form are read through :mod:`benchmark.migrations`.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout
from pydantic import ValidationError

from benchmark.cell import CellConfig, Stage
from benchmark.config import Experiment, read_yaml
from benchmark.foreign import check_bounds
from benchmark.history_file import (
    Columns,
    read_columns,
    read_last_epoch,
    read_rows,
    write_rows,
)
from benchmark.migrations import NewerFile, migrate, stamp
from benchmark.options import UserError, explain
from benchmark.recorded import details_fault, environment_fault, failure_fault, outcome_fault
from benchmark.yaml_parts import parse_in_parts

DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml's where PyYAML was built with it."""
STAGE_FOLDER: dict[Stage, str] = {"final": "runs", "tuning": "tuning"}

TEMPORARY = ".*." + "[0-9a-f]" * 32 + ".*"
"""How the files are called that :func:`write_atomically` has not yet moved to their place."""


def write_atomically(path: Path, write: Callable[[Path], object], durable: bool = False) -> None:
    """Let ``write`` fill a temporary file next to ``path``, then move it there in one step.

    Args:
        durable: have the content on the disk before the file gets its name, so that a machine
            that loses its power leaves the old file or the new one, and none that is empty. For
            what cannot be had again without training.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile's: its files are the owner's alone, and results are shared.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{path.suffix}")
    try:
        write(temporary)
        if durable:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:  # else there is nothing left to remove, and asking costs a shared disk
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str, durable: bool = False) -> None:
    """Write a UTF-8 text file atomically; ``durable`` as in :func:`write_atomically`."""

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    write_atomically(path, write, durable)


def write_json(path: Path, content: dict[str, Any], durable: bool = False) -> None:
    """Write JSON atomically; NaN, which JSON lacks, becomes null."""
    text = json.dumps(_without_nan(content), indent=2, allow_nan=False) + "\n"
    write_text(path, text, durable)


def _compact_json(content: dict[str, Any]) -> str:
    """JSON for machines: one line, NaN as null."""
    return json.dumps(_without_nan(content), separators=(",", ":"), allow_nan=False) + "\n"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _yaml(content: CellConfig | Experiment) -> str:
    # `schema_version` is of a cell's identity; what a file is written in, `stamp` says.
    dumped = content.model_dump(mode="json", exclude={"schema_version"})
    return yaml.dump(stamp(dumped), Dumper=DUMPER, sort_keys=False)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON mapping; a :class:`UserError` names the file otherwise."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold a JSON object")
    return content


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
        content = _yaml(cell)
        write_text(self.path / "config.yaml", content)

    def begin(self, cell: CellConfig, environment: dict[str, Any]) -> None:
        """Write what describes the run; forget an earlier failure and its litter."""
        self.plan(cell)
        write_json(self.path / "environment.json", environment, durable=True)
        self.forget_failure()
        for leftover in self.path.glob(TEMPORARY):  # nobody writes here but who holds the lock
            leftover.unlink(missing_ok=True)

    def write_history(self, rows: list[dict[str, float]]) -> None:
        """Replace the history by these rows, one an epoch; they need not share all columns."""
        write_atomically(
            self.path / "history.csv", lambda file: write_rows(file, rows), durable=True
        )

    def history(self) -> list[dict[str, float]]:
        """Rows written so far, without their empty fields."""
        return read_rows(self.path / "history.csv")

    def history_columns(self) -> Columns:
        """Column -> values written so far; see :func:`benchmark.history_file.read_columns`."""
        return read_columns(self.path / "history.csv")

    def last_epoch(self) -> int:
        """The last epoch of the history; 0 before there is one."""
        return read_last_epoch(self.path / "history.csv")

    def write_details(self, details: dict[str, Any]) -> None:
        """Keep the breakdowns of the test metrics; before :meth:`finish`."""
        write_text(self.path / "details.json", _compact_json(details), durable=True)

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
        """Keep the hashes of what the run was trained on; see :mod:`benchmark.streams`."""
        write_json(self.path / "streams.json", streams)

    def streams(self) -> dict[str, Any] | None:
        """What :meth:`write_streams` wrote, or None: runs from before there were hashes."""
        file = self.path / "streams.json"
        return read_json(file) if file.exists() else None

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

    def set_aside(self, place: Path) -> None:
        """Move all but the lock to another folder, in place of what lies there."""
        if place.exists():
            shutil.rmtree(place)
        place.mkdir(parents=True)
        for item in self.path.iterdir():
            if item.name != ".lock":
                item.replace(place / item.name)

    def clear(self) -> None:
        """Remove all that earlier runs of the cell left; the lock stays with who holds it."""
        for item in self.path.glob("*"):
            if item.is_dir():  # of a logger
                shutil.rmtree(item)
            elif item.name != ".lock":
                item.unlink()


@dataclass(frozen=True)
class Store:
    """An experiment's folder."""

    path: Path

    @classmethod
    def existing(cls, path: Path) -> Store:
        """The store in a folder that must hold one, and nothing that leads out of it."""
        if not any((path / name).is_dir() for name in STAGE_FOLDER.values()):
            raise UserError(
                f"{path}: is no results folder (it has no 'runs' folder); "
                "give the folder that `run` named, such as results/quickstart"
            )
        check_bounds(path)
        return cls(path)

    def write_experiment(self, experiment: Experiment, cells: list[CellConfig]) -> None:
        """Keep the experiment as it was asked for, overrides included, and all its cells.

        Runs that lie here from the same experiment with other settings stay, but are no longer
        part of what is reported.
        """
        content = _yaml(experiment)
        write_text(self.path / "experiment.yaml", content)
        for cell in cells:
            folder = self.run_folder(cell)
            if not folder.is_planned_as(cell):
                folder.plan(cell)
        names = [f"{_listed(cell.stage, cell.slug)}\n" for cell in cells]
        write_text(self.path / "cells.txt", "".join(names))

    def experiment(self) -> Experiment | None:
        """The experiment last run here, or None where only run folders were copied together."""
        file = self.path / "experiment.yaml"
        if not file.exists():
            return None
        try:
            return Experiment.model_validate(migrate("experiment", read_yaml(file), file))
        except ValidationError as error:
            lines = explain(error, Experiment)
            raise UserError("\n".join(f"{file}: {line}" for line in lines)) from None

    def run_folder(self, cell: CellConfig) -> RunFolder:
        """Where a cell's files lie, whether they exist yet or not."""
        return RunFolder(self.path / STAGE_FOLDER[cell.stage] / cell.slug)

    def run_folders(self, stage: Stage = "final") -> list[RunFolder]:
        """The runs of one stage of the experiment last run, by name.

        All that lie here, where only run folders were copied together.
        """
        found = self._found(stage)
        cells = self._cells()
        return (
            found if cells is None else [f for f in found if _listed(stage, f.path.name) in cells]
        )

    def left_out(self) -> int:
        """Number of runs here that are no part of the experiment last run."""
        return len(self._found("final")) - len(self.run_folders())

    def lost(self) -> list[str]:
        """Cells of the experiment last run whose folder or configuration is gone, by name."""
        found = {
            _listed(stage, folder.path.name)
            for stage in STAGE_FOLDER
            for folder in self._found(stage)
        }
        return sorted((self._cells() or set()) - found)

    def _found(self, stage: Stage) -> list[RunFolder]:
        files = sorted(self.path.glob(f"{STAGE_FOLDER[stage]}/*/config.yaml"))
        return [RunFolder(file.parent) for file in files]

    def _cells(self) -> set[str] | None:
        file = self.path / "cells.txt"
        if not file.exists():
            return None
        try:
            return set(file.read_text(encoding="utf-8").split("\n")) - {""}
        except UnicodeDecodeError:
            raise UserError(
                f"{file}: is not UTF-8 text; `run` the experiment again to write it anew, or "
                "delete it to report on all runs of the folder"
            ) from None


def _listed(stage: Stage, slug: str) -> str:
    """How ``cells.txt`` names a cell."""
    return slug if stage == "final" else f"{STAGE_FOLDER[stage]}/{slug}"
