"""Average precision as Pascal VOC defines it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmark.metrics.breakdown import Floats, nan_mean
from benchmark.metrics.matching import Matches


def voc_ap(matches: Matches, objects: npt.NDArray[np.int64], points: int | None = None) -> float:
    """Mean over the classes of Pascal VOC's AP at IoU 0.5 (Everingham et al. 2010, §4.2).

    A detection belongs to the object that it overlaps most and is false if a better one has that
    object already; COCO would give it to the next free object. Two things differ from the
    development kit: sides are ``x2 - x1``, without the kit's one pixel more, and of an image and
    class the best 100 detections count.

    Args:
        matches: of all images.
        objects: ``[C]``, number of objects of each class.
        points: None for the area under the curve of precision (the kit since 2010), 11 for the
            mean at recalls 0, 0.1 ... 1 (the kit of 2007).

    Returns:
        0..1; NaN where no class has an object.
    """
    found = np.full(len(objects), np.nan)
    for label in np.flatnonzero(objects).tolist():
        curve = _curve(matches, label, int(objects[label]))
        found[label] = _area(*curve) if points is None else _at_points(*curve, points)
    return float(nan_mean(found))


def _curve(matches: Matches, label: int, objects: int) -> tuple[Floats, Floats]:
    """Recall and the best precision at this recall or more, both with each detection more."""
    mine = np.flatnonzero(matches.label == label)
    # Stable: equal scores stay in the order of the images.
    best_first = mine[np.argsort(-matches.score[mine], kind="stable")]
    hits = matches.first[best_first].cumsum()
    precision = hits / np.arange(1, len(hits) + 1)
    return hits / objects, np.maximum.accumulate(precision[::-1])[::-1]


def _area(recall: Floats, precision: Floats) -> float:
    return float((np.diff(recall, prepend=0) * precision).sum())


def _at_points(recall: Floats, precision: Floats, points: int) -> float:
    wanted = np.arange(points) / (points - 1)
    reached = np.searchsorted(recall, wanted)
    return float(np.append(precision, 0.0)[reached].mean())
