"""A run folder as bytes: how it travels between machines that share no disk."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from benchmark.store import ARRIVING, forget_arrivals, write_atomically
from datasets.download.unpack import unpack

MAX_BYTES = 4 * 2**30
"""Of one run folder. The checkpoint of a detector is some hundred megabytes."""
LAST = ("checkpoint.pt", "metrics.json")
"""Files that say something of the others, so they come after them, in this order."""


def pack(folder: Path) -> bytes:
    """The files of a run folder as a ZIP archive, without its lock and temporary files.

    Raises:
        ValueError: they are larger than :data:`MAX_BYTES`.
    """
    files = [name for name in _files(folder) if (folder / name).is_file()]
    total = sum((folder / name).stat().st_size for name in files)
    if total > MAX_BYTES:
        raise ValueError(f"the run's files have {total:,} bytes, {MAX_BYTES:,} at most can travel")
    buffer = io.BytesIO()
    # Uncompressed: nearly all of it are weights, which do not get smaller.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in files:
            archive.write(folder / name, name.as_posix())
    return buffer.getvalue()


def deliver(content: bytes, folder: Path) -> None:
    """Make a run folder hold the packed files and no others, but for its lock.

    Each file takes its place in one step, ``metrics.json`` as the last, so a runner that is
    killed meanwhile leaves a run that goes on, or one that has ended. The caller holds the lock.

    Raises:
        DatasetError: the archive is damaged, or a name in it leads out of the folder.
        ValueError: it is larger than :data:`MAX_BYTES`.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(
            f"the run's files have {len(content):,} bytes, {MAX_BYTES:,} at most can travel"
        )
    folder.mkdir(parents=True, exist_ok=True)
    forget_arrivals(folder)
    with tempfile.TemporaryDirectory(prefix=ARRIVING, dir=folder) as temporary:
        arrived = Path(temporary) / "files"
        archive = Path(temporary) / "run.zip"
        archive.write_bytes(content)
        unpack(archive, arrived)
        names = _files(arrived)
        for name in names:
            _move(arrived / name, folder / name)
    for name in _files(folder):
        if name not in names:
            (folder / name).unlink()


def _files(folder: Path) -> list[Path]:
    """Names of the files in a run folder, in the order in which they may appear."""
    found = [path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir()]
    shown = [name for name in found if not any(part.startswith(".") for part in name.parts)]
    return sorted(shown, key=lambda name: (str(name) in LAST, str(name)))


def _move(source: Path, target: Path) -> None:
    if target.is_dir():  # of a logger that has since been taken out
        shutil.rmtree(target)
    write_atomically(target, lambda temporary: os.replace(source, temporary), durable=True)
