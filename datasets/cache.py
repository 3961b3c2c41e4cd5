"""Decode once: a split at training size, in files that all processes map into memory."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import sys
import warnings
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from filelock import FileLock
from numpy.lib.format import open_memmap

from datasets.base import Dataset, Split, resolve_root
from datasets.cached_split import META, CachedSplit, open_cached
from datasets.letterbox import Letterbox
from datasets.sample import DatasetError, Sample

__all__ = ["CachedSplit", "open_cached", "prepare", "warn_of_dropped_boxes"]

CACHE_VERSION = 1
"""Raised when the files below change their meaning; older caches are then built anew."""

Progress = Callable[[int, int], None]


def prepare(
    dataset: Dataset,
    split: Split,
    image_size: tuple[int, int],
    cache_dir: Path,
    progress: Progress | None = None,
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

    Raises:
        DatasetError: the split is empty, or a sample breaks the contract or cannot be read.

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
        if folder.exists():
            fault = _fault(folder, stamps)
            if fault is None:
                return CachedSplit(folder)
            if fault:
                warnings.warn(f"{folder}: {fault}; it is built anew", UserWarning, stacklevel=2)
        _replace(folder, lambda new: _build(new, dataset, split, image_size, ids, stamps, progress))
        return CachedSplit(folder)


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
    """Digest of what the samples come from: size and time of each file, and the code that reads."""
    digest = hashlib.sha256()
    module = getattr(sys.modules[type(dataset).__module__], "__file__", None)
    code = {*Path(__file__).parent.glob("*.py"), *([Path(module)] if module else [])}
    for path in sorted(code):
        digest.update(path.read_bytes())
    for path in dict.fromkeys(path for sample_id in ids for path in dataset.files(sample_id)):
        try:
            status = path.stat()
        except OSError as error:
            raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _fault(folder: Path, stamps: str) -> str | None:
    """None for a whole and current cache, "" for one whose sources changed, else the damage."""
    try:
        meta = json.loads((folder / META).read_text())
        if meta["stamps"] != stamps:
            return ""
        for name, expected in meta["arrays"].items():
            path = folder / f"{name}.npy"
            if path.stat().st_size != expected["bytes"]:
                return f"{path.name} has not the size it was written with"
            if _crc(path) != expected["crc"]:
                return f"{path.name} has changed since it was written"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"damaged ({error})"
    return None


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            crc = zlib.crc32(block, crc)
    return crc


def _build(
    folder: Path,
    dataset: Dataset,
    split: Split,
    image_size: tuple[int, int],
    ids: list[str],
    stamps: str,
    progress: Progress | None,
) -> None:
    """Write all arrays into ``folder``, images straight to the file, then the description."""
    count = len(ids)
    images = _new_array(folder / "images.npy", (count, *image_size, 3))
    semantics: npt.NDArray[np.uint8] | None = None
    notes = _Notes()
    for index, sample_id in enumerate(ids):
        sample = dataset.load_for(sample_id, split).validate(dataset.classes)
        fitted = Letterbox.fit(sample.image.shape[:2], image_size)
        images[index] = fitted.image(sample.image)
        if index == 0 and sample.semantic is not None:
            semantics = _new_array(folder / "semantic.npy", (count, *image_size))
        if semantics is not None and sample.semantic is not None:
            semantics[index] = fitted.mask(sample.semantic)
        elif semantics is not None or sample.semantic is not None:
            raise DatasetError(
                f"{sample.path}: {'has no mask' if sample.semantic is None else 'has a mask'}, "
                f"unlike the samples of the split '{split}' before it"
            )
        notes.add(sample, fitted.scale)
        if progress is not None:
            progress(index + 1, count)
    arrays = notes.arrays()
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    names = ["images", *arrays] if semantics is None else ["images", "semantic", *arrays]
    del images, semantics  # closes the maps: all is handed to the file system before it is summed
    meta = {
        "version": CACHE_VERSION,
        "image_size": list(image_size),
        "classes": dataset.classes,
        "stamps": stamps,
        "dropped": notes.dropped,
        "arrays": {name: _file_facts(folder / f"{name}.npy") for name in names},
        "ids": ids,
        "paths": notes.paths,
    }
    (folder / META).write_text(json.dumps(meta, indent=1))


def _new_array(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """A new ``.npy`` file of bytes, mapped into memory for writing.

    A disk that fills up while a map is written kills the process, so room is asked for before.
    """
    needed, free = math.prod(shape), shutil.disk_usage(path.parent).free
    if needed > free:
        raise DatasetError(f"{path}: needs {needed:,} bytes, but only {free:,} are free")
    return open_memmap(path, "w+", np.dtype(np.uint8), shape)


def _file_facts(path: Path) -> dict[str, int]:
    return {"bytes": path.stat().st_size, "crc": _crc(path)}


class _Notes:
    """What is small enough to be collected in memory while the images are written."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.dropped: dict[str, int] = {}
        self._boxes: list[npt.NDArray[np.float32]] = []
        self._labels: list[npt.NDArray[np.int64]] = []
        self._scales: list[float] = []
        self._sizes: list[Sequence[int]] = []

    def add(self, sample: Sample, scale: float) -> None:
        self.paths.append(sample.path)
        if sample.dropped:
            self.dropped[sample.path] = sample.dropped
        self._boxes.append((sample.boxes.astype(np.float64) * scale).astype(np.float32))
        self._labels.append(sample.labels)
        self._scales.append(scale)
        self._sizes.append(sample.image.shape[:2])

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Boxes and labels of all samples in one row; ``offsets`` says where each begins."""
        counts = [len(labels) for labels in self._labels]
        return {
            "boxes": np.concatenate(self._boxes),
            "labels": np.concatenate(self._labels),
            "offsets": np.cumsum([0, *counts], dtype=np.int64),
            "scales": np.array(self._scales, np.float64),
            "sizes": np.array(self._sizes, np.int64),
        }
