"""Pascal VOC folders: boxes from XML files, or class masks from palette PNGs."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from datasets.base import Split, register, resolve_root
from datasets.classes import check_classes, find_class
from datasets.images import check_size, index_files, index_mask, read_image, read_mask
from datasets.objects import AnnotatedObject, Box, build_sample, mask_sample
from datasets.sample import DatasetError, Sample
from datasets.splits import NamedSplits, fill

# fmt: off
VOC_CLASSES = [
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
]
# fmt: on

LISTS = {"boxes": "ImageSets/Main/{split}.txt", "masks": "ImageSets/Segmentation/{split}.txt"}
_FOLDERS = {"boxes": "Annotations", "masks": "SegmentationClass"}
_SUFFIXES = {"boxes": frozenset({".xml"}), "masks": frozenset({".png"})}
_TASKS = {"boxes": frozenset({"detection"}), "masks": frozenset({"segmentation"})}


@register("voc")
@dataclass(kw_only=True)
class Voc(NamedSplits):
    """Pascal VOC: boxes from XML files, or class masks from palette PNGs.

    ::

        root/JPEGImages/ID.jpg
        root/Annotations/ID.xml               target: boxes
        root/ImageSets/Main/train.txt         its lists: train, val, test
        root/SegmentationClass/ID.png         target: masks; index 255 is ignored
        root/ImageSets/Segmentation/train.txt

    Without any list, all files are divided by a seeded split.

    Attributes:
        root: folder that holds the above.
        target: what to read.
        classes: names in the order of their labels (masks: of their indices, from 1). Not
            given: for boxes the names that the annotations use, sorted; for masks VOC's 20.
        skip_difficult: leave out objects marked as difficult, in every split. VOC's protocol
            neither trains on them nor counts them; as the mark itself is not kept, a
            detection of one counts as false.
        one_based: coordinates count pixels from 1 and include the last one, as VOC's do: 1 is
            subtracted from ``xmin`` and ``ymin``. A box whose corners coincide in the file
            counts as degenerate, not as one pixel: it is a click that was not dragged.
        train, val, test: names of the lists.
        fractions, split_seed, group: the seeded split, see :func:`datasets.splits.split_ids`.

    Raises:
        DatasetError: the folder lacks the layout or an option is wrong.
    """

    target: Literal["boxes", "masks"] = "boxes"
    classes: list[str] = field(default_factory=list)
    skip_difficult: bool = True
    one_based: bool = True

    tasks = frozenset({"detection", "segmentation"})

    def __post_init__(self) -> None:
        if self.target not in _FOLDERS:
            raise DatasetError(f"target: '{self.target}' must be one of {', '.join(_FOLDERS)}")
        self.tasks = _TASKS[self.target]
        self._root = resolve_root(self.root)
        self._images = index_files(self._root / "JPEGImages")
        self._annotations = index_files(self._root / _FOLDERS[self.target], _SUFFIXES[self.target])
        listed = self._read_lists()
        self.use_splits(listed)
        found = self.classes or (
            VOC_CLASSES if self.target == "masks" else self._names_in_use(listed)
        )
        self.classes = check_classes(found, f"{self._root}: classes")

    def _read_lists(self) -> dict[Split, list[str]]:
        template = LISTS[self.target]
        folder = (self._root / template).parent
        names_given = any(name is not None for name in (self.train, self.val, self.test))
        if not names_given and not any(folder.glob("*.txt")):
            # An image without annotation is listed as well, so that it is reported. VOC has
            # masks for a part of its images only, so there it is no fault.
            extra = self._images if self.target == "boxes" else {}
            return {"train": sorted({*self._annotations, *extra})}
        names = self.split_names(self._root, "ImageSets", template)
        return {split: read_list(self._root / fill(template, n)) for split, n in names.items()}

    def _names_in_use(self, listed: dict[Split, list[str]]) -> list[str]:
        names: set[str] = set()
        for sample_id in (sample_id for ids in listed.values() for sample_id in ids):
            try:
                tree = _parse(self._annotation(sample_id))
            except DatasetError:
                continue  # reported by load(), with all others
            texts = (name.text or "" for name in tree.iterfind("object/name"))
            names.update(text.strip() for text in texts)
        return sorted(names - {""})  # an object without a name is reported by load()

    def _annotation(self, sample_id: str) -> Path:
        if sample_id not in self._annotations:
            raise DatasetError(
                f"{self._root / 'JPEGImages' / sample_id}: "
                f"image has no annotation in {_FOLDERS[self.target]}"
            )
        return self._annotations[sample_id]

    def files(self, sample_id: str) -> list[Path]:
        """The image and its XML or mask file."""
        places = (self._images, self._annotations)
        return [place[sample_id] for place in places if sample_id in place]

    def load(self, sample_id: str) -> Sample:
        """Read one image with its boxes or its class mask."""
        annotation = self._annotation(sample_id)
        if sample_id not in self._images:
            raise DatasetError(f"{annotation}: annotation without an image in JPEGImages")
        image_path = self._images[sample_id]
        image = read_image(image_path)
        if self.target == "masks":
            mask = read_mask(annotation)
            check_size(annotation, mask.shape, image.shape[:2], f"the image {image_path.name}")
            semantic = index_mask(mask, len(self.classes), annotation)
            return mask_sample(sample_id, annotation, image, semantic, self.classes)
        check_stated_size(annotation, image_path, image.shape[:2])
        objects = read_objects(
            annotation, self.classes, skip_difficult=self.skip_difficult, one_based=self.one_based
        )
        return build_sample(sample_id, annotation, image, objects, self.classes, False)


def read_objects(
    annotation: Path, classes: list[str], *, skip_difficult: bool = True, one_based: bool = True
) -> list[AnnotatedObject]:
    """The objects of one XML file; see :class:`Voc` for the options.

    Raises:
        DatasetError: the file does not parse, or an object lacks a name or a corner, or is of
            none of the classes.
    """
    return [
        _object(element, classes, one_based, f"{annotation}: object {number}")
        for number, element in enumerate(_parse(annotation).iterfind("object"), start=1)
        if not (_is_difficult(element, f"{annotation}: object {number}") and skip_difficult)
    ]


def check_stated_size(annotation: Path, image: Path, size: tuple[int, ...]) -> None:
    """Refuse an XML file that states another size than the image's ``(height, width)``."""
    stated = _stated_size(_parse(annotation))
    if stated is not None:
        check_size(annotation, stated, size, f"the image {image.name}")


def _object(
    element: ET.Element, classes: list[str], one_based: bool, where: str
) -> AnnotatedObject:
    name = element.findtext("name")
    if name is None or not name.strip():
        raise DatasetError(f"{where} has no <name>")
    label = find_class(name.strip(), classes, where)
    x1, y1, x2, y2 = (_coordinate(element, key, where) for key in ("xmin", "ymin", "xmax", "ymax"))
    box: Box = (x1, y1, x2, y2)
    if one_based and x2 > x1 and y2 > y1:
        box = (x1 - 1, y1 - 1, x2, y2)
    return AnnotatedObject(label, box)


def _is_difficult(element: ET.Element, where: str) -> bool:
    text = element.findtext("difficult", "").strip()
    if text not in ("", "0", "1"):
        raise DatasetError(f"{where}: <difficult> must be 0 or 1, not '{text[:60]}'")
    return text == "1"


def read_list(path: Path) -> list[str]:
    """The names that a list file holds; :class:`DatasetError` if it is empty or unreadable."""
    # VOC's lists of one class add a column with -1, 0 or 1 behind the name.
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read as a list of names ({error})") from error
    ids = [line.split()[0] for line in lines if line.strip()]
    if not ids:
        raise DatasetError(f"{path}: the list is empty")
    return ids


def _parse(path: Path) -> ET.Element:
    try:
        root = ET.parse(path).getroot()
    except (ET.ParseError, ValueError, LookupError, OSError) as error:
        raise DatasetError(f"{path}: XML does not parse ({error})") from error
    if root.tag != "annotation":
        raise DatasetError(f"{path}: holds <{root.tag[:60]}>, not the <annotation> of Pascal VOC")
    return root


def _stated_size(tree: ET.Element) -> tuple[int, int] | None:
    # Some tools leave the element out or write zeros; that states nothing.
    try:
        size = int(tree.findtext("size/height", "0")), int(tree.findtext("size/width", "0"))
    except ValueError:
        return None
    return size if min(size) > 0 else None


def _coordinate(element: ET.Element, key: str, where: str) -> float:
    text = element.findtext(f"bndbox/{key}")
    if text is None:
        raise DatasetError(f"{where} has no <bndbox> with <{key}>")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DatasetError(f"{where}: <{key}> is '{text.strip()[:60]}', not a number")
    return value
