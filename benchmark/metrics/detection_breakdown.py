"""Where an AP of boxes or masks comes from: read off the evaluation's own overlaps and curves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from benchmark.metrics.breakdown import RECALLS, SCORE_EDGES, Floats, calibration, nan_mean
from benchmark.metrics.detection import AveragePrecision, Boxes, Labels, quiet
from benchmark.metrics.matching import Matches, match
from benchmark.metrics.rle import Rle

ASPECTS = {
    "1 to 1.5": (1.0, 1.5),
    "1.5 to 3": (1.5, 3.0),
    "3 and more": (3.0, math.inf),
}
"""Classes of the longer side by the shorter one: from the first number to below the second."""
SIZES = ("small", "medium", "large")
CURVES = {"IoU 0.50": 0, "IoU 0.75": 5}
"""Precision-recall curves by name -> position of their threshold among COCO's ten."""
IOU_EDGES: Floats = np.linspace(0.5, 1, 21)


def detection_breakdown(
    metric: AveragePrecision,
    boxes: list[Boxes],
    scores: list[Boxes],
    labels: list[Labels],
    masks: list[list[Rle]] | None = None,
) -> tuple[dict[str, float], dict[str, Any]]:
    """AP of the detections, and its breakdowns.

    Args:
        metric: made of the truth; ``boxes``, ``scores``, ``labels``, ``masks``: as it is called
            with.

    Returns:
        The metrics that ``metric`` itself gives with ``ECE``, that of ``calibration``, and:

        - ``by_iou``: AP at each of COCO's thresholds.
        - ``by_size``, ``by_aspect``, ``by_class``: AP of a group of objects and their number.
          Detections outside of a group that match nothing do not count against it, as in COCO's
          AP by size. An object as large as the border of two sizes belongs to both.
        - ``precision_recall``: mean precision of the classes at 101 recalls, 0 where a recall is
          not reached.
        - ``localisation``: IoU with the object of the detections matched at IoU 0.5.
        - ``calibration``: scores of all detections, right if matched at IoU 0.5.
    """
    evaluation = metric.evaluate(boxes, scores, labels, masks)
    # [T thresholds, R recalls, K classes, A areas]: -1 where a class has no object
    precision = _gaps(evaluation.eval["precision"][..., -1])
    all_sizes = precision[..., 0]
    per_class = metric.metrics(evaluation)
    found = np.concatenate([np.zeros((0, 4)), *boxes])
    matches = match(evaluation)
    calibrated = _calibration(matches)
    return {**per_class, "ECE": calibrated["ece"]}, {
        "version": 1,
        "task": "detection",
        "by_iou": {"x": evaluation.params.iouThrs, "y": nan_mean(all_sizes, (1, 2))},
        "by_size": {
            "group": list(SIZES),
            "count": _counts_in(metric.areas, evaluation.params.areaRng[1:]),
            "value": [per_class[f"AP_{size}"] for size in SIZES],
        },
        "by_aspect": _by_aspect(metric, evaluation, found),
        "by_class": {
            "group": metric.classes,
            "count": np.bincount(metric.labels, minlength=len(metric.classes)),
            "value": [per_class[f"AP/{name}"] for name in metric.classes],
        },
        "precision_recall": {
            name: {"x": RECALLS, "y": nan_mean(all_sizes[at], 1)} for name, at in CURVES.items()
        },
        "localisation": {
            "edges": IOU_EDGES,
            # Rounding may leave the IoU of equal boxes a hair above 1.
            "count": np.histogram(matches.iou[matches.hit].clip(max=1), IOU_EDGES)[0],
            "mean": matches.mean_iou(),
            "matched": int(matches.hit.sum()),
            "objects": len(metric.corners),
        },
        "calibration": calibrated,
    }


def _gaps(precision: Floats) -> Floats:
    return np.where(precision < 0, np.nan, precision)


def aspects(corners: Boxes) -> Floats:
    """Longer side by shorter side of boxes ``[n, 4]``, at least 1; infinite without a side."""
    sides = corners[:, 2:] - corners[:, :2]
    shorter, longer = sides.min(1), sides.max(1)
    return np.where(shorter > 0, longer / np.where(shorter > 0, shorter, 1), np.inf)


def _counts_in(values: Floats, ranges: list[tuple[float, float]]) -> list[int]:
    return [int(((values >= low) & (values <= high)).sum()) for low, high in ranges]


def _by_aspect(metric: AveragePrecision, evaluation: Any, found: Boxes) -> dict[str, Any]:
    """AP by side ratio: COCO's AP by area with the ratio in the area's place."""
    # COCO's ranges hold both their borders; ours end below the upper one.
    ranges = [[low, float(np.nextafter(high, 0))] for low, high in ASPECTS.values()]
    ranges[-1][1] = math.inf
    ratios = aspects(metric.corners)
    detections = _with_areas(evaluation.cocoDt, aspects(found))
    again = metric.engine.evaluation(_with_areas(metric.truth, ratios), detections, metric.kind)
    again.params.areaRng = ranges
    again.params.areaRngLbl = list(ASPECTS)
    again.params.maxDets = evaluation.params.maxDets[-1:]
    with quiet():
        again.evaluate()
        again.accumulate()
    precision = _gaps(again.eval["precision"][..., -1])
    return {
        "group": list(ASPECTS),
        "count": _counts_in(ratios, [(low, high) for low, high in ranges]),
        "value": nan_mean(precision, (0, 1, 2)),
    }


def _with_areas(coco: Any, areas: Floats) -> Any:
    """A copy in which the annotations, numbered from 1, have these areas."""
    rows = coco.dataset["annotations"]
    changed = type(coco)()
    changed.dataset = {
        **coco.dataset,
        "annotations": [{**row, "area": float(areas[row["id"] - 1])} for row in rows],
    }
    with quiet():
        changed.createIndex()
    return changed


def _calibration(matches: Matches) -> dict[str, Any]:
    bins = len(SCORE_EDGES) - 1
    at = (np.digitize(matches.score, SCORE_EDGES) - 1).clip(0, bins - 1)
    return calibration(
        np.bincount(at, minlength=bins),
        np.bincount(at, matches.score, minlength=bins),
        np.bincount(at, matches.hit, minlength=bins),
    )
