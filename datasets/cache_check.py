"""Whether the files of a cache are those that were written, without reading them every time."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from datasets.cache_files import crc_of

CHECKS = "checks.json"
SETTLED_NS = 2_000_000_000
"""A file whose times are younger may change once more without their telling."""


class CheckedFiles:
    """Size, CRC-32 and times of the files in a folder, kept there in ``checks.json``.

    A file is read again only where its times (of the last change of its content and of its
    entry in the file system) are not those at which it was read last. So a cut, overwritten,
    copied or restored file is found out; bytes that a failing disk alters by itself are not.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, dict[str, Any]] = {}

    def add(self, path: Path) -> None:
        """Take a file that is complete."""
        self._files[path.name] = {
            "bytes": path.stat().st_size,
            "times": _times(path),
            "crc": crc_of(path),
        }

    def save(self) -> None:
        """Write ``checks.json``, in one step.

        Times that are too young are left out, so that these files are read once more next time.
        """
        limit = time.time_ns() - SETTLED_NS
        for name, facts in self._files.items():
            times = _times(self._folder / name)
            settled = max(times) < limit and times == facts["times"]
            self._files[name] = {**facts, "times": times if settled else None}
        path = self._folder / CHECKS
        temporary = path.with_name(f"{CHECKS}.tmp")
        temporary.write_text(json.dumps(self._files, indent=1))
        os.replace(temporary, path)

    @classmethod
    def fault(cls, folder: Path) -> str | None:
        """What is wrong with the files of a folder, or None.

        Raises:
            OSError: a file is missing.
            AttributeError, KeyError, TypeError, ValueError: ``checks.json`` is damaged.
        """
        checked = cls(folder)
        checked._files = json.loads((folder / CHECKS).read_text())
        read_again = False
        for name, facts in checked._files.items():
            path = folder / name
            if path.stat().st_size != facts["bytes"]:
                return f"{name} has not the size it was written with"
            times, crc = _times(path), facts["crc"]
            if facts["times"] == times:
                continue
            if crc_of(path) != crc:
                return f"{name} has changed since it was written"
            facts["times"], read_again = times, True
        if read_again:
            checked.save()
        return None


def _times(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_mtime_ns, status.st_ctime_ns]
