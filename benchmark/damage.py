"""Ended runs whose files were damaged afterwards: found before a grid goes on, and trained again.

What a killed process leaves needs none of this: its files are whole, or not there. Here it is
about copies that were cut short, full disks and flipped bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape

from benchmark.migrations import NewerFile
from benchmark.options import UserError
from benchmark.runner import PlannedCell
from benchmark.store import RunFolder

FOLDER = "damaged"
"""Of the store: gets what lay in the folders of damaged runs."""


def read_all(folder: RunFolder) -> tuple[dict[str, Any], list[str]]:
    """The contents of a run's files by name, and the names of those that cannot be read.

    Left out are ``config.yaml``, which `run` writes again where it is not the cell's, and
    ``failure.json``, which no result depends on.

    Raises:
        NewerFile: a newer version of the program wrote one of them.
    """
    reads: dict[str, Callable[[], object]] = {
        "environment.json": folder.environment,
        "streams.json": folder.streams,
        "history.csv": folder.history,
        "details.json": folder.details,
        "metrics.json": folder.outcome,
    }
    contents: dict[str, Any] = {}
    unreadable = []
    for name, read in reads.items():
        try:
            contents[name] = read()
        except NewerFile:
            raise
        except UserError:
            unreadable.append(name)
    return contents, unreadable


def damage(folder: RunFolder, epochs: int) -> list[str]:
    """Names of the files of an ended run that are damaged, a history without all epochs included.

    A file that is absent is not: histories and details may be deleted to leave them out. A run
    that has not ended has none: it continues from its checkpoint, which is checked then.

    Args:
        epochs: that the run was to be trained.
    """
    if not (folder.path / "metrics.json").exists():
        return []
    contents, unreadable = read_all(folder)
    if unreadable:
        return unreadable
    last = contents["metrics.json"].get("diverged_at", {}).get("epoch", epochs)
    if not (folder.path / "history.csv").exists():
        return []
    found = [row["epoch"] for row in contents["history.csv"]]
    return [] if found == list(range(last + 1)) else ["history.csv"]


def set_damaged_aside(console: Console, cells: Iterable[PlannedCell]) -> None:
    """Empty the folders of damaged runs, so that they are trained again, and say so.

    Their files are kept in the store, beside the runs. Runs that another process is at work on
    are left to it.
    """
    for planned in cells:
        folder = planned.folder
        found = damage(folder, planned.cell.train.epochs)
        if not found:
            continue
        with folder.lock() as mine:
            if not mine:
                continue
            place = folder.set_aside(folder.path.parents[1] / FOLDER / folder.path.name)
            folder.plan(planned.cell)
        console.print(
            f"[yellow]damaged[/] {escape(str(folder.path))}: {', '.join(found)}; the run is "
            f"trained again, and what was there now lies in {escape(str(place))}",
            soft_wrap=True,
        )
