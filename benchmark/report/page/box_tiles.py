"""Detections drawn over a picture: right, wrong, and what they missed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from benchmark.report.matching import match
from benchmark.report.page.tiles import MISSED, RIGHT, WRONG, Embedded, Tile
from benchmark.report.samples import Sample

LINES = {"right": (RIGHT, "", 2.0), "wrong": (WRONG, "6 3", 1.2), "missed": (MISSED, "2 3", 2.0)}
"""Colour, dashes and width of each kind of box; wrong ones are many and must not hide the rest."""
HALO = 1.5  # pixels by which the dark line below is wider
NOTE = (
    "A detection is right where it meets an object of its class at an IoU of 0.5 or more; each "
    "object counts once, for the highest score. Drawn are the detections with scores of at least "
    "0.3, at most 50 a picture, so a loss with lower scores shows fewer."
)

Box = tuple[Sequence[float], str]  # corners and what is told of it


def box_tiles(sample: Sample, picture: Embedded) -> list[Tile]:
    """The truth, then each loss."""
    truth = sample.truth
    labels = [_class(sample, label) for label in truth["labels"]]
    boxes = list(zip(truth["boxes"], labels, strict=True))
    counted = Counter(labels)
    told = ", ".join(f"{count} {name}" for name, count in counted.items()) or "none"
    caption = f"{len(boxes)} object{'s' * (len(boxes) != 1)}"
    tiles = [Tile(None, _drawn({"right": boxes}), caption, f"Truth of {sample.id}: {told}")]
    return tiles + [_tile(sample, loss, found) for loss, found in sample.predicted.items()]


def _tile(sample: Sample, loss: str, found: Mapping[str, Any]) -> Tile:
    truth = sample.truth
    boxes, scores, labels = found["boxes"], found["scores"], found["labels"]
    matches = match(truth["boxes"], truth["labels"], boxes, scores, labels)
    kinds: dict[str, list[Box]] = {"wrong": [], "missed": [], "right": []}
    for j in matches.missed:
        kinds["missed"].append((truth["boxes"][j], f"missed: {_class(sample, truth['labels'][j])}"))
    for i, box in enumerate(boxes):
        told = f"{_class(sample, labels[i])}, score {scores[i]:.2f}"
        if matches.found[i] >= 0:
            kinds["right"].append((box, f"right: {told}, IoU {matches.iou[i]:.2f}"))
        else:
            kinds["wrong"].append((box, f"wrong: {told}"))
    caption = ", ".join(f"{len(kinds[kind])} {kind}" for kind in LINES)
    alt = f"{loss} on {sample.id}: {caption}, of {len(truth['boxes'])} objects"
    return Tile(loss, _drawn(kinds), caption, alt)


def _class(sample: Sample, label: int) -> str:
    return sample.classes[label]


def _drawn(kinds: Mapping[str, list[Box]]) -> Markup:
    """Every box on a dark halo that keeps it visible on any picture; small boxes on top."""
    return Markup("").join(_group(kind, boxes) for kind, boxes in kinds.items() if boxes)


def _group(kind: str, boxes: list[Box]) -> Markup:
    colour, dashes, width = LINES[kind]
    drawn = Markup("").join(
        Markup('<path vector-effect="non-scaling-stroke" d="{}" data-tip="{}"/>').format(
            _outline(box), tip
        )
        for box, tip in sorted(boxes, key=lambda pair: -_area(pair[0]))
    )
    return Markup(
        '<g fill="none" pointer-events="all" stroke="{colour}" stroke-width="{width}" '
        'stroke-dasharray="{dashes}"><path vector-effect="non-scaling-stroke" d="{halo}" '
        'stroke="#000" stroke-opacity=".5" stroke-width="{wide}" stroke-dasharray="none" '
        'pointer-events="none"/>{drawn}</g>'
    ).format(
        colour=colour,
        width=width,
        dashes=dashes or "none",
        halo="".join(_outline(box) for box, _ in boxes),
        wide=width + HALO,
        drawn=drawn,
    )


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _outline(box: Sequence[float]) -> str:
    x1, y1, x2, y2 = (round(value, 1) for value in box)
    return f"M{x1:g} {y1:g}H{x2:g}V{y2:g}H{x1:g}Z"


def box_legend(samples: list[Sample]) -> Markup:
    """What the lines mean."""
    return Markup("").join(
        Markup(
            '<li><svg width="34" height="10" aria-hidden="true"><path d="M1 5H33" stroke="#000" '
            'stroke-opacity=".5" stroke-width="{}"/><path d="M1 5H33" stroke="{}" '
            'stroke-width="{}" stroke-dasharray="{}"/></svg> {}</li>'
        ).format(width + HALO, colour, width, dashes or "none", kind)
        for kind, (colour, dashes, width) in LINES.items()
    )
