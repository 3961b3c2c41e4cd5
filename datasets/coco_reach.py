"""Whether the boxes of a COCO file lie in their images, or mean something else."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FURTHEST = 1e9
"""Pixels; a coordinate beyond comes from a damaged file and overflows what is computed of it."""
MUCH = 1.1
"""Sizes of the image; so far no annotator's hand slips."""
MOST = 0.2
"""Share of the boxes that may reach so far: a data set may hold objects that the image cuts off."""
FEWEST = 10
"""Boxes; fewer tell nothing about what the numbers of a file mean."""
UNKNOWN = float("nan")

Floats = npt.NDArray[np.float64]


def box_or_unknown(value: Any) -> list[float]:
    """The four numbers of a ``bbox``, NaN for what is none: that is told when it is read."""
    is_box = (
        isinstance(value, list)
        and len(value) == 4
        and all(type(number) in (int, float) and abs(number) <= FURTHEST for number in value)
    )
    return value if is_box else [UNKNOWN] * 4


def size_or_unknown(record: dict[str, Any]) -> list[float]:
    """Width and height of an image as its entry has them, NaN for what it has not."""
    sides: tuple[Any, Any] = (record.get("width"), record.get("height"))
    return [
        side if type(side) in (int, float) and 0 < side <= FURTHEST else UNKNOWN for side in sides
    ]


def reach_fault(boxes: Floats, sizes: Floats) -> str:
    """What is wrong if many boxes reach far beyond their images; "" where few or none do.

    Each box would be cut off at the image's edge, and nobody would notice.

    Args:
        boxes: ``[n, 4]``, as the file has them.
        sizes: ``[n, 2]``, width and height of each box's image.
    """
    known = np.isfinite(boxes).all(1) & np.isfinite(sizes).all(1)
    boxes, sizes = boxes[known], sizes[known]
    begins, sides = boxes[:, :2], boxes[:, 2:]
    beyond = (begins + sides > MUCH * sizes).any(1)
    if len(boxes) < FEWEST or beyond.mean() <= MOST:
        return ""
    first = np.flatnonzero(beyond)[0]
    width, height = sizes[first]
    example = ", ".join(f"{number:g}" for number in boxes[first])
    are_corners = ((begins < sides) & (sides <= sizes)).all(1).mean() > 1 - MOST
    looks = "; these look like [x1, y1, x2, y2]" if are_corners else ""
    return (
        f"{beyond.sum()} of {len(boxes)} boxes reach far beyond their image, such as [{example}] "
        f"in one of {width:g}x{height:g}: bbox must be [x, y, width, height] in pixels{looks}"
    )
