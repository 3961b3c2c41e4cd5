"""Every breakdown of the test metrics in one long frame."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from benchmark.report.breakdowns import (
    Details,
    calibration,
    curve,
    grouped,
    localisation,
    matched_share,
    part,
    single,
)
from benchmark.report.curve_points import OVERLAPS, read_at
from benchmark.report.data import ReportData
from benchmark.statistics import GROUP, groups

CURVES = (("by_iou",), ("by_threshold",))
GROUPS = (("by_size",), ("by_aspect",), ("by_share",), ("by_class",), ("thresholds",))
SINGLES = (("localisation", "mean"), ("calibration", "ece"))
COLUMNS = [
    *GROUP,
    *("breakdown", "loss", "group", "x", "x_low", "x_high", "count", "mean", "low", "high"),
    *("diff", "diff_low", "diff_high", "n", "n_pairs", "confidence", "accuracy"),
]


def breakdown_frame(data: ReportData, summary: pd.DataFrame) -> pd.DataFrame:
    """The breakdowns of :mod:`benchmark.report.breakdowns`, of every (task, data set, model).

    Returns:
        A frame with :data:`COLUMNS`: ``breakdown`` names it (``by_size``,
        ``precision_recall/IoU 0.50``, ``boxes/by_size`` beside that of masks); the place within
        it is a ``group``, an ``x``, or a range from ``x_low`` to ``x_high``; what does not apply
        is NaN. Empty where no run recorded any.
    """
    runs = dict(groups(data.runs))
    frames = [
        frame.assign(**dict(zip(GROUP, key, strict=True)), breakdown=name)
        for key, rows in groups(summary)
        for name, frame in _breakdowns(
            data.details_by_loss(runs[key], rows["loss"].tolist()), str(rows["baseline"].iloc[0])
        )
    ]
    if not frames:
        return pd.DataFrame(columns=COLUMNS)
    return pd.concat(frames, ignore_index=True).reindex(columns=COLUMNS)


def _breakdowns(details: Details, baseline: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Name and frame of each breakdown that some run recorded."""
    recorded = [run for runs in details.values() for run in runs.values()]
    recalls = dict.fromkeys(name for run in recorded for name in run.get("precision_recall") or {})
    found = {
        **{"/".join(path): curve(details, *path) for path in CURVES},
        **{"/".join(path): grouped(details, *path, baseline=baseline) for path in GROUPS},
        "by_iou/points": grouped(
            read_at(details, "by_iou", places=OVERLAPS), "points", baseline=baseline
        ),
        **{
            f"precision_recall/{name}": curve(details, "precision_recall", name) for name in recalls
        },
        "localisation/share": localisation(details),
        "localisation/matched": matched_share(details, baseline),
        **{"/".join(path): single(details, *path, baseline=baseline) for path in SINGLES},
        "calibration": calibration(details),
    }
    for name, frame in found.items():
        if not frame.empty:
            yield name, frame
    if of_boxes := part(details, "boxes"):
        for name, frame in _breakdowns(of_boxes, baseline):
            yield f"boxes/{name}", frame
