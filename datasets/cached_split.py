"""A split at training size, as :func:`datasets.cache.prepare` leaves it on disk."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.letterbox import Letterbox
from datasets.sample import DatasetError

META = "meta.json"
"""The file that describes the others; written last."""


@dataclass
class CachedSplit:
    """One split at training size, read from memory-mapped files; cheap to copy to a process.

    Pixels are paged in as they are looked at and shared by all processes on the machine. What
    the methods return for images and masks is read-only and lies in the file: copy to change.
    """

    folder: Path
    _meta: dict[str, Any] = field(init=False, repr=False)
    _arrays: dict[str, npt.NDArray[Any]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._meta = json.loads((self.folder / META).read_text())
        self._arrays = {
            name: np.load(self.folder / f"{name}.npy", mmap_mode="r")
            for name in self._meta["arrays"]
        }

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.folder = state["folder"]
        self.__post_init__()

    def __len__(self) -> int:
        return len(self._meta["ids"])

    @property
    def ids(self) -> list[str]:
        """Names of the samples, in order."""
        return self._meta["ids"]

    @property
    def classes(self) -> list[str]:
        """Names of the foreground classes."""
        return self._meta["classes"]

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of every image, in pixels."""
        height, width = self._meta["image_size"]
        return height, width

    @property
    def has_semantic(self) -> bool:
        """Whether there is a semantic mask for every image."""
        return "semantic" in self._arrays

    @property
    def dropped(self) -> dict[str, int]:
        """Number of boxes without width or height left out, by file."""
        return self._meta["dropped"]

    def path(self, index: int) -> str:
        """The file to name in messages about a sample."""
        return self._meta["paths"][index]

    def image(self, index: int) -> npt.NDArray[np.uint8]:
        """RGB image, uint8 ``[H, W, 3]``."""
        return np.asarray(self._arrays["images"][index])

    def boxes(self, index: int) -> npt.NDArray[np.float32]:
        """Boxes, float32 ``[n, 4]``, xyxy in pixels of the cached image."""
        return np.array(self._arrays["boxes"][self._rows(index)])

    def labels(self, index: int) -> npt.NDArray[np.int64]:
        """Labels, int64 ``[n]``."""
        return np.array(self._arrays["labels"][self._rows(index)])

    def semantic(self, index: int) -> npt.NDArray[np.uint8] | None:
        """Semantic mask, uint8 ``[H, W]``, padding ignored (255); None where there is none."""
        return np.asarray(self._arrays["semantic"][index]) if self.has_semantic else None

    def scale(self, index: int) -> float:
        """Pixels of the cached image per pixel of the original."""
        return float(self._arrays["scales"][index])

    def original_size(self, index: int) -> tuple[int, int]:
        """Height and width of the original, in pixels."""
        height, width = self._arrays["sizes"][index]
        return int(height), int(width)

    def picture_size(self, index: int) -> tuple[int, int]:
        """Height and width of the part of the cached image that is not padding, in pixels."""
        fitted = Letterbox.fit(self.original_size(index), self.image_size)
        return fitted.height, fitted.width

    def _rows(self, index: int) -> slice:
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of a split of {len(self)}")
        index %= len(self)
        offsets = self._arrays["offsets"]
        return slice(int(offsets[index]), int(offsets[index + 1]))


def open_cached(folder: Path) -> CachedSplit:
    """Open what :func:`prepare` has made, without checking it again; for worker processes.

    Raises:
        DatasetError: the folder holds no whole cache.
    """
    try:
        return CachedSplit(folder)
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise DatasetError(f"{folder}: not a cached data set ({error})") from error
