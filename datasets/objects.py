"""From the objects that a file annotates to a :class:`~datasets.sample.Sample`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from datasets.sample import IGNORE, Sample, drop_degenerate

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class AnnotatedObject:
    """One object of an image.

    Attributes:
        label: index into the data set's classes; without meaning for a crowd.
        box: ``x1, y1, x2, y2`` in pixels, not yet clipped to the image.
        mask: bool ``[H, W]``, or None where the annotation has a box only.
        crowd: a region of objects that nobody told apart.
    """

    label: int
    box: Box
    mask: npt.NDArray[np.bool_] | None = None
    crowd: bool = False


def build_sample(
    sample_id: str,
    path: Path,
    image: npt.NDArray[np.uint8],
    objects: Sequence[AnnotatedObject],
    classes: list[str],
    with_masks: bool,
) -> Sample:
    """Clip, filter and stack the objects of one image.

    Crowds give no box. Objects without width or height are left out and counted in
    ``Sample.dropped``. With ``with_masks`` the sample has a semantic mask, see
    :func:`semantic_mask`, and instance masks if every object that is kept has one.
    """
    height, width = image.shape[:2]
    single = [item for item in objects if not item.crowd]
    all_boxes = np.array([item.box for item in single], dtype=np.float32).reshape(-1, 4)
    boxes, keep = drop_degenerate(all_boxes, width, height)
    kept = [item for item, has_area in zip(single, keep, strict=True) if has_area]

    instance_masks = semantic = None
    if with_masks:
        crowds = [item for item in objects if item.crowd]
        semantic = semantic_mask(height, width, [*kept, *crowds])
        masks = [item.mask for item in kept if item.mask is not None]
        if len(masks) == len(kept):
            instance_masks = np.array(masks, dtype=np.bool_).reshape(-1, height, width)
    return Sample(
        id=sample_id,
        path=str(path),
        image=image,
        boxes=boxes[keep],
        labels=np.array([item.label for item in kept], dtype=np.int64),
        instance_masks=instance_masks,
        semantic=semantic,
        dropped=len(single) - len(kept),
    ).validate(classes)


def mask_sample(
    sample_id: str,
    path: Path,
    image: npt.NDArray[np.uint8],
    semantic: npt.NDArray[np.uint8],
    classes: list[str],
) -> Sample:
    """A sample without boxes, of an image with a mask of classes ``[H, W]``."""
    return Sample(
        id=sample_id,
        path=str(path),
        image=image,
        boxes=np.zeros((0, 4), dtype=np.float32),
        labels=np.zeros(0, dtype=np.int64),
        semantic=semantic,
    ).validate(classes)


def semantic_mask(
    height: int, width: int, objects: Sequence[AnnotatedObject]
) -> npt.NDArray[np.uint8]:
    """One class a pixel, uint8 ``[height, width]``, from objects that may overlap.

    Where masks overlap the smallest object lies on top, so that a cup on a table is not lost
    below the table. A crowd's region is ignored, and so is the box of an object without a
    mask: which of its pixels are foreground is not known. Masks of other objects lie above
    both.
    """
    semantic = np.zeros((height, width), dtype=np.uint8)
    known: list[tuple[npt.NDArray[np.bool_], int]] = []
    for item in objects:
        if item.mask is not None and not item.crowd:
            known.append((item.mask, item.label + 1))
        elif item.mask is not None:
            semantic[item.mask] = IGNORE
        else:
            x1, y1, x2, y2 = np.clip(item.box, 0, [width, height, width, height])
            semantic[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))] = IGNORE
    known.sort(key=lambda pair: int(pair[0].sum()), reverse=True)
    for mask, value in known:
        semantic[mask] = value
    return semantic


def polygon_mask(
    polygons: Sequence[Sequence[float]], height: int, width: int
) -> npt.NDArray[np.bool_]:
    """Fill polygons ``[x1, y1, x2, y2, ...]`` (pixels) as COCO does; bool ``[height, width]``."""
    parts = coco_mask.frPyObjects([list(polygon) for polygon in polygons], height, width)
    return coco_mask.decode(coco_mask.merge(parts)).astype(np.bool_)


def mask_box(mask: npt.NDArray[np.bool_]) -> Box:
    """The tightest ``x1, y1, x2, y2`` around a mask ``[H, W]``; all zero for an empty one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return (0.0, 0.0, 0.0, 0.0)
    return (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
