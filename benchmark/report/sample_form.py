"""The form of ``samples.json``: whether what it says can be drawn, and is its own folder's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from datasets.images import max_pixels
from datasets.run_lengths import expand

Pixels = tuple[int, int]
"""Height and width."""


def samples_fault(content: Mapping[str, Any], task: str) -> str:
    """What is wrong with the content of ``samples.json``; "" where nothing is.

    Args:
        content: as read from the file.
        task: of the run that kept it.
    """
    classes, images = content.get("classes"), content.get("images")
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        return "'classes' must be a list of names"
    if not isinstance(images, list):
        return "'images' must be a list"
    faults = (_image_fault(image, task, len(classes)) for image in images)
    found = ((place, fault) for place, fault in enumerate(faults) if fault)
    return next((f"'images.{place}{fault}" for place, fault in found), "")


def _image_fault(image: Any, task: str, classes: int) -> str:
    """What is wrong with one image, as it goes on after its place."""
    if not isinstance(image, dict):
        return "' must be a mapping"
    for key, kind in (("id", str), ("file", str), ("width", int), ("height", int)):
        if type(image.get(key)) is not kind:
            return f".{key}' must be of type {kind.__name__}"
    height, width = image["height"], image["width"]
    if min(height, width) < 1 or height * width > max_pixels():
        return f"' must have from 1 to {max_pixels():,} pixels"
    if not _is_name(image["file"]):
        return ".file' must be the name of a file in the same folder"
    for key, further in (("truth", ()), ("predicted", ("scores",))):
        own = image.get(key)
        if task == "segmentation":
            if not _is_name(own):
                return f".{key}' must be the name of a file in the same folder"
        elif fault := _objects_fault(own, (*LISTS[task], *further), classes, (height, width)):
            return f".{key}{fault}"
    return ""


def _objects_fault(own: Any, lists: tuple[str, ...], classes: int, size: Pixels) -> str:
    lookup = own if isinstance(own, dict) else {}
    parts: list[list[Any]] = [part for key in lists if isinstance(part := lookup.get(key), list)]
    if len(parts) < len(lists) or len(set(map(len, parts))) > 1:
        return f"' must hold equally long lists {', '.join(lists)}"
    for key, part in zip(lists, parts, strict=True):
        is_right, wanted = ENTRIES[key]
        if not all(is_right(entry, classes, size) for entry in part):
            return f".{key}' must hold {wanted}"
    return ""


def _is_name(text: Any) -> bool:
    """Whether it names a file, and no way out of the folder that it is looked for in."""
    return isinstance(text, str) and text not in ("", ".", "..") and not set(text) & set("/\\\0:")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_box(value: Any, classes: int, size: Pixels) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(_is_number, value))


def _is_label(value: Any, classes: int, size: Pixels) -> bool:
    return type(value) is int and 0 <= value < classes


def _is_score(value: Any, classes: int, size: Pixels) -> bool:
    return _is_number(value)


def _is_mask(value: Any, classes: int, size: Pixels) -> bool:
    """Whether the runs cover every pixel: of others, pycocotools shows what lies in memory."""
    try:
        runs = expand(value)
    except (ValueError, TypeError):
        return False
    return min(runs, default=0) >= 0 and sum(runs) == size[0] * size[1]


ENTRIES: dict[str, tuple[Callable[[Any, int, Pixels], bool], str]] = {
    "boxes": (_is_box, "four finite numbers a box"),
    "labels": (_is_label, "the numbers of the classes, from 0"),
    "scores": (_is_score, "finite numbers"),
    "masks": (_is_mask, "run lengths of the image's pixels as text"),
}
"""Key of a list -> what its entries must be, and how that is said."""
LISTS = {"detection": ("boxes", "labels"), "instance": ("boxes", "labels", "masks")}
"""Task -> what is known of every object, true or predicted."""
