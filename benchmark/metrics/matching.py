"""Which detection hits which object: read off the overlaps that an evaluation has computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.metrics.breakdown import Floats, nan_mean

LEAST_IOU = 0.5
"""Of a hit."""

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Matches:
    """The M detections that an evaluation looked at: the 100 best of an image and a class.

    Attributes:
        score: ``[M]``.
        label: int ``[M]``.
        iou: ``[M]``, overlap with the object that COCO gives it at IoU 0.5; NaN for a false one.
        first: bool ``[M]``, whether it hits an object in the way of Pascal VOC: of all that
            overlap this object more than any other, and at least by half, it has the best score.
    """

    score: Floats
    label: Integers
    iou: Floats
    first: npt.NDArray[np.bool_]

    @property
    def hit(self) -> npt.NDArray[np.bool_]:
        """``[M]``, whether COCO takes it for right at IoU 0.5."""
        return ~np.isnan(self.iou)

    def mean_iou(self) -> float:
        """Mean of :attr:`iou`; NaN without any hit."""
        return float(nan_mean(self.iou))


def match(evaluation: Any) -> Matches:
    """Matches of an evaluation by any of :data:`benchmark.metrics.engines.ENGINES`.

    Both keep the overlaps of each image and class, ``ious``, with a row for each detection in the
    order of the scores and a column for each object; equal scores stay in the order given.
    """
    rows = evaluation.cocoDt.dataset["annotations"]
    image = np.array([row["image_id"] for row in rows], np.int64)
    label = np.array([row["category_id"] for row in rows], np.int64)
    score = np.array([row["score"] for row in rows], np.float64)
    order = np.lexsort((-score, label, image))
    changed = np.diff(image[order], prepend=-1) | np.diff(label[order], prepend=-1)
    starts = np.flatnonzero(changed)
    place = np.arange(len(order)) - starts[changed.astype(bool).cumsum() - 1]
    looked_at = order[place < evaluation.params.maxDets[-1]]
    pairs = zip(image[order[starts]].tolist(), label[order[starts]].tolist(), strict=True)
    sizes = np.diff(starts, append=len(order)).clip(max=evaluation.params.maxDets[-1])
    detection, thing, iou = _near([evaluation.ious[pair] for pair in pairs], sizes)
    return Matches(
        score[looked_at],
        label[looked_at],
        _as_coco(detection, thing, iou, len(looked_at)),
        _as_voc(detection, thing, iou, len(looked_at)),
    )


def _near(overlaps: list[Any], sizes: Integers) -> tuple[Integers, Integers, Floats]:
    """Detections and objects that overlap by half or more, pair by pair.

    Args:
        overlaps: of each image and class, ``[D, G]`` or an empty list; ``sizes``: their D.

    Returns:
        The number of the detection and of the object, both counted through all of ``overlaps``,
        and their IoU.
    """
    flat = np.concatenate([np.zeros(0), *(np.ravel(some) for some in overlaps)])
    cells = np.array([np.size(some) for some in overlaps], np.int64)
    widths = cells // np.maximum(sizes, 1)
    found = np.flatnonzero(flat >= LEAST_IOU)
    group = np.searchsorted(cells.cumsum(), found, side="right")
    row, column = np.divmod(found - (cells.cumsum() - cells)[group], widths[group])
    first_row, first_column = sizes.cumsum() - sizes, widths.cumsum() - widths
    return first_row[group] + row, first_column[group] + column, flat[found]


def _as_coco(detection: Integers, thing: Integers, iou: Floats, count: int) -> Floats:
    """IoU of each detection with the free object that it overlaps most, or NaN.

    Of objects that it overlaps equally it takes the last, as ``COCOeval.evaluateImg`` does.
    """
    matched: dict[int, float] = {}
    gone: set[int] = set()
    order = np.lexsort((-thing, -iou, detection))
    for d, g, value in zip(*(x[order].tolist() for x in (detection, thing, iou)), strict=True):
        if d not in matched and g not in gone:
            matched[d] = value
            gone.add(g)
    found = np.full(count, np.nan)
    found[list(matched)] = list(matched.values())
    return found


def _as_voc(detection: Integers, thing: Integers, iou: Floats, count: int) -> npt.NDArray[np.bool_]:
    """Whether each detection is the first on the object that it overlaps most."""
    order = np.lexsort((thing, -iou, detection))
    detections, at = np.unique(detection[order], return_index=True)
    nearest = thing[order][at]
    first = np.zeros(count, bool)
    first[detections[np.unique(nearest, return_index=True)[1]]] = True
    return first
