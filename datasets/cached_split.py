"""A split at training size, as :func:`datasets.cache.prepare` leaves it on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.cache_files import (
    COLUMNS,
    INSTANCE_COLUMNS,
    ShardReader,
    Shards,
    Texts,
    open_column,
)
from datasets.letterbox import Letterbox
from datasets.run_lengths import decode_masks
from datasets.sample import DatasetError

META = "meta.json"
"""The file that describes the others; written last."""


@dataclass
class CachedSplit:
    """One split at training size, read from memory-mapped files; cheap to copy to a process.

    Everything is paged in as it is looked at, and shared by all processes on the machine: what a
    process needs for itself does not grow with the data set. What the methods return for images
    and semantic masks is read-only and lies in the file: copy to change.
    """

    folder: Path
    _meta: dict[str, Any] = field(init=False, repr=False)
    _columns: dict[str, npt.NDArray[Any]] = field(init=False, repr=False)
    _images: ShardReader = field(init=False, repr=False)
    _semantics: ShardReader | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        meta = self._meta = json.loads((self.folder / META).read_text())
        names = [n for n in COLUMNS if meta["has_instances"] or n not in INSTANCE_COLUMNS]
        self._columns = {name: open_column(self.folder, name) for name in names}
        self._images = self._reader("images", (*self.image_size, 3))
        self._semantics = self._reader("semantic", self.image_size) if self.has_semantic else None

    def _reader(self, name: str, shape: tuple[int, ...]) -> ShardReader:
        shards = Shards(self.folder, name, shape, self._meta["per_file"][name])
        return ShardReader(shards, self._meta["count"])

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.folder = state["folder"]
        self.__post_init__()

    def __len__(self) -> int:
        return self._meta["count"]

    @property
    def ids(self) -> Sequence[str]:
        """Names of the samples, in order."""
        return Texts(self._columns["ids"], self._columns["id_ends"])

    @property
    def classes(self) -> list[str]:
        """Names of the foreground classes."""
        return self._meta["classes"]

    @property
    def fingerprint(self) -> str:
        """What the samples held when they were read; see :mod:`datasets.fingerprint`."""
        return self._meta["fingerprint"]

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of every image, in pixels."""
        height, width = self._meta["image_size"]
        return height, width

    @property
    def has_semantic(self) -> bool:
        """Whether there is a semantic mask for every image."""
        return self._meta["has_semantic"]

    @property
    def has_instances(self) -> bool:
        """Whether there is a mask for every object of every image."""
        return self._meta["has_instances"]

    @property
    def num_boxes(self) -> int:
        """Boxes of all samples together."""
        return len(self._columns["labels"])

    @property
    def dropped(self) -> dict[str, int]:
        """Number of boxes without width or height left out, by file."""
        counts = self._columns["dropped"]
        return {self.path(int(index)): int(counts[index]) for index in np.flatnonzero(counts)}

    def path(self, index: int) -> str:
        """The file to name in messages about a sample."""
        return Texts(self._columns["paths"], self._columns["path_ends"])[index]

    def image(self, index: int) -> npt.NDArray[np.uint8]:
        """RGB image, uint8 ``[H, W, 3]``."""
        return self._images[self._position(index)]

    def boxes(self, index: int) -> npt.NDArray[np.float32]:
        """Boxes, float32 ``[n, 4]``, xyxy in pixels of the cached image."""
        return np.array(self._columns["boxes"][self._rows(index)])

    def labels(self, index: int) -> npt.NDArray[np.int64]:
        """Labels, int64 ``[n]``."""
        return np.array(self._columns["labels"][self._rows(index)])

    def semantic(self, index: int) -> npt.NDArray[np.uint8] | None:
        """Semantic mask, uint8 ``[H, W]``, padding ignored (255); None where there is none."""
        return self._semantics[self._position(index)] if self._semantics is not None else None

    def instances(self, index: int) -> npt.NDArray[np.uint8]:
        """Masks of the objects, 0 or 1, uint8 ``[n, H, W]``, in the order of the boxes.

        An object so small that no pixel is left of it at this size keeps a mask of zeros, as it
        keeps its box; padding is 0. The array is the caller's own.

        Raises:
            DatasetError: there are none, see :attr:`has_instances`.
        """
        if not self.has_instances:
            raise DatasetError(f"{self.folder}: not every object has a mask of its own")
        rows = self._rows(index)
        data, ends = self._columns["instances"], self._columns["instance_ends"]
        runs = [data[ends[row] : ends[row + 1]].tobytes() for row in range(rows.start, rows.stop)]
        return decode_masks(runs, self.image_size)

    def scale(self, index: int) -> float:
        """Pixels of the cached image per pixel of the original."""
        return float(self._columns["scales"][index])

    def original_size(self, index: int) -> tuple[int, int]:
        """Height and width of the original, in pixels."""
        height, width = self._columns["sizes"][index]
        return int(height), int(width)

    def picture_size(self, index: int) -> tuple[int, int]:
        """Height and width of the part of the cached image that is not padding, in pixels."""
        fitted = Letterbox.fit(self.original_size(index), self.image_size)
        return fitted.height, fitted.width

    def _position(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of a split of {len(self)}")
        return index % len(self)

    def _rows(self, index: int) -> slice:
        position = self._position(index)
        ends = self._columns["objects"]
        return slice(int(ends[position]), int(ends[position + 1]))


def open_cached(folder: Path) -> CachedSplit:
    """Open what :func:`prepare` has made, without checking it again; for worker processes.

    Raises:
        DatasetError: the folder holds no whole cache.
    """
    try:
        return CachedSplit(folder)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{folder}: not a cached data set ({error})") from error
