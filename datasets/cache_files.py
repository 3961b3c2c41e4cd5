"""Files of a cache: pixels in shards, all else in columns; mapped into memory, never read whole."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

SHARD_BYTES = 256 << 20
"""A file of pixels holds as many samples as fit into so many bytes, and at least one."""
OPEN_SHARDS = 8
"""A process keeps so many files of a kind mapped; the one unused for longest is let go."""

COLUMNS: dict[str, tuple[str, tuple[int, ...]]] = {
    "boxes": ("<f4", (4,)),
    "labels": ("<i8", ()),
    "objects": ("<i8", ()),
    "scales": ("<f8", ()),
    "sizes": ("<i8", (2,)),
    "dropped": ("<i8", ()),
    "ids": ("u1", ()),
    "id_ends": ("<i8", ()),
    "paths": ("u1", ()),
    "path_ends": ("<i8", ()),
    "instances": ("u1", ()),
    "instance_ends": ("<i8", ()),
}
"""Type and shape of one row of each column.

``objects`` holds, for each sample, the row of ``boxes`` and ``labels`` after its last one; the
``*_ends`` in the same way where a text, or an object's run lengths, end. All begin with a 0.
"""
ENDS = tuple(name for name in COLUMNS if name == "objects" or name.endswith("_ends"))
INSTANCE_COLUMNS = ("instances", "instance_ends")


@dataclass(frozen=True)
class Shards:
    """Where the pixels of each sample lie: numbered files of whole samples, without a header.

    Attributes:
        folder: of the files.
        name: that their names begin with.
        shape: of one sample; the type is uint8.
        per_file: samples in a file; the last may hold fewer.
    """

    folder: Path
    name: str
    shape: tuple[int, ...]
    per_file: int

    @classmethod
    def sized(cls, folder: Path, name: str, shape: tuple[int, ...]) -> Shards:
        """With as many samples in a file as :data:`SHARD_BYTES` allows."""
        return cls(folder, name, shape, max(1, SHARD_BYTES // math.prod(shape)))

    def path(self, number: int) -> Path:
        """The file with this number, counted from 0."""
        return self.folder / f"{self.name}-{number:05d}.bin"

    def write(self, index: int, values: npt.NDArray[np.uint8]) -> None:
        """Put one sample in its place; several processes may do so at once, in any order.

        Raises:
            OSError: as on a full disk, which would kill a process that writes to mapped memory.
        """
        if values.shape != self.shape or values.dtype != np.uint8:
            raise ValueError(f"expected uint8 {self.shape}, got {values.dtype} {values.shape}")
        number, place = divmod(index, self.per_file)
        descriptor = os.open(
            self.path(number), os.O_CREAT | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666
        )
        with open(descriptor, "wb") as file:
            file.seek(place * values.nbytes)
            file.write(np.ascontiguousarray(values).data)


class ShardReader:
    """Read-only views of the samples in shards; files are mapped when they are needed."""

    def __init__(self, shards: Shards, count: int) -> None:
        self._shards = shards
        self._count = count
        self._mapped = lru_cache(maxsize=OPEN_SHARDS)(self._map)

    def __getitem__(self, index: int) -> npt.NDArray[np.uint8]:
        number, place = divmod(index, self._shards.per_file)
        return np.asarray(self._mapped(number)[place])

    def _map(self, number: int) -> npt.NDArray[np.uint8]:
        rows = min(self._shards.per_file, self._count - number * self._shards.per_file)
        path = self._shards.path(number)
        return np.memmap(path, np.uint8, "r", shape=(rows, *self._shards.shape))


class ColumnWriter:
    """Appends rows to the file of one column."""

    def __init__(self, folder: Path, name: str) -> None:
        self._dtype, self._row = COLUMNS[name]
        self._file = column_path(folder, name).open("wb")
        self._end = 0
        if name in ENDS:
            self.add(0)

    def add(self, values: npt.ArrayLike) -> None:
        """Append rows, or a single number."""
        self._file.write(np.asarray(values, self._dtype).reshape(-1, *self._row).tobytes())

    def add_end(self, length: int) -> None:
        """Append where something ends that is ``length`` longer than the end before."""
        self._end += length
        self.add(self._end)

    def close(self) -> None:
        """Hand everything to the file system."""
        self._file.close()


def column_path(folder: Path, name: str) -> Path:
    """The file of a column."""
    return folder / f"{name}.bin"


def open_column(folder: Path, name: str) -> npt.NDArray[Any]:
    """All rows of a column, mapped and read-only.

    Raises:
        OSError: there is no such file.
        ValueError: its size is not that of whole rows.
    """
    dtype, row = COLUMNS[name]
    path = column_path(folder, name)
    if path.stat().st_size == 0:  # no file of no bytes can be mapped
        return np.empty((0, *row), dtype)
    return np.asarray(np.memmap(path, dtype, "r")).reshape(-1, *row)


class Texts(Sequence[str]):
    """Texts that lie in a mapped file, decoded one by one as they are asked for."""

    def __init__(self, data: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64]) -> None:
        self._data = data
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        chosen = range(len(self))[index]
        if isinstance(chosen, range):
            return [self[each] for each in chosen]
        return self._data[self._ends[chosen] : self._ends[chosen + 1]].tobytes().decode()


def crc_of(path: Path) -> int:
    """CRC-32 of a file, read block by block."""
    crc = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            crc = zlib.crc32(block, crc)
    return crc
