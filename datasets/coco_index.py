"""Where the records of a COCO file lie: large files are read once, and kept as positions.

COCO's own training file takes some gigabytes as Python objects. Here every record is parsed once,
checked and let go; what stays is its place in the file, from which it is read when it is needed.
"""

from __future__ import annotations

import json
import mmap
import os
from array import array
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.coco_reach import box_or_unknown, reach_fault, size_or_unknown
from datasets.json_cursor import JsonCursor
from datasets.sample import DatasetError

_REQUIRED: dict[str, dict[str, type]] = {
    "images": {"id": int, "file_name": str},
    "annotations": {"image_id": int},
    "categories": {"id": int, "name": str},
}
_KINDS: dict[type, str] = {int: "a whole number", str: "text"}


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
            id twice, has an annotation of an image that it does not list, or boxes of which many
            reach far beyond their images.
    """
    try:
        if source.stat().st_size == 0:  # cannot be mapped
            raise DatasetError(f"{source}: JSON does not parse (the file is empty)")
        with (
            source.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            stamp = _stamp(file.fileno())
            text = str(content, "utf-8")
        images, annotations, categories = _scan(source, text)
    except OSError as error:
        raise DatasetError(f"{source}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{source}: JSON does not parse ({error})") from error
    owners = _owners(source, text, images, annotations)
    if fault := reach_fault(_table(annotations.boxes, 4), _table(images.sizes, 2)[owners]):
        raise DatasetError(f"{source}: {fault}")
    order = np.argsort(owners, kind="stable")
    counts = np.bincount(owners, minlength=len(images.ids))
    return CocoIndex(
        source=source,
        stamp=stamp,
        categories=list(zip(categories.ids, categories.names, strict=True)),
        file_names=images.names,
        maskless=frozenset(annotations.maskless),
        has_masks=annotations.has_masks,
        _images=_in_bytes(text, images.spans),
        _annotations=_in_bytes(text, annotations.spans)[order],
        _ends=np.cumsum([0, *counts], dtype=np.int64),
    )


class _Records:
    """What is kept of the records of one list.

    Attributes:
        ids: of the images or categories; of an annotation, the id of its image.
        spans: begin and end of each record in the text, in turn, in characters.
    """

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.spans = array("q")


class _Named(_Records):
    """Images or categories: the ``id``, and the text under ``name_key``."""

    def __init__(self, name_key: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self._name_key = name_key

    def add(self, record: dict[str, Any]) -> None:
        self.ids.append(record["id"])
        self.names.append(record[self._name_key])


class _Images(_Named):
    """Images: their file names, width and height of each in turn."""

    def __init__(self) -> None:
        super().__init__("file_name")
        self.sizes = array("d")

    def add(self, record: dict[str, Any]) -> None:
        super().add(record)
        self.sizes.extend(size_or_unknown(record))


class _Annotations(_Records):
    """Annotations: what can be asked about all of them together."""

    def __init__(self) -> None:
        super().__init__()
        self.boxes = array("d")
        self.maskless: set[int] = set()
        self.has_masks = False

    def add(self, record: dict[str, Any]) -> None:
        self.ids.append(record["image_id"])
        self.boxes.extend(box_or_unknown(record.get("bbox")))
        category = record.get("category_id")
        if record.get("segmentation"):
            self.has_masks = True
        elif not record.get("iscrowd") and isinstance(category, int):
            self.maskless.add(category)


def _scan(source: Path, text: str) -> tuple[_Images, _Annotations, _Named]:
    """Go through the file's lists; what else it holds is skipped."""
    images, annotations, categories = _Images(), _Annotations(), _Named("name")
    kept: dict[str, _Named | _Annotations] = {
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }
    missing = list(kept)
    cursor = JsonCursor(text)
    if cursor.peek() != "{":
        cursor.value()
        raise _no_list(source, missing[0])
    for key in cursor.members():
        if key in kept and key not in missing:
            raise DatasetError(f"{source}: has the list '{key}' twice")
        if key not in missing or cursor.peek() != "[":
            cursor.value()
            continue
        missing.remove(key)
        records = kept[key]
        for number, (record, begin, end) in enumerate(cursor.elements(), start=1):
            _check(source, key, number, record)
            records.add(record)
            records.spans.extend((begin, end))
    if missing:
        raise _no_list(source, missing[0])
    return images, annotations, categories


def _no_list(source: Path, name: str) -> DatasetError:
    return DatasetError(f"{source}: has no list '{name}'; this is not COCO's format")


def _check(source: Path, key: str, number: int, record: Any) -> None:
    for name, kind in _REQUIRED[key].items():
        value = record.get(name) if isinstance(record, dict) else None
        if type(value) is not kind:  # true is no id, though Python takes it for 1
            raise DatasetError(
                f"{source}: entry {number} of '{key}' needs '{name}' as "
                f"{_KINDS[kind]}, got {short(value)}"
            )


def _owners(
    source: Path, text: str, images: _Named, annotations: _Annotations
) -> npt.NDArray[np.int64]:
    """The position of each annotation's image."""
    positions: dict[int, int] = {}
    for position, image_id in enumerate(images.ids):
        if positions.setdefault(image_id, position) != position:
            raise DatasetError(f"{source}: two images have the id {image_id}")
    owners = np.array([positions.get(each, -1) for each in annotations.ids], np.int64)
    strays = np.flatnonzero(owners < 0)
    if len(strays):
        begin, end = annotations.spans[2 * strays[0] : 2 * strays[0] + 2]
        first = json.loads(text[begin:end])
        raise DatasetError(
            f"{source}: annotation without an image: {len(strays)} refer to an image that is "
            f"not listed, the first is {annotation_name(first)} with image_id {first['image_id']}"
        )
    return owners


def _table(numbers: array[float], columns: int) -> npt.NDArray[np.float64]:
    return np.array(numbers, np.float64).reshape(-1, columns)


def _in_bytes(text: str, spans: array[int]) -> npt.NDArray[np.int64]:
    """Begin and end of each record in the file, int64 ``[n, 2]``."""
    if text.isascii():
        return np.array(spans, np.int64).reshape(-1, 2)
    lengths = [len(text[begin:end].encode()) for begin, end in pairwise([0, *spans])]
    return np.cumsum(lengths, dtype=np.int64).reshape(-1, 2)


def annotation_name(annotation: dict[str, Any]) -> str:
    """How messages call an annotation."""
    return f"annotation {annotation.get('id', 'without an id')}"


def short(value: Any) -> str:
    """A value for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
