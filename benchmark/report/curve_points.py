"""Recorded curves read at a few places, so that losses can be compared there pair by pair."""

from __future__ import annotations

from typing import Any

from benchmark.report.breakdowns import Details

OVERLAPS = (0.50, 0.75, 0.90)
"""IoU thresholds at which AP is compared: a loss may gain in loose boxes and lose in tight ones."""
NEAR = 1e-6  # two places closer than this are the same, written with other digits


def read_at(details: Details, *path: str, places: tuple[float, ...]) -> Details:
    """Points of a recorded curve, as groups that :func:`benchmark.report.breakdowns.grouped` reads.

    Args:
        details: of one (task, data set, model).
        path: keys that lead to ``{"x": [...], "y": [...]}``: ``"by_iou"``.
        places: values of x; one that a run did not record is absent there.

    Returns:
        Loss -> repetition -> ``{"points": {"group": ["0.50", ...], "value": [...]}}``, without
        the runs that lack the curve.
    """
    found: dict[str, dict[int, Any]] = {}
    for loss, runs in details.items():
        for repetition, run in runs.items():
            curve: Any = run
            for key in path:
                curve = curve.get(key) if curve is not None else None
            if curve is not None:
                found.setdefault(loss, {})[repetition] = {"points": _points(curve, places)}
    return found


def _points(curve: dict[str, Any], places: tuple[float, ...]) -> dict[str, Any]:
    known = {
        f"{place:.2f}": y
        for place in places
        for x, y in zip(curve["x"], curve["y"], strict=True)
        if abs(x - place) < NEAR
    }
    return {"group": list(known), "value": list(known.values())}
