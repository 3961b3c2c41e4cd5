"""COCO JSON: boxes, polygons, run-length masks and crowds."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from datasets.base import Split, register, resolve_root
from datasets.classes import check_classes, find_class
from datasets.images import check_size, read_image
from datasets.objects import AnnotatedObject, build_sample, polygon_mask
from datasets.sample import DatasetError, Sample
from datasets.splits import NamedSplits, fill, qualified

_REQUIRED: dict[str, dict[str, type]] = {
    "images": {"id": int, "file_name": str},
    "annotations": {"image_id": int},
    "categories": {"id": int, "name": str},
}
_KINDS: dict[type, str] = {int: "a whole number", str: "text"}


@dataclass(frozen=True)
class _Entry:
    """One image of the JSON file with its annotations."""

    source: Path
    image: Path
    record: dict[str, Any]
    annotations: list[dict[str, Any]]


@register("coco")
@dataclass(kw_only=True)
class Coco(NamedSplits):
    """COCO JSON: boxes, polygons, run-length masks and crowds.

    ::

        root/annotations/instances_train.json  annotations: annotations/instances_{split}.json
        root/train/000000000009.jpg            images: "{split}"

    COCO 2017 is read with ``train: train2017, test: val2017``; ``val`` is then a part of the
    training images. A file name without ``{split}`` is one file, divided by a seeded split.

    Crowds (``iscrowd: 1``) give no box, so a detection on one counts as false (COCO's own
    evaluation overlooks it: on data with crowds our AP is a little lower than the official one).
    Their region is ignored in the semantic mask. So is the box of an object without a mask; an
    image that has one has no instance masks. The semantic mask shows the smallest object where
    several overlap. A data set without any mask serves detection only.

    Attributes:
        root: folder that the other paths start from.
        annotations: the JSON file; ``{split}`` in it stands for a split.
        images: folder of the images, below which ``file_name`` is found; may hold ``{split}``.
        classes: names of the categories to keep, in the order of their labels; objects of
            others are left out. Not given: all, in the order of their category ids, which may
            have gaps.
        train, val, test: what ``{split}`` stands for; by default their own names.
        fractions, split_seed, group: the seeded split, see :func:`datasets.splits.split_ids`.

    Raises:
        DatasetError: a file is missing, does not parse or lacks a field, or an option is wrong.
    """

    annotations: str = "annotations/instances_{split}.json"
    images: str = "{split}"
    classes: list[str] = field(default_factory=list)

    tasks = frozenset({"detection", "segmentation", "instance"})

    def __post_init__(self) -> None:
        root = resolve_root(self.root)
        self._entries: dict[str, _Entry] = {}
        self._categories: dict[int, str] = {}
        listed: dict[Split, list[str]] = {}
        for split, name in self.split_names(root, "annotations", self.annotations).items():
            folder = root / fill(self.images, name)
            if not folder.is_dir():
                raise DatasetError(f"{folder}: no such folder (option 'images: {self.images}')")
            listed[split] = self._index(root / fill(self.annotations, name), folder, name)
        self.use_splits(listed)
        names = [self._categories[key] for key in sorted(self._categories)]
        known = check_classes(names, f"{root}: categories")
        for wanted in self.classes:
            find_class(wanted, known, "classes")
        self.classes = check_classes(self.classes or known, "classes")
        self._labels = {name: label for label, name in enumerate(self.classes)}
        self._has_masks = any(
            annotation.get("segmentation")
            for entry in self._entries.values()
            for annotation in entry.annotations
        )
        if not self._has_masks:
            self.tasks = frozenset({"detection"})
        elif not self._every_object_has_a_mask():
            self.tasks = frozenset({"detection", "segmentation"})

    def _every_object_has_a_mask(self) -> bool:
        """Whether there is one for each box; crowds give no box."""
        kept = [key for key, name in self._categories.items() if name in self._labels]
        return all(
            annotation.get("segmentation") or annotation.get("iscrowd")
            for entry in self._entries.values()
            for annotation in entry.annotations
            if annotation.get("category_id") in kept
        )

    def _index(self, source: Path, folder: Path, name: str) -> list[str]:
        """Add the entries of one JSON file; return their ids."""
        content = _read_json(source)
        for category in content["categories"]:
            key, text = category["id"], category["name"]
            if self._categories.setdefault(key, text) != text:
                raise DatasetError(
                    f"{source}: category {key} is '{text}', but '{self._categories[key]}' before"
                )
        by_image: dict[Any, list[dict[str, Any]]] = {}
        ids: list[str] = []
        for record in content["images"]:
            annotations: list[dict[str, Any]] = []
            if by_image.setdefault(record["id"], annotations) is not annotations:
                raise DatasetError(f"{source}: two images have the id {record['id']}")
            file_name = PurePosixPath(str(record["file_name"]).replace("\\", "/"))
            sample_id = qualified(name, str(file_name.with_suffix("")))
            if sample_id in self._entries:
                raise DatasetError(f"{source}: the image '{sample_id}' is listed twice")
            self._entries[sample_id] = _Entry(source, folder / file_name, record, annotations)
            ids.append(sample_id)
        strays = [a for a in content["annotations"] if a["image_id"] not in by_image]
        if strays:
            raise DatasetError(
                f"{source}: annotation without an image: {len(strays)} refer to an image that is "
                f"not listed, the first is {_name(strays[0])} with image_id {strays[0]['image_id']}"
            )
        for annotation in content["annotations"]:
            by_image[annotation["image_id"]].append(annotation)
        return ids

    def files(self, sample_id: str) -> list[Path]:
        """The image and the JSON file."""
        entry = self._entries[sample_id]
        return [path for path in (entry.image, entry.source) if path.is_file()]

    def load(self, sample_id: str) -> Sample:
        """Read one image with its boxes and, if the data set has any, its masks."""
        entry = self._entries[sample_id]
        if not entry.image.is_file():
            raise DatasetError(
                f"{entry.source}: annotation without an image: {entry.image} does not exist"
            )
        image = read_image(entry.image)
        size = image.shape[:2]
        stated = tuple(entry.record.get(key) or 0 for key in ("height", "width"))
        if all(stated):
            check_size(entry.image, size, stated, f"its entry in {entry.source.name}")
        objects = []
        for annotation in entry.annotations:
            made = self._object(annotation, size, f"{entry.source}: {_name(annotation)}")
            if made is not None:
                objects.append(made)
        return build_sample(sample_id, entry.image, image, objects, self.classes, self._has_masks)

    def _object(
        self, annotation: dict[str, Any], size: tuple[int, ...], where: str
    ) -> AnnotatedObject | None:
        """The object, or None if its class is not among those to keep."""
        key = annotation.get("category_id")
        if not isinstance(key, int) or key not in self._categories:
            raise DatasetError(
                f"{where}: category_id {key} is not in the list; there are {len(self._categories)} "
                f"categories with ids {min(self._categories)} to {max(self._categories)}"
            )
        label = self._labels.get(self._categories[key])
        if label is None:
            return None
        x, y, width, height = _numbers(annotation.get("bbox"), 4, f"{where}: bbox")
        shape = annotation.get("segmentation")
        mask = decode_mask(shape, size, where) if shape and self._has_masks else None
        crowd = bool(annotation.get("iscrowd", 0))
        return AnnotatedObject(label, (x, y, x + width, y + height), mask, crowd)


def _name(annotation: dict[str, Any]) -> str:
    return f"annotation {annotation.get('id', 'without an id')}"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise DatasetError(f"{path}: JSON does not parse ({error})") from error
    for section, fields in _REQUIRED.items():
        records = content.get(section) if isinstance(content, dict) else None
        if not isinstance(records, list):
            raise DatasetError(f"{path}: has no list '{section}'; this is not COCO's format")
        for number, record in enumerate(records, start=1):
            for name, kind in fields.items():
                value = record.get(name) if isinstance(record, dict) else None
                if not isinstance(value, kind):
                    raise DatasetError(
                        f"{path}: entry {number} of '{section}' needs '{name}' as "
                        f"{_KINDS[kind]}, got {_short(value)}"
                    )
    return content


def _numbers(values: Any, count: int | None, where: str) -> list[float]:
    """``values`` if they are finite numbers, ``count`` of them or (None) of an even number."""
    wanted = f"{count} numbers" if count else "at least 6 numbers, x and y in turn"
    right_length = isinstance(values, list) and (
        len(values) == count if count else len(values) >= 6 and len(values) % 2 == 0
    )
    if not right_length:
        raise DatasetError(f"{where} is {_short(values)}, expected {wanted}")
    for value in values:
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise DatasetError(f"{where} holds {value!r}, which is not a number")
    return values


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def decode_mask(shape: Any, size: tuple[int, ...], where: str) -> npt.NDArray[np.bool_]:
    """A ``segmentation`` entry as a bool mask ``[H, W]``: polygons or run lengths.

    Args:
        shape: what the JSON file holds.
        size: ``(H, W)`` of the image.
        where: file and annotation, for the message.

    Raises:
        DatasetError: it is neither, is damaged, or belongs to an image of another size.
    """
    if isinstance(shape, list):
        polygons = [_numbers(p, None, f"{where}: polygon {i}") for i, p in enumerate(shape, 1)]
        furthest = max(abs(value) for polygon in polygons for value in polygon)
        if furthest > 2 * max(size):  # drawing takes memory in proportion to a polygon's length
            raise DatasetError(
                f"{where}: a polygon reaches to {furthest:g}, but the image is only "
                f"{size[1]}x{size[0]}"
            )
        return polygon_mask(polygons, *size)
    counts = shape.get("counts") if isinstance(shape, dict) else None
    if counts is None or not isinstance(shape.get("size"), list):
        raise DatasetError(f"{where}: segmentation is neither polygons nor run lengths")
    if list(size) != shape["size"]:
        raise DatasetError(
            f"{where}: the mask's size [height, width] is {shape['size']}, "
            f"but the image's is {list(size)}"
        )
    try:
        runs = _expand(counts) if isinstance(counts, str) else list(counts)
        total = size[0] * size[1]
        if any(run < 0 for run in runs) or sum(runs) != total:
            raise ValueError(f"runs must be at least 0 and sum to {total} pixels")
        encoded = coco_mask.frPyObjects({"counts": runs, "size": list(size)}, *size)
        return coco_mask.decode(encoded).astype(np.bool_)
    except (ValueError, TypeError, OverflowError) as error:
        raise DatasetError(f"{where}: the mask's run lengths are damaged ({error})") from error


def _expand(text: str) -> list[int]:
    """Run lengths from COCO's compressed text.

    Five bits a character (code - 48), lowest first, with bit 5 for "more follows" and bit 4 of
    the last one for the sign; from the fourth on, a run is written as its difference to the
    one before the last. Done here because pycocotools takes text that ends early, and returns
    uninitialised memory for the pixels that are missing.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise ValueError(f"{character!r} cannot be part of them")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("the text ends within a number")
    return runs
