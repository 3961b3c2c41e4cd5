"""What the breakdowns of both tasks share: calibration, curves of precision, means with gaps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SCORE_EDGES: Floats = np.arange(11) / 10
"""Borders of the ten bins in which scores are held against what came true."""
RECALLS: Floats = np.linspace(0, 1, 101)
"""COCO's: where precision is read."""
DIGITS = 6
"""Decimals kept in files; a metric's own noise is thousands of times larger."""


def nan_mean(values: npt.ArrayLike, axis: int | tuple[int, ...] | None = None) -> Any:
    """Mean of what is not NaN; NaN, without a warning, where nothing is left."""
    array = np.asarray(values, np.float64)
    known = ~np.isnan(array)
    with np.errstate(invalid="ignore"):
        return np.where(known, array, 0).sum(axis) / known.sum(axis)


def calibration(count: npt.ArrayLike, scores: npt.ArrayLike, right: npt.ArrayLike) -> dict:
    """How far scores can be taken for probabilities (Guo et al. 2017, arXiv 1706.04599, §2).

    Args:
        count: ``[10]``, cases in each of the bins of :data:`SCORE_EDGES`.
        scores: ``[10]``, sums of their scores.
        right: ``[10]``, how many of them came true.

    Returns:
        ``edges``, ``count``, mean ``confidence`` and ``accuracy`` of each bin (NaN in empty ones),
        and ``ece``, the expected calibration error: the mean gap between
        the two, weighted by the counts. NaN without any case.
    """
    n = np.asarray(count, np.float64)
    with np.errstate(invalid="ignore"):
        confidence, accuracy = np.asarray(scores) / n, np.asarray(right) / n
    gap = np.where(n > 0, np.abs(accuracy - confidence), 0)
    return {
        "edges": SCORE_EDGES,
        "count": n.astype(np.int64),
        "confidence": confidence,
        "accuracy": accuracy,
        "ece": float((n * gap).sum() / n.sum()) if n.sum() else math.nan,
    }


def plain(value: Any) -> Any:
    """Arrays as lists and numbers rounded to :data:`DIGITS` decimals, as files keep them."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return round(value, DIGITS) if isinstance(value, float) else value
