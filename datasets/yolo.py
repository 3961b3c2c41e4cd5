"""YOLO text files: normalised boxes or polygons, one object a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import yaml

from datasets.base import Split, register, resolve_root
from datasets.classes import check_classes
from datasets.images import index_files, read_image
from datasets.objects import AnnotatedObject, build_sample, polygon_mask
from datasets.sample import DatasetError, Sample
from datasets.splits import NamedSplits, fill, qualified
from datasets.yaml_text import parse_yaml

_TASKS = {
    "boxes": frozenset({"detection"}),
    "masks": frozenset({"detection", "segmentation", "instance"}),
}
_TOLERANCE = 1e-3  # tools round 1.0 to six digits or compute it from rounded parts


@register("yolo")
@dataclass(kw_only=True)
class Yolo(NamedSplits):
    """YOLO text files: normalised boxes or polygons, one object a line.

    ::

        root/images/train/ID.jpg   images: images/{split}
        root/labels/train/ID.txt   labels: labels/{split}
        root/data.yaml             or classes.txt, one name a line

    A line is ``class cx cy w h`` or ``class x1 y1 x2 y2 x3 y3 ...``, all but the class between
    0 and 1. An image without a label file is one without objects. Folder names without
    ``{split}`` mean that all images lie in one folder, divided by a seeded split.

    Attributes:
        root: folder that the other paths start from.
        images, labels: folders; ``{split}`` in them stands for a split.
        target: ``boxes`` (those of a polygon are its extent), or ``masks`` as well, from the
            polygons. There the box of an object without a polygon is ignored in the semantic
            mask, and its image has no instance masks.
        classes: names in the order of their numbers.
        names: file with the names: ``names`` of a YAML file, or text with one name a line. Not
            given, and no ``classes``: ``data.yaml``, ``classes.txt`` or ``obj.names``.
        train, val, test: what ``{split}`` stands for; by default their own names.
        fractions, split_seed, group: the seeded split, see :func:`datasets.splits.split_ids`.

    Raises:
        DatasetError: the folder lacks the layout, an option is wrong, or there are no names.
    """

    images: str = "images/{split}"
    labels: str = "labels/{split}"
    target: Literal["boxes", "masks"] = "boxes"
    classes: list[str] = field(default_factory=list)
    names: str | None = None

    tasks = frozenset({"detection", "segmentation", "instance"})

    def __post_init__(self) -> None:
        if self.target not in _TASKS:
            raise DatasetError(f"target: '{self.target}' must be one of {', '.join(_TASKS)}")
        self.tasks = _TASKS[self.target]
        root = resolve_root(self.root)
        self.classes = (
            check_classes(self.classes, "classes") if self.classes else self._read_names(root)
        )
        self._images: dict[str, Path] = {}
        self._labels: dict[str, Path] = {}
        listed: dict[Split, list[str]] = {}
        for split, name in self.split_names(root, "images", self.images).items():
            images = index_files(root / fill(self.images, name))
            labels = index_files(root / fill(self.labels, name), frozenset({".txt"}))
            labels.pop("classes", None)  # labelImg puts its list of names beside the labels
            self._images.update({qualified(name, key): path for key, path in images.items()})
            self._labels.update({qualified(name, key): path for key, path in labels.items()})
            # A label file without an image is listed as well, so that it is reported.
            listed[split] = [qualified(name, key) for key in sorted({*images, *labels})]
        self.use_splits(listed)

    def _read_names(self, root: Path) -> list[str]:
        candidates = [self.names] if self.names else ["data.yaml", "classes.txt", "obj.names"]
        for candidate in candidates:
            path = root / candidate
            if path.is_file():
                read = _NAME_READERS.get(path.suffix.lower(), _names_of_text)
                return check_classes(read(path), str(path))
        raise DatasetError(
            f"{root}: no file with class names ({', '.join(candidates)}); "
            "give them with the option 'classes' or 'names'"
        )

    def files(self, sample_id: str) -> list[Path]:
        """The image and, if there is one, its label file."""
        places = (self._images, self._labels)
        return [place[sample_id] for place in places if sample_id in place]

    def load(self, sample_id: str) -> Sample:
        """Read one image with its boxes and, if asked for, masks."""
        label_file = self._labels.get(sample_id)
        if sample_id not in self._images:
            raise DatasetError(f"{label_file}: label file without an image in '{self.images}'")
        path = self._images[sample_id]
        image = read_image(path)
        size = (image.shape[0], image.shape[1])
        objects = []
        if label_file is not None:
            for number, line in enumerate(_read_text(label_file).splitlines(), start=1):
                if line.strip():
                    objects.append(self._object(line, size, f"{label_file}: line {number}"))
        return build_sample(sample_id, path, image, objects, self.classes, self.target == "masks")

    def _object(self, line: str, size: tuple[int, int], where: str) -> AnnotatedObject:
        height, width = size
        label, values = _parse_line(line, where)
        if label >= len(self.classes):
            raise DatasetError(
                f"{where}: class {label} is not in the list; there are {len(self.classes)} "
                f"classes, 0 to {len(self.classes) - 1}"
            )
        if len(values) == 4:
            cx, cy, w, h = values
            box = (
                (cx - w / 2) * width,
                (cy - h / 2) * height,
                (cx + w / 2) * width,
                (cy + h / 2) * height,
            )
            return AnnotatedObject(label, box)
        xs = [value * width for value in values[0::2]]
        ys = [value * height for value in values[1::2]]
        mask = None
        if self.target == "masks":
            corners = [value for pair in zip(xs, ys, strict=True) for value in pair]
            mask = polygon_mask([corners], height, width)
        return AnnotatedObject(label, (min(xs), min(ys), max(xs), max(ys)), mask)


def _parse_line(line: str, where: str) -> tuple[int, list[float]]:
    """Class and values of a line, checked."""
    words = line.split()
    try:
        label, *values = (float(word) for word in words)
    except ValueError:
        raise DatasetError(f"{where}: '{line.strip()[:60]}' holds something not a number") from None
    if not label.is_integer():
        raise DatasetError(f"{where}: '{words[0]}' is not a class number")
    if label < 0:
        raise DatasetError(f"{where}: class {int(label)} is negative")
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        raise DatasetError(
            f"{where}: {len(words)} values; expected 5 (class cx cy w h) or a class and at "
            "least 3 points (x y)"
        )
    for word, value in zip(words[1:], values, strict=True):
        if not -_TOLERANCE <= value <= 1 + _TOLERANCE:
            raise DatasetError(
                f"{where}: {word} lies outside 0..1; coordinates must be divided by the image size"
            )
    return int(label), values


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read as text ({error})") from error


def _names_of_text(path: Path) -> list[str]:
    return [line.strip() for line in _read_text(path).splitlines() if line.strip()]


def _names_of_yaml(path: Path) -> list[str]:
    try:
        content = parse_yaml(_read_text(path))
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise DatasetError(f"{path}: YAML does not parse ({reason})") from error
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            raise DatasetError(f"{path}: 'names' must be numbered from 0 without gaps")
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list):
        raise DatasetError(f"{path}: has no list 'names'")
    for name in names:
        if type(name) not in (str, int, float):
            raise DatasetError(f"{path}: 'names' holds {name!r:.60}, which is not a name; quote it")
    return [str(name) for name in names]


_NAME_READERS: dict[str, Callable[[Path], list[str]]] = {
    ".yaml": _names_of_yaml,
    ".yml": _names_of_yaml,
}
