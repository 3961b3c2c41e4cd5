"""Cut curves at the edges of a chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

Point = tuple[float, float]


def runs_of_finite(points: Sequence[Point]) -> list[list[Point]]:
    """The points in stretches without NaN or infinity."""
    stretches: list[list[Point]] = [[]]
    for x, y in points:
        if math.isfinite(x) and math.isfinite(y):
            stretches[-1].append((x, y))
        elif stretches[-1]:
            stretches.append([])
    return [stretch for stretch in stretches if stretch]


def clipped(points: Sequence[Point]) -> list[list[Point]]:
    """The parts of a polyline that lie in the unit square; it breaks at points without a place.

    A part of a single point is kept, since a curve of one evaluation is one.
    """
    parts: list[list[Point]] = []
    for stretch in runs_of_finite(points):
        if len(stretch) == 1:
            parts += [stretch] if _inside(stretch[0]) else []
            continue
        open_part: list[Point] | None = None
        for start, end in pairwise(stretch):
            cut = _cut(start, end)
            if cut is None:
                open_part = None
                continue
            if open_part is None:
                open_part = [cut[0]]
                parts.append(open_part)
            open_part.append(cut[1])
            if cut[1] != end:
                open_part = None
    return parts


def clamped(points: Sequence[Point]) -> list[Point]:
    """The polyline with what lies above or below the unit square moved onto its edge.

    Points are put in where it crosses an edge, so that what is inside keeps its shape.
    """
    result: list[Point] = []
    for start, end in pairwise(points):
        result.append(start)
        crossings = [(e - start[1]) / (end[1] - start[1]) for e in (0.0, 1.0) if end[1] != start[1]]
        for t in sorted(t for t in crossings if 0 < t < 1):
            result.append((start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])))
    result += points[-1:]
    return [(min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)) for x, y in result]


def _inside(point: Point) -> bool:
    return all(0 <= value <= 1 for value in point)


def _cut(start: Point, end: Point) -> tuple[Point, Point] | None:
    """The part of a segment in the unit square (Liang and Barsky, "A new concept and method for
    line clipping", ACM Transactions on Graphics 1984), or None.
    """
    first, last = 0.0, 1.0
    for a, b in zip(start, end, strict=True):
        step = b - a
        for room, pace in ((a, -step), (1 - a, step)):
            if pace == 0:
                if room < 0:
                    return None
            elif pace > 0:
                last = min(last, room / pace)
            else:
                first = max(first, room / pace)
    if first > last:
        return None

    def at(t: float) -> Point:
        return (start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1]))

    return (start if first == 0 else at(first)), (end if last == 1 else at(last))
