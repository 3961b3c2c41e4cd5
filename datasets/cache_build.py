"""Decoding a split into the files of a cache, in one process or in several."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from datasets.base import Dataset, Split
from datasets.cache_check import CheckedFiles
from datasets.cache_files import COLUMNS, INSTANCE_COLUMNS, ColumnWriter, Shards, column_path
from datasets.cache_pool import map_in_order
from datasets.cached_split import META
from datasets.fingerprint import fingerprint, sample_digest
from datasets.letterbox import Letterbox
from datasets.run_lengths import encode_masks
from datasets.sample import DatasetError

Progress = Callable[[int, int], None]
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
SAMPLES_PER_PROCESS = 200
"""A process more is started for so many samples; below, starting it costs what it would save."""
MOST_PROCESSES = 4


@dataclass(frozen=True)
class Note:
    """What is known of a sample whose pixels have been written.

    Attributes:
        boxes: float32 ``[n, 4]``, in pixels of the cached image.
        size: height and width of the original.
        has_semantic: whether a semantic mask was written.
        instances: run lengths of each object's mask; None where the sample has no such masks.
        digest: of the sample as it was read.
    """

    id: str
    path: str
    boxes: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    scale: float
    size: tuple[int, int]
    dropped: int
    has_semantic: bool
    instances: list[bytes] | None
    digest: bytes


@dataclass(frozen=True)
class Encoder:
    """Decodes samples and writes their pixels; everything that a process needs for it.

    Attributes:
        folder: where the cache is being built.
        image_size: height and width of the cached images.
        images: where they go.
        semantics: where semantic masks go.
    """

    folder: Path
    dataset: Dataset
    split: Split
    image_size: tuple[int, int]
    images: Shards
    semantics: Shards

    @classmethod
    def into(
        cls, folder: Path, dataset: Dataset, split: Split, image_size: tuple[int, int]
    ) -> Encoder:
        """With files of pixels of the usual size in ``folder``."""
        images = Shards.sized(folder, "images", (*image_size, 3))
        semantics = Shards.sized(folder, "semantic", image_size)
        return cls(folder, dataset, split, image_size, images, semantics)

    def __call__(self, numbered: tuple[int, str]) -> Note:
        """Write the pixels of the sample ``(index, id)``.

        Raises:
            DatasetError: the sample breaks the contract or cannot be read.
            OSError: its pixels cannot be written.
        """
        index, sample_id = numbered
        sample = self.dataset.load_for(sample_id, self.split).validate(self.dataset.classes)
        height, width = sample.image.shape[:2]
        fitted = Letterbox.fit((height, width), self.image_size)
        self.images.write(index, fitted.image(sample.image))
        if sample.semantic is not None:
            self.semantics.write(index, fitted.mask(sample.semantic))
        masks = sample.instance_masks
        return Note(
            id=sample_id,
            path=sample.path,
            boxes=(sample.boxes.astype(np.float64) * fitted.scale).astype(np.float32),
            labels=sample.labels,
            scale=fitted.scale,
            size=(height, width),
            dropped=sample.dropped,
            has_semantic=sample.semantic is not None,
            instances=None if masks is None else encode_masks(fitted.instances(masks)),
            digest=sample_digest(sample),
        )


def default_processes(count: int) -> int:
    """How many processes decode ``count`` samples."""
    cores = os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count()
    return max(1, min(cores or 1, MOST_PROCESSES, count // SAMPLES_PER_PROCESS))


def build_cache(
    encoder: Encoder, ids: list[str], facts: dict[str, object], processes: int, progress: Progress
) -> None:
    """Write all files of a cache into ``encoder.folder``, the description last.

    The bytes do not depend on the number of processes, and the memory not on that of samples.

    Args:
        encoder: does a single sample.
        ids: of all samples, in order; not empty.
        facts: further entries of the description.
        processes: how many decode; 1 does it in this one.
        progress: called with (done, total) after each sample.

    Raises:
        DatasetError: a sample is at fault, the disk is full, or a process died.
    """
    try:
        _write(encoder, ids, facts, processes, progress)
    except OSError as error:
        if error.errno not in DISK_FULL:
            error.filename = error.filename or str(encoder.folder)
            raise
        raise DatasetError(
            f"{encoder.folder}: the disk filled up while {len(ids):,} samples were decoded "
            f"({error.strerror})"
        ) from error


def _write(
    encoder: Encoder, ids: list[str], facts: dict[str, object], processes: int, progress: Progress
) -> None:
    count = len(ids)
    shards = [encoder.images]
    _check_room(shards, count)
    checked = CheckedFiles(encoder.folder)
    digests: list[bytes] = []
    samples = map_in_order(encoder, list(enumerate(ids)), processes)
    with samples as notes, _Columns(encoder.folder) as columns:
        for index, note in enumerate(notes):
            if index == 0 and note.has_semantic:
                shards.append(encoder.semantics)
                _check_room(shards[1:], count)
            _check_alike(note, len(shards) > 1, encoder.split)
            columns.add(note)
            digests.append(note.digest)
            for number, each in _completed(shards, index, count):
                checked.add(each.path(number))
            progress(index + 1, count)
    for path in columns.paths():
        checked.add(path)
    checked.save()
    description = {
        **facts,
        "count": count,
        "image_size": list(encoder.image_size),
        "classes": encoder.dataset.classes,
        "fingerprint": fingerprint(encoder.dataset.classes, digests),
        "has_semantic": len(shards) > 1,
        "has_instances": columns.has_instances,
        "per_file": {each.name: each.per_file for each in shards},
    }
    (encoder.folder / META).write_text(json.dumps(description, indent=1))


def _check_room(shards: list[Shards], count: int) -> None:
    """Refuse to begin what cannot end: the files of pixels are by far the largest."""
    for each in shards:
        needed = count * int(np.prod(each.shape))
        free = shutil.disk_usage(each.folder).free
        if needed > free:
            raise DatasetError(
                f"{each.folder}: the {each.name} of {count:,} samples need {needed:,} bytes, "
                f"but only {free:,} are free"
            )


def _check_alike(note: Note, with_mask: bool, split: Split) -> None:
    if note.has_semantic != with_mask:
        raise DatasetError(
            f"{note.path}: {'has a mask' if note.has_semantic else 'has no mask'}, "
            f"unlike the samples of the split '{split}' before it"
        )


def _completed(shards: list[Shards], index: int, count: int) -> Iterator[tuple[int, Shards]]:
    """The files that are full once the sample ``index`` is written: to be summed while cached."""
    for each in shards:
        number, place = divmod(index, each.per_file)
        if place + 1 == each.per_file or index + 1 == count:
            yield number, each


class _Columns:
    """The columns of a new cache, written as the notes come in."""

    def __init__(self, folder: Path) -> None:
        self.has_instances = True
        self._folder = folder
        self._writers = {name: ColumnWriter(folder, name) for name in COLUMNS}

    def add(self, note: Note) -> None:
        writers = self._writers
        for name in ("boxes", "labels"):
            writers[name].add(getattr(note, name))
        writers["objects"].add_end(len(note.labels))
        for name, value in (
            ("scales", note.scale),
            ("sizes", note.size),
            ("dropped", note.dropped),
        ):
            writers[name].add(value)
        for name, text in (("id", note.id), ("path", note.path)):
            self._add_bytes(f"{name}s", f"{name}_ends", text.encode())
        self.has_instances &= note.instances is not None
        for runs in note.instances or ():
            self._add_bytes(*INSTANCE_COLUMNS, runs)

    def _add_bytes(self, name: str, ends: str, data: bytes) -> None:
        self._writers[name].add(np.frombuffer(data, np.uint8))
        self._writers[ends].add_end(len(data))

    def __enter__(self) -> _Columns:
        return self

    def __exit__(self, *raised: object) -> None:
        for writer in self._writers.values():
            writer.close()

    def paths(self) -> list[Path]:
        """All files, which are closed; without a mask for every object those of none go."""
        paths = {name: column_path(self._folder, name) for name in self._writers}
        if not self.has_instances:
            for name in INSTANCE_COLUMNS:
                paths.pop(name).unlink()
        return list(paths.values())
