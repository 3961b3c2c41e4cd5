"""Decode once: a split at training size, in files that all processes map into memory."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from filelock import FileLock

from datasets.base import Dataset, Split, resolve_root
from datasets.cache_build import Encoder, Progress, build_cache, default_processes
from datasets.cache_check import CheckedFiles
from datasets.cached_split import META, CachedSplit, open_cached
from datasets.code_behind import code_behind
from datasets.sample import DatasetError

__all__ = ["CachedSplit", "open_cached", "prepare", "warn_of_dropped_boxes"]

CACHE_VERSION = 3
"""Raised when the files below change their meaning; older caches are then built anew."""


def prepare(
    dataset: Dataset,
    split: Split,
    image_size: tuple[int, int],
    cache_dir: Path,
    progress: Progress | None = None,
    processes: int | None = None,
) -> CachedSplit:
    """Open the cache of one split, building it if there is none that is whole and current.

    Any number of processes may ask at once: one builds, the others wait for it.

    Args:
        dataset: where the samples come from.
        split: which of its splits.
        image_size: height and width that images are brought to: scaled by one factor, put into
            the top left corner, the rest filled with grey (masks: with 255, ignored).
        cache_dir: folder in which caches lie, one folder each; made if missing.
        progress: called with (done, total) after each sample that is decoded.
        processes: how many decode; 1 does it in this one. By default as many as the processor
            has cores, up to 4, and one for a small split. The bytes are the same for any number.

    Raises:
        DatasetError: the split is empty, a sample breaks the contract or cannot be read, or the
            disk is too small.

    Warns:
        UserWarning: a cache was damaged and is built anew.
    """
    ids = dataset.ids(split)
    if not ids:
        raise DatasetError(f"{type(dataset).__name__}: the split '{split}' has no samples")
    key = _key(dataset, split, image_size, ids)
    height, width = image_size
    folder = cache_dir / f"{type(dataset).__name__}-{split}-{height}x{width}-{key}"
    stamps = _stamps(dataset, ids)
    cache_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not _is_current(folder, stamps):
            facts = {"version": CACHE_VERSION, "stamps": stamps}
            how_many = processes or default_processes(len(ids))

            def build(new: Path) -> None:
                encoder = Encoder.into(new, dataset, split, image_size)
                build_cache(encoder, ids, facts, how_many, progress or _silent)

            _replace(folder, build)
        return CachedSplit(folder)


def _is_current(folder: Path, stamps: str) -> bool:
    """Whether a cache is there, whole, and of these sources; warns of one that is damaged."""
    if not folder.exists():
        return False
    fault = _fault(folder, stamps)
    if fault:
        warnings.warn(f"{folder}: {fault}; it is built anew", UserWarning, stacklevel=3)
    return fault is None


def _silent(done: int, total: int) -> None:
    """What is told of the progress to a caller that does not ask."""


def _replace(folder: Path, build: Callable[[Path], None]) -> None:
    """Fill a new folder and put it in place of ``folder``, so that no half is ever seen there.

    The names are fixed because the lock admits one builder: it clears what a killed one left.
    """
    building = folder.with_name(f"{folder.name}.building")
    outdated = folder.with_name(f"{folder.name}.outdated")
    for leftover in (building, outdated):
        shutil.rmtree(leftover, ignore_errors=True)
    building.mkdir()
    try:
        build(building)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    if folder.exists():
        os.replace(folder, outdated)
    os.replace(building, folder)
    shutil.rmtree(outdated, ignore_errors=True)


def warn_of_dropped_boxes(splits: Iterable[CachedSplit]) -> None:
    """Give one warning that counts the degenerate boxes left out and names their files."""
    dropped: dict[str, int] = {}
    for split in splits:
        dropped |= split.dropped
    if dropped:
        count = sum(dropped.values())
        warnings.warn(
            f"{count} {'box' if count == 1 else 'boxes'} without width or height dropped, "
            f"in: {', '.join(dropped)}",
            UserWarning,
            stacklevel=2,
        )


def _key(dataset: Dataset, split: Split, image_size: tuple[int, int], ids: list[str]) -> str:
    """Digest of everything a cache follows from, but for the contents of the files."""
    options = asdict(cast(Any, dataset))
    if "root" in options:
        options["root"] = str(resolve_root(options["root"]).resolve())
    kind = f"{type(dataset).__module__}.{type(dataset).__qualname__}"
    parts = [CACHE_VERSION, kind, options, dataset.classes, split, list(image_size), ids]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _stamps(dataset: Dataset, ids: list[str]) -> str:
    """Digest of what the samples come from: each file's size and times, and the code that reads.

    The time of the last change of a file's entry counts too: a copy can keep the time of its
    content, as of another file that lay in its place, but not this one.
    """
    digest = hashlib.sha256()
    for path in code_behind(type(dataset).__module__, build_cache.__module__):
        digest.update(path.read_bytes())
    for path in dict.fromkeys(path for sample_id in ids for path in dataset.files(sample_id)):
        try:
            status = path.stat()
        except OSError as error:
            raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
        times = f"{status.st_mtime_ns}\0{status.st_ctime_ns}"
        digest.update(f"{path}\0{status.st_size}\0{times}\n".encode())
    return digest.hexdigest()


def _fault(folder: Path, stamps: str) -> str | None:
    """None for a whole and current cache, "" for one whose sources changed, else the damage."""
    try:
        if json.loads((folder / META).read_text())["stamps"] != stamps:
            return ""
        return CheckedFiles.fault(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"damaged ({error})"
