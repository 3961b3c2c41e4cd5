"""COCO JSON: boxes, polygons, run-length masks and crowds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from datasets.base import ADDED, SPLITS, Split, register, resolve_root
from datasets.classes import check_classes, find_class
from datasets.coco_index import CocoIndex, annotation_name, index_coco, short
from datasets.coco_reach import FURTHEST
from datasets.images import check_size, read_image
from datasets.objects import AnnotatedObject, build_sample, polygon_mask
from datasets.run_lengths import expand
from datasets.sample import DatasetError, Sample
from datasets.splits import NamedSplits, draw_subset, fill, qualified


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
        subset: use so many images only (a whole number), or this share of them (below 1), drawn
            after the splits are made, see :func:`datasets.splits.draw_subset`.
        subset_seed: of the draw.
        subset_of: the splits that ``subset`` cuts down; the others stay whole.

    Raises:
        DatasetError: a file is missing, does not parse or lacks a field, or an option is wrong.
    """

    annotations: str = "annotations/instances_{split}.json"
    images: str = "{split}"
    classes: list[str] = field(default_factory=list)
    subset: int | float | None = field(default=None, metadata=ADDED)
    subset_seed: int = field(default=0, metadata=ADDED)
    subset_of: list[Split] = field(default_factory=lambda: ["train"], metadata=ADDED)

    tasks = frozenset({"detection", "segmentation", "instance"})

    def __post_init__(self) -> None:
        root = resolve_root(self.root)
        self._indexes: list[tuple[CocoIndex, Path]] = []
        self._places: dict[str, tuple[int, int]] = {}
        self._categories: dict[int, str] = {}
        listed: dict[Split, list[str]] = {}
        for split, name in self.split_names(root, "annotations", self.annotations).items():
            folder = root / fill(self.images, name)
            if not folder.is_dir():
                raise DatasetError(f"{folder}: no such folder (option 'images: {self.images}')")
            listed[split] = self._add(root / fill(self.annotations, name), folder, name)
        self.use_splits(listed)
        self._draw_subset()
        names = [self._categories[key] for key in sorted(self._categories)]
        known = check_classes(names, f"{root}: categories")
        for wanted in self.classes:
            find_class(wanted, known, "classes")
        self.classes = check_classes(self.classes or known, "classes")
        self._labels = {name: label for label, name in enumerate(self.classes)}
        self._has_masks = any(index.has_masks for index, _ in self._indexes)
        self.tasks = self._tasks()

    def _add(self, source: Path, folder: Path, name: str) -> list[str]:
        """Add the images of one JSON file; return their ids."""
        index = index_coco(source)
        for key, text in index.categories:
            if self._categories.setdefault(key, text) != text:
                raise DatasetError(
                    f"{source}: category {key} is '{text}', but '{self._categories[key]}' before"
                )
        ids: list[str] = []
        for position, file_name in enumerate(index.file_names):
            _check_file_name(file_name, f"{source}: entry {position + 1} of 'images'")
            sample_id = qualified(
                name, str(PurePosixPath(_with_slashes(file_name)).with_suffix(""))
            )
            if sample_id in self._places:
                raise DatasetError(f"{source}: the image '{sample_id}' is listed twice")
            self._places[sample_id] = len(self._indexes), position
            ids.append(sample_id)
        self._indexes.append((index, folder))
        return ids

    def _draw_subset(self) -> None:
        strange = [split for split in self.subset_of if split not in SPLITS]
        if strange:
            raise DatasetError(f"subset_of: '{strange[0]}' is not one of {', '.join(SPLITS)}")
        if self.subset is None:
            return
        for split in set(self.subset_of):
            self._ids[split] = draw_subset(self._ids[split], self.subset, self.subset_seed)

    def _tasks(self) -> frozenset[str]:
        """What the masks allow: all tasks where every object that gives a box has one."""
        if not self._has_masks:
            return frozenset({"detection"})
        kept = {key for key, name in self._categories.items() if name in self._labels}
        if any(kept & index.maskless for index, _ in self._indexes):
            return frozenset({"detection", "segmentation"})
        return frozenset({"detection", "segmentation", "instance"})

    def _place(self, sample_id: str) -> tuple[CocoIndex, int, Path]:
        """The file that lists an image, its position there, and the image."""
        number, position = self._places[sample_id]
        index, folder = self._indexes[number]
        return index, position, folder / _with_slashes(index.file_names[position])

    def files(self, sample_id: str) -> list[Path]:
        """The image and the JSON file."""
        index, _, image = self._place(sample_id)
        return [image, index.source] if image.is_file() else [index.source]

    def load(self, sample_id: str) -> Sample:
        """Read one image with its boxes and, if the data set has any, its masks."""
        index, position, path = self._place(sample_id)
        if not path.is_file():
            raise DatasetError(
                f"{index.source}: annotation without an image: {path} does not exist"
            )
        record, annotations = index.read(position)
        image = read_image(path)
        size = image.shape[:2]
        stated = tuple(_stated(record, key, index.source) for key in ("height", "width"))
        if all(stated):
            check_size(path, size, stated, f"its entry in {index.source.name}")
        objects = []
        for annotation in annotations:
            where = f"{index.source}: {annotation_name(annotation)}"
            made = self._object(annotation, size, where)
            if made is not None:
                objects.append(made)
        return build_sample(sample_id, path, image, objects, self.classes, self._has_masks)

    def _object(
        self, annotation: dict[str, Any], size: tuple[int, ...], where: str
    ) -> AnnotatedObject | None:
        """The object, or None if its class is not among those to keep."""
        key = annotation.get("category_id")
        if type(key) is not int or key not in self._categories:
            raise DatasetError(
                f"{where}: category_id {short(key)} is not in the list; there are "
                f"{len(self._categories)} categories with ids {min(self._categories)} to "
                f"{max(self._categories)}"
            )
        label = self._labels.get(self._categories[key])
        if label is None:
            return None
        x, y, width, height = _numbers(annotation.get("bbox"), 4, f"{where}: bbox")
        shape = annotation.get("segmentation")
        mask = decode_mask(shape, size, where) if shape and self._has_masks else None
        crowd = annotation.get("iscrowd") or 0
        if crowd not in (0, 1):
            raise DatasetError(f"{where}: iscrowd must be 0 or 1, got {short(crowd)}")
        return AnnotatedObject(label, (x, y, x + width, y + height), mask, bool(crowd))


def _with_slashes(file_name: str) -> str:
    return file_name.replace("\\", "/")


def _check_file_name(name: str, where: str) -> None:
    """Refuse what no file can be called, before the parts of the name are looked at."""
    parts = PurePosixPath(_with_slashes(name)).parts
    try:
        longest = max((len(part.encode()) for part in parts), default=0)
    except UnicodeEncodeError:  # half of a character, which JSON can write
        longest = 0
    if not 0 < longest <= 255 or len(name) > 1000 or "\0" in name:
        raise DatasetError(f"{where}: file_name {short(name)} is no name of a file")


def _stated(record: dict[str, Any], key: str, source: Path) -> int:
    """A side of an image as its entry has it; 0 where it says nothing."""
    value = record.get(key) or 0
    if type(value) not in (int, float) or value < 0:
        raise DatasetError(
            f"{source}: image {short(record.get('file_name'))}: {key} must be a number of pixels, "
            f"got {short(value)}"
        )
    return value


def _numbers(values: Any, count: int | None, where: str) -> list[float]:
    """``values`` if they are finite numbers, ``count`` of them or (None) of an even number."""
    wanted = f"{count} numbers" if count else "at least 6 numbers, x and y in turn"
    right_length = isinstance(values, list) and (
        len(values) == count if count else len(values) >= 6 and len(values) % 2 == 0
    )
    if not right_length:
        raise DatasetError(f"{where} is {short(values)}, expected {wanted}")
    for value in values:
        if type(value) not in (int, float) or not abs(value) <= FURTHEST:
            raise DatasetError(f"{where} holds {short(value)}, which is not a number of pixels")
    return values


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
        runs = expand(counts) if isinstance(counts, str) else list(counts)
        total = size[0] * size[1]
        if set(map(type, runs)) - {int}:
            raise ValueError("runs must be whole numbers")
        if any(run < 0 for run in runs) or sum(runs) != total:
            raise ValueError(f"runs must be at least 0 and sum to {total} pixels")
        encoded = coco_mask.frPyObjects({"counts": runs, "size": list(size)}, *size)
        return coco_mask.decode(encoded).astype(np.bool_)
    except (ValueError, TypeError, OverflowError) as error:
        raise DatasetError(f"{where}: the mask's run lengths are damaged ({error})") from error
