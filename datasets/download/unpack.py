"""Unpacking archives that nobody vouches for: nothing leaves the folder, nothing explodes."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from datasets.sample import DatasetError

MAX_RATIO = 20
"""Bytes that a byte of an archive may become. Photographs become 1, COCO's JSON files 4."""

MAX_FILES = 1_000_000
_SLACK = 1 << 20  # archives of a few small files compress better than any ratio allows for
_BLOCK = 1 << 20
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)


@dataclass(frozen=True)
class _Member:
    """One entry of an archive: a plain file, a folder, or (neither) what is refused."""

    name: str
    is_file: bool
    is_folder: bool
    open: Callable[[], IO[bytes]]


def unpack(
    archive: Path,
    folder: Path,
    *,
    strip: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> None:
    """Unpack a tar file (also compressed) or a ZIP file into ``folder``.

    Stricter than tarfile's own "data" filter, and the same for both kinds: plain files and
    folders below ``folder``, no links, no devices, no absolute or climbing paths; permissions
    and owners are not taken over. Bytes are counted as they are written, whatever the archive
    says about its sizes.

    Args:
        archive: the file.
        folder: made if missing; files that it holds already are replaced.
        strip: number of leading folders left out of each name.
        progress: told what is being done, the bytes written so far, and 0 for "unknown".

    Raises:
        DatasetError: the archive is damaged, holds something that is refused, or unpacks to
            more than :data:`MAX_RATIO` times its size, than fits on the disk, or than
            :data:`MAX_FILES` files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    room = archive.stat().st_size * MAX_RATIO + _SLACK
    free = shutil.disk_usage(folder).free
    files = total = 0
    try:
        with _members(archive) as members:
            for member in members:
                target = _target(member, folder, strip, archive)
                if target is None:
                    continue
                if member.is_folder:
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                files += 1
                if files > MAX_FILES:
                    raise DatasetError(f"{archive}: holds more than {MAX_FILES:,} files")
                target.parent.mkdir(parents=True, exist_ok=True)
                written = _write(member, target, min(room, free), archive)
                room, free, total = room - written, free - written, total + written
                if progress is not None:
                    progress(f"unpacking {archive.name}", total, 0)
    except _DAMAGE as error:
        raise DatasetError(f"{archive}: the archive is damaged ({error})") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise DatasetError(
            f"{archive}: '{error.filename}' would be a file and a folder at once"
        ) from error


def _write(member: _Member, target: Path, room: int, archive: Path) -> int:
    """Copy one file; return its size."""
    written = 0
    with member.open() as source, target.open("wb") as file:
        while block := source.read(_BLOCK):
            written += len(block)
            if written > room:
                raise DatasetError(
                    f"{archive}: unpacks to more than {MAX_RATIO} times its size, or than is free "
                    f"on the disk (at '{member.name}'); this is not the data set"
                )
            file.write(block)
    return written


def _target(member: _Member, folder: Path, strip: int, archive: Path) -> Path | None:
    """Where a member goes; None for one that ``strip`` leaves nothing of."""
    name = member.name
    path = PurePosixPath(name)
    outside = (
        path.is_absolute()
        or ".." in path.parts
        or "\\" in name
        or "\0" in name
        or PureWindowsPath(name).drive
    )
    if outside:
        raise DatasetError(f"{archive}: refused, as '{name}' leads out of the folder")
    if not (member.is_file or member.is_folder):
        raise DatasetError(f"{archive}: refused, as '{name}' is a link or a device, not a file")
    kept = path.parts[strip:]
    return folder.joinpath(*kept) if kept else None


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[_Member]]:
    """The entries of a ZIP or tar file, in their order."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            yield _zip_members(zipped)
        return
    with _open_tar(archive) as tar:
        yield _tar_members(tar)


def _open_tar(archive: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(archive)
    except tarfile.ReadError:
        # Its text is a line for each kind of compression. The name tells what was expected.
        kind = "ZIP" if archive.suffix == ".zip" else "tar"
        raise tarfile.ReadError(f"it is no {kind} file, or not a whole one") from None


def _zip_members(zipped: zipfile.ZipFile) -> Iterator[_Member]:
    for info in zipped.infolist():
        if info.flag_bits & 1:
            raise zipfile.BadZipFile(f"'{info.filename}' is encrypted")

        def open_member(info: zipfile.ZipInfo = info) -> IO[bytes]:
            return zipped.open(info)

        # The upper half holds the mode on Unix; other systems leave it at 0.
        kind = stat.S_IFMT(info.external_attr >> 16)
        plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
        yield _Member(
            info.filename,
            is_file=plain and not info.is_dir(),
            is_folder=plain and info.is_dir(),
            open=open_member,
        )


def _tar_members(tar: tarfile.TarFile) -> Iterator[_Member]:
    for info in tar:

        def open_member(info: tarfile.TarInfo = info) -> IO[bytes]:
            file = tar.extractfile(info)
            if file is None:
                raise tarfile.ReadError(f"'{info.name}' has no content")
            return file

        yield _Member(info.name, info.isreg(), info.isdir(), open_member)
