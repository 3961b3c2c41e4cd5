"""Results folders that somebody else made: read inside their bounds, and never waited on."""

from __future__ import annotations

import os
from pathlib import Path

from benchmark.options import UserError


def check_bounds(folder: Path) -> None:
    """That nothing in a results folder leads out of it, and that all of it are files and folders.

    A folder that came in an archive may hold links to files of whoever reads it, which would then
    stand in the report, and pipes, which a reader waits on for ever. ``folder`` itself may be a
    link.

    Raises:
        UserError: names the first entry that is neither, and what to do.
    """
    root = os.path.realpath(folder)
    waiting = [root]
    while waiting:
        for entry in _entries(waiting.pop()):
            if entry.is_symlink():
                target = os.path.realpath(entry.path)
                if os.path.commonpath([root, target]) != root:
                    raise UserError(
                        f"{entry.path}: is a link to {target}, outside of the results folder; "
                        "put what it leads to in its place, or remove it"
                    )
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif not entry.is_file(follow_symlinks=False):
                raise UserError(f"{entry.path}: is neither a file nor a folder; remove it")


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """What a folder holds; nothing where it is none, or a run at work has just removed it."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
