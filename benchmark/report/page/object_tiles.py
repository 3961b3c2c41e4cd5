"""Detected objects drawn over a picture: right, wrong, and what was missed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from benchmark.report.matching import Overlap, match
from benchmark.report.page.tiles import MISSED, RIGHT, WRONG, Tile
from benchmark.report.samples import Sample

LINES = {"right": (RIGHT, "", 2.0), "wrong": (WRONG, "6 3", 1.2), "missed": (MISSED, "2 3", 2.0)}
"""Colour, dashes and width of each kind of line; wrong ones are many and must not hide the rest."""
HALO = 1.5  # pixels by which the dark line below is wider
SHOWN = (
    "Drawn are the detections with scores of at least 0.3, at most 50 a picture, so a loss with "
    "lower scores shows fewer."
)


@dataclass(frozen=True)
class Mark:
    """An object as it is drawn.

    Attributes:
        path: SVG path of its outline, in pixels of the picture.
        area: in pixels; small ones are drawn on top.
        tip: what is told of it.
    """

    path: str
    area: float
    tip: str


@dataclass(frozen=True)
class Form:
    """What objects look like in the pictures of a task.

    Attributes:
        of: the forms of a truth or a prediction, one an object, which the others take.
        outline: SVG path and area in pixels of one.
        overlaps: IoU of detections with objects.
        opacity: of what an outline encloses.
    """

    of: Callable[[Mapping[str, Any], Sample], Sequence[Any]]
    outline: Callable[[Any], tuple[str, float]]
    overlaps: Overlap
    opacity: float = 0.0


def object_tiles(form: Form, sample: Sample) -> list[Tile]:
    """The truth, then each loss."""
    truth = sample.truth
    labels = [_class(sample, label) for label in truth["labels"]]
    marks = [
        Mark(*form.outline(own), label)
        for own, label in zip(form.of(truth, sample), labels, strict=True)
    ]
    counted = Counter(labels)
    told = ", ".join(f"{count} {name}" for name, count in counted.items()) or "none"
    caption = f"{len(marks)} object{'s' * (len(marks) != 1)}"
    drawn = _drawn({"right": marks}, form.opacity)
    tiles = [Tile(None, drawn, caption, f"Truth of {sample.id}: {told}")]
    return tiles + [_tile(form, sample, loss, found) for loss, found in sample.predicted.items()]


def _tile(form: Form, sample: Sample, loss: str, found: Mapping[str, Any]) -> Tile:
    truth, scores, labels = sample.truth, found["scores"], found["labels"]
    objects, own = form.of(truth, sample), form.of(found, sample)
    matches = match(objects, truth["labels"], own, scores, labels, overlaps=form.overlaps)
    kinds: dict[str, list[Mark]] = {"wrong": [], "missed": [], "right": []}
    for j in matches.missed:
        told = f"missed: {_class(sample, truth['labels'][j])}"
        kinds["missed"].append(Mark(*form.outline(objects[j]), told))
    for i, one in enumerate(own):
        told = f"{_class(sample, labels[i])}, score {scores[i]:.2f}"
        if matches.found[i] >= 0:
            tip = f"right: {told}, IoU {matches.iou[i]:.2f}"
            kinds["right"].append(Mark(*form.outline(one), tip))
        else:
            kinds["wrong"].append(Mark(*form.outline(one), f"wrong: {told}"))
    caption = ", ".join(f"{len(kinds[kind])} {kind}" for kind in LINES)
    alt = f"{loss} on {sample.id}: {caption}, of {len(objects)} objects"
    return Tile(loss, _drawn(kinds, form.opacity), caption, alt)


def _class(sample: Sample, label: int) -> str:
    return sample.classes[label]


def _drawn(kinds: Mapping[str, list[Mark]], opacity: float) -> Markup:
    """Every outline on a dark halo that keeps it visible on any picture; small ones on top."""
    return Markup("").join(_group(kind, marks, opacity) for kind, marks in kinds.items() if marks)


def _group(kind: str, marks: list[Mark], opacity: float) -> Markup:
    colour, dashes, width = LINES[kind]
    drawn = Markup("").join(
        Markup('<path vector-effect="non-scaling-stroke" d="{}" data-tip="{}"/>').format(
            mark.path, mark.tip
        )
        for mark in sorted(marks, key=lambda mark: -mark.area)
    )
    return Markup(
        '<g fill="{fill}"{opacity} pointer-events="all" stroke="{colour}" stroke-width="{width}" '
        'stroke-dasharray="{dashes}"><path vector-effect="non-scaling-stroke" d="{halo}" '
        'fill="none" stroke="#000" stroke-opacity=".5" stroke-width="{wide}" '
        'stroke-dasharray="none" pointer-events="none"/>{drawn}</g>'
    ).format(
        fill=colour if opacity else "none",
        opacity=Markup(' fill-opacity="{}" fill-rule="evenodd"').format(opacity) if opacity else "",
        colour=colour,
        width=width,
        dashes=dashes or "none",
        halo="".join(mark.path for mark in marks),
        wide=width + HALO,
        drawn=drawn,
    )


def object_legend(samples: list[Sample]) -> Markup:
    """What the lines mean."""
    return Markup("").join(
        Markup(
            '<li><svg width="34" height="10" aria-hidden="true"><path d="M1 5H33" stroke="#000" '
            'stroke-opacity=".5" stroke-width="{}"/><path d="M1 5H33" stroke="{}" '
            'stroke-width="{}" stroke-dasharray="{}"/></svg> {}</li>'
        ).format(width + HALO, colour, width, dashes or "none", kind)
        for kind, (colour, dashes, width) in LINES.items()
    )
