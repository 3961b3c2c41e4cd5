"""From a name to a data set in the data folder: whole or not at all, by one process at a time."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from datasets.base import DATASETS
from datasets.download.fetch import Progress, check_address, fetch, verify
from datasets.download.source import Archive, Source
from datasets.download.unpack import unpack
from datasets.sample import DatasetError

MIRROR_VARIABLE = "LOSSBENCH_MIRROR"
MARKER = "lossbench.json"
"""File of a fetched data set that says which archives it was unpacked from."""

NOTHING = "nothing"
"""What archives that were taken unverified were held against, in the marker's words."""

ARCHIVES = ".archives"
"""Folder of the data folder in which archives and parts of them lie until they are unpacked."""


@dataclass(frozen=True)
class Origin:
    """Where archives come from and how strictly they are looked at.

    Attributes:
        place: address or folder that holds all archives by their names; empty: each from its
            publisher.
        check: whether sizes and checksums must be the published ones.
        keep: whether archives stay after they were unpacked.

    Raises:
        DatasetError: ``place`` is an address that nothing can be fetched from.
    """

    place: str = field(default_factory=lambda: os.environ.get(MIRROR_VARIABLE, ""))
    check: bool = True
    keep: bool = False

    def __post_init__(self) -> None:
        if "://" in self.place:
            check_address(self.place)

    @property
    def folder(self) -> Path | None:
        """The folder that ``place`` names, if it is no address."""
        return Path(self.place) if self.place and "://" not in self.place else None

    def url(self, archive: Archive) -> str:
        """Where to fetch an archive from."""
        return f"{self.place.rstrip('/')}/{archive.file_name}" if self.place else archive.url


def known_sources() -> dict[str, Source]:
    """Every data set that can be fetched, by name."""
    found = {name: getattr(cls, "source", None) for name, cls in DATASETS.items()}
    return {name: source for name, source in sorted(found.items()) if source is not None}


def install(
    source: Source,
    data: Path,
    origin: Origin,
    *,
    progress: Progress | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Path:
    """Bring a data set into the data folder, unless it is there.

    Archives are fetched and checked, unpacked beside the place where the data set will lie,
    and moved there in one step, so a half-unpacked one is never taken for whole. Of several
    processes one works, the others wait and find it done.

    Args:
        source: what to bring.
        data: the data folder; made if missing.
        origin: where from.
        progress: told what arrives.
        tell: told in a sentence what is being done.

    Returns:
        The data set's folder; for one that is read from others, the data folder.

    Raises:
        DatasetError: it cannot be fetched, is not what was published, or something else lies
            in its place.
    """
    for needed in source.needs:
        install(needed, data, origin, progress=progress, tell=tell)
    if source.needs:
        return data
    target = data / source.name
    if source.is_in(data):
        tell(f"{source.name}: is in {target}{_checked(target)}")
        return target
    if target.exists():
        lacking = ", ".join(source.missing(target / source.inner))
        raise DatasetError(
            f"{target}: something else lies there (no {lacking} in {target / source.inner}); "
            "move it away or choose another folder with --data"
        )
    data.mkdir(parents=True, exist_ok=True)
    lock = FileLock(data / f".{source.name}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        tell(f"{source.name}: another process is at it; waiting")
        lock.acquire()
    try:
        if not source.is_in(data):
            _install(source, data, origin, progress, tell)
            tell(f"{source.name}: is now in {target}")
    finally:
        lock.release()
    return target


def _install(
    source: Source,
    data: Path,
    origin: Origin,
    progress: Progress | None,
    tell: Callable[[str], None],
) -> None:
    archives = [(one, *_obtain(one, data, origin, progress, tell)) for one in source.archives]
    unpacking = data / f".{source.name}.unpacking"
    shutil.rmtree(unpacking, ignore_errors=True)
    try:
        for archive, path, _ in archives:
            tell(f"{source.name}: unpacking {path.name}")
            unpack(path, unpacking / archive.into, strip=archive.strip, progress=progress)
        lacking = source.missing(unpacking / source.inner)
        if lacking:
            raise DatasetError(
                f"{source.name}: the archives hold no {', '.join(lacking)}; they are not those "
                "of this data set"
            )
        facts = [
            {
                "name": a.file_name,
                "from": _shown(a, origin),
                "sha256": digest,
                "checked": _by(a, origin),
            }
            for a, _, digest in archives
        ]
        (unpacking / MARKER).write_text(
            json.dumps({"name": source.name, "archives": facts}, indent=1)
        )
        os.replace(unpacking, data / source.name)
    finally:
        shutil.rmtree(unpacking, ignore_errors=True)
    if origin.folder is None and not origin.keep:
        for _, path, _ in archives:
            path.unlink()


def _obtain(
    archive: Archive,
    data: Path,
    origin: Origin,
    progress: Progress | None,
    tell: Callable[[str], None],
) -> tuple[Path, str]:
    """Path and SHA-256 of an archive: one in the user's folder, or fetched."""
    if origin.folder is not None:
        if origin.folder.is_file():
            raise DatasetError(
                f"{origin.folder}: is a file; --from and {MIRROR_VARIABLE} name the folder that "
                "holds the archives"
            )
        path = origin.folder / archive.file_name
        if not path.is_file():
            raise DatasetError(f"{path}: no such file (it is published at {archive.url})")
        digest = verify(path, archive, check=origin.check)
    else:
        (data / ARCHIVES).mkdir(exist_ok=True)
        tell(f"fetching {origin.url(archive)}")
        path, digest = fetch(
            archive,
            origin.url(archive),
            data / ARCHIVES,
            progress=progress,
            tell=tell,
            check=origin.check,
        )
    if archive.sha256 is None and origin.check:
        _compare_with_first(archive, digest, path, data)
    return path, digest


def _compare_with_first(archive: Archive, digest: str, path: Path, data: Path) -> None:
    """Hold an archive without a published checksum against its first download, or note it."""
    note = data / f".{archive.file_name}.sha256"  # in the form that sha256sum reads
    if not note.exists():
        note.write_text(f"{digest}  {archive.file_name}\n")
        return
    first = note.read_text().split(maxsplit=1)[0]
    if first != digest:
        raise DatasetError(
            f"{path}: wrong checksum: the file's SHA-256 is {digest}, but that of the first "
            f"download, kept in {note}, is {first}"
        )


def _by(archive: Archive, origin: Origin) -> str:
    """What an archive was held against, for the marker."""
    if not origin.check:
        return NOTHING
    return archive.checked_by if archive.sha256 else "its size"


def _shown(archive: Archive, origin: Origin) -> str:
    return str(origin.folder) if origin.folder is not None else origin.url(archive)


def _checked(target: Path) -> str:
    """How a data set that is there was checked when it came."""
    try:
        facts = json.loads((target / MARKER).read_text())["archives"]
        unchecked = {a["name"]: ", not checked" for a in facts if a["checked"] == NOTHING}
        return ", unpacked from " + ", ".join(
            f"{a['name']} (sha256 {a['sha256'][:12]}{unchecked.get(a['name'], '')})" for a in facts
        )
    except (OSError, ValueError, KeyError, TypeError):
        return ", not put there by this command; its files were not checked"
