"""What was submitted: one folder for each submission in ``slurm/`` of a store.

It holds submitit's files and ``tasks.json``, which says which task is which run.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from benchmark.experiment.plain_words import shown
from benchmark.options import UserError
from benchmark.store import STAGE_FOLDER, RunFolder, read_json, write_json

FOLDER = "slurm"
RECORD = "tasks.json"


@dataclass(frozen=True)
class Submission:
    """One submission.

    Attributes:
        files: its folder.
    """

    files: Path

    @classmethod
    def new(cls, store: Path, name: str) -> Submission:
        return cls(store / FOLDER / name)

    @property
    def record(self) -> Path:
        return self.files / RECORD

    def tasks(self) -> dict[str, Path]:
        """Task id -> run folder; empty where another command has just removed the record.

        Raises:
            UserError: the record is damaged.
        """
        try:
            tasks: Any = read_json(self.record).get("tasks")
        except UserError:
            if self.record.exists():
                raise
            return {}
        if fault := _fault(tasks):
            raise UserError(
                f"{self.record}: {fault}; delete the file if `squeue --me` lists no job named "
                f"{self.files.name}, else restore it, or its runs are submitted twice"
            )
        return {task: self.files.parents[1] / run for task, run in tasks.items()}

    def write(self, tasks: dict[str, Path]) -> None:
        """Keep which task is which run."""
        store = self.files.parents[1]
        runs = {task: str(folder.relative_to(store)) for task, folder in tasks.items()}
        write_json(self.record, {"tasks": runs})

    def forget(self, cancelled: Collection[str]) -> None:
        """Tasks were taken off the cluster: the record goes on without them."""
        left = {task: run for task, run in self.tasks().items() if task not in cancelled}
        self.write(left)
        self.tidy()

    def tidy(self) -> None:
        """Remove the files, unless one of the runs has no result: they may say why."""
        if all(RunFolder(run).outcome() is not None for run in self.tasks().values()):
            self.remove()

    def remove(self) -> None:
        """Remove the files."""
        shutil.rmtree(self.files, ignore_errors=True)
        with contextlib.suppress(OSError):  # another submission's files lie there
            self.files.parent.rmdir()


def submissions(store: Path) -> list[Submission]:
    """Those of a store, the oldest first."""
    return [Submission(record.parent) for record in sorted(store.glob(f"{FOLDER}/*/{RECORD}"))]


def submitted(store: Path) -> set[Path]:
    """Folders of the runs that were submitted and have not ended, as far as the store tells.

    Raises:
        UserError: a record is damaged.
    """
    folders = {folder for one in submissions(store) for folder in one.tasks().values()}
    return {folder for folder in folders if not _ended(folder)}


def _ended(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("metrics.json", "failure.json"))


def _fault(tasks: Any) -> str:
    """What is wrong with the tasks of a record; "" where nothing is."""
    if not isinstance(tasks, dict):
        return "'tasks' must be a mapping"
    for task, run in tasks.items():
        parts = PurePosixPath(run).parts if isinstance(run, str) else ()
        if len(parts) != 2 or parts[0] not in STAGE_FOLDER.values() or parts[1] == "..":
            return f"'tasks.{task}' must be a run folder such as 'runs/NAME', not {shown(run)}"
    return ""
