"""Where the records of a COCO file lie: large files are read once, and kept as positions.

COCO's own training file takes some gigabytes as Python objects. Here every record is parsed once,
checked and let go; what stays is its place in the file, from which it is read when it is needed.
"""

from __future__ import annotations

import json
import mmap
import os
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.sample import DatasetError

REQUIRED: dict[str, dict[str, type]] = {
    "images": {"id": int, "file_name": str},
    "annotations": {"image_id": int},
    "categories": {"id": int, "name": str},
}
_KINDS: dict[type, str] = {int: "a whole number", str: "text"}
_SPACE = re.compile(r"[ \t\n\r]*")
_PARSE = json.JSONDecoder().raw_decode


@dataclass(frozen=True)
class CocoIndex:
    """A COCO file whose records are read from it one by one.

    Attributes:
        source: the JSON file.
        stamp: its size and the time of its last change when it was indexed.
        categories: names by category id.
        file_names: of the images, in the order of the file.
        maskless: ids of categories of which an object, crowds aside, has no mask.
        has_masks: whether any annotation has one.
    """

    source: Path
    stamp: tuple[int, int]
    categories: list[tuple[int, str]]
    file_names: list[str]
    maskless: frozenset[int]
    has_masks: bool
    _images: npt.NDArray[np.int64]
    _annotations: npt.NDArray[np.int64]
    _ends: npt.NDArray[np.int64]

    def read(self, position: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The record of the image at a position of ``file_names``, and its annotations in order.

        Raises:
            DatasetError: the file is gone or has changed since it was indexed.
        """
        first, last = self._ends[position : position + 2]
        try:
            with self.source.open("rb") as file:
                if _stamp(file.fileno()) != self.stamp:
                    raise DatasetError(f"{self.source}: has changed while it was in use")
                return (
                    _read_record(file, self._images[position]),
                    [_read_record(file, span) for span in self._annotations[first:last]],
                )
        except OSError as error:
            raise DatasetError(f"{self.source}: cannot be read ({error.strerror})") from error


def _read_record(file: Any, span: npt.NDArray[np.int64]) -> dict[str, Any]:
    file.seek(span[0])
    return json.loads(file.read(span[1] - span[0]))


def _stamp(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_size, status.st_mtime_ns


def index_coco(source: Path) -> CocoIndex:
    """Read a COCO file through once.

    Raises:
        DatasetError: it cannot be read, does not parse, lacks a list or a field, names an image
            id twice, or has an annotation of an image that it does not list.
    """
    try:
        with (
            source.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            stamp = _stamp(file.fileno())
            text = str(content, "utf-8")
        sections = _scan(source, text)
    except OSError as error:
        raise DatasetError(f"{source}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{source}: JSON does not parse ({error})") from error
    images, annotations, categories = (sections[name] for name in REQUIRED)
    owners = _owners(source, text, images, annotations)
    order = np.argsort(owners, kind="stable")
    counts = np.bincount(owners, minlength=len(images.ids))
    return CocoIndex(
        source=source,
        stamp=stamp,
        categories=list(zip(categories.ids, categories.names, strict=True)),
        file_names=images.names,
        maskless=frozenset(annotations.maskless),
        has_masks=annotations.has_masks,
        _images=_in_bytes(text, images.spans()),
        _annotations=_in_bytes(text, annotations.spans())[order],
        _ends=np.cumsum([0, *counts], dtype=np.int64),
    )


class _Section:
    """What is kept of the records of one list."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.names: list[str] = []
        self.maskless: set[int] = set()
        self.has_masks = False
        self._spans = array("q")

    def add_named(self, record: dict[str, Any], begin: int, end: int) -> None:
        """Take an image or a category."""
        self.ids.append(record["id"])
        self.names.append(record.get("file_name") or record["name"])
        self._spans.extend((begin, end))

    def add_annotation(self, record: dict[str, Any], begin: int, end: int) -> None:
        """Take an annotation; its id is that of its image."""
        self.ids.append(record["image_id"])
        self._spans.extend((begin, end))
        category = record.get("category_id")
        if record.get("segmentation"):
            self.has_masks = True
        elif not record.get("iscrowd") and isinstance(category, int):
            self.maskless.add(category)

    def spans(self) -> npt.NDArray[np.int64]:
        """Begin and end of each record in the text, ``[n, 2]``, in characters."""
        return np.array(self._spans, np.int64).reshape(-1, 2)


def _scan(source: Path, text: str) -> dict[str, _Section]:
    """Go through the file's object; lists that are not needed are skipped."""
    found: dict[str, _Section] = {}
    for key, start in _members(text):
        if key not in REQUIRED or text[start] != "[":
            continue
        section = found[key] = _Section()
        take = section.add_annotation if key == "annotations" else section.add_named
        for number, (record, begin, end) in enumerate(_elements(text, start), start=1):
            _check_record(source, key, number, record)
            take(record, begin, end)
    for name in REQUIRED:
        if name not in found:
            raise DatasetError(f"{source}: has no list '{name}'; this is not COCO's format")
    return found
