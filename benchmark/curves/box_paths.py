"""Box losses as the prediction slides over the target, grows, or turns its aspect ratio."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.curves.base import Drawing, register
from benchmark.curves.evaluate import Array, box_loss
from benchmark.curves.lineup import Entry, each, pick
from benchmark.curves.panels import (
    Curve,
    Horizontal,
    draw_lines,
    gallery,
    line_legend,
    page,
    styles_of,
)
from benchmark.experiment.loss_spec import NamedLoss

SIDE = 32.0  # pixels: the target is a square of this side, COCO's limit of a small object
TARGET = np.array([0.0, 0.0, SIDE, SIDE])
FAMILY: tuple[Entry, ...] = (
    ("IoU", "iou", {}),
    ("GIoU", "giou", {}),
    ("DIoU", "diou", {}),
    ("CIoU", "ciou", {}),
    ("EIoU", "eiou", {}),
)
GRADIENT = "gradient length (1/px)"


@dataclass(frozen=True)
class Path:
    """A way that the prediction takes.

    Attributes:
        title: what happens on it.
        x: the horizontal axis.
        points: where on it the loss is computed. None lies exactly on a kink of the IoU, where
            there is no one gradient.
        boxes: points ``[N]`` -> predictions ``[N, 4]``, centre and size in pixels.
    """

    title: str
    x: Horizontal
    points: Array
    boxes: Callable[[Array], Array]


def _squares(offset: Array, side: Array) -> Array:
    return np.stack([offset, np.zeros_like(offset), side, side], 1)


def _turned(ratio: Array) -> Array:
    nothing = np.zeros_like(ratio)
    return np.stack([nothing, nothing, SIDE * np.sqrt(ratio), SIDE / np.sqrt(ratio)], 1)


OFFSET = Horizontal("offset_px", "offset of centres (px)", ticks=(-64, -32, 0, 32, 64))
PATHS = {
    "slide": Path(
        "slides, same size",
        OFFSET,
        np.linspace(-72, 72, 288),
        lambda offset: _squares(offset, np.full_like(offset, SIDE)),
    ),
    "inside": Path(
        "slides, half the side",
        OFFSET,
        np.linspace(-72, 72, 288),
        lambda offset: _squares(offset, np.full_like(offset, SIDE / 2)),
    ),
    "grow": Path(
        "grows, same centre",
        Horizontal("side_px", "predicted side (px)", log=True, ticks=(4, 8, 16, 32, 64, 128)),
        np.geomspace(4, 256, 288),
        lambda side: _squares(np.zeros_like(side), side),
    ),
    "turn": Path(
        "turns its aspect ratio, same centre and area",
        Horizontal(
            "aspect_ratio",
            "predicted width / height",
            log=True,
            ticks=(1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8),
            tick_labels=("1/8", "1/4", "1/2", "1", "2", "4", "8"),
        ),
        np.geomspace(1 / 8, 8, 288),
        _turned,
    ),
}


def follow(path: Path, lineup: Sequence[NamedLoss]) -> pd.DataFrame:
    """Columns ``loss``, the path's own, ``value`` and ``gradient_length`` (1/px).

    The gradient is that with respect to centre x, centre y, width and height.
    """
    frames = []
    for named in lineup:
        value, gradient = box_loss(named, path.boxes(path.points), TARGET)
        columns = {
            "loss": named.label,
            path.x.column: path.points,
            "value": value,
            "gradient_length": np.linalg.norm(gradient, axis=1),
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


@register(
    "box_paths",
    "box",
    "Four ways to a target of 32×32 pixels: value and gradient length of the IoU family",
    "Where the boxes do not touch, IoU is flat and its gradient 0, while the others still "
    "fall towards the target. Once the prediction lies inside (second row), IoU and GIoU say "
    "nothing of the offset, and DIoU, CIoU and EIoU have their lowest point at the centre; "
    "the gradient that is left there pulls at the size. Around one centre (third row) IoU, "
    "GIoU, DIoU and CIoU are one and the same loss, and only EIoU holds on to boxes that are "
    "far too small. Of a wrong aspect ratio EIoU and GIoU ask much more than IoU, CIoU a "
    "little.",
)
def family_on_all_paths(own: list[NamedLoss]) -> Drawing:
    """A row a path: value on the left, gradient length on the right."""
    lineup = [*pick("box", *FAMILY), *own]
    figure, axes = page(len(PATHS), 2, 1.55 * len(PATHS))
    frames = []
    for row, (name, path) in zip(axes, PATHS.items(), strict=True):
        data = follow(path, lineup)
        styles = styles_of(data)
        for ax, column in zip(row, ("value", "gradient_length"), strict=True):
            draw_lines(ax, data, path.x.column, column, styles)
            path.x.apply(ax)
            ax.set_xlabel(path.x.label)
            ax.set_ylim(bottom=0)
        row[0].set_title(path.title, loc="left")
        row[0].set_ylabel("loss")
        row[1].set_ylabel(GRADIENT)
        frames.append(
            data.rename(columns={path.x.column: "x"}).assign(path=name, unit=path.x.column)
        )
    line_legend(figure, styles)
    return Drawing(figure, pd.concat(frames, ignore_index=True))


def _gallery_of(path: Path, own: list[NamedLoss]) -> Drawing:
    data = follow(path, [*own, *each("box")])
    curves = [Curve("value", "loss"), Curve("gradient_length", GRADIENT, "/px")]
    return Drawing(gallery(data, path.x, curves), data)


@register(
    "box_slide_each",
    "box",
    "Each box loss while a prediction of the target's size slides over it",
    "The boxes touch at an offset of 32 pixels. A loss whose dashed line is 0 beyond that "
    "cannot bring a distant box back. Most of the IoU family pull hardest just before the "
    "match; those that are smooth there, such as Wise-IoU, let go. Losses of encoded boxes "
    "keep their force however far the box is (L1) or pull the harder the farther it is (L2).",
)
def slide_each(own: list[NamedLoss]) -> Drawing:
    """A panel a loss, on the path ``slide``."""
    return _gallery_of(PATHS["slide"], own)


@register(
    "box_inside_each",
    "box",
    "Each box loss while a prediction of half the side slides",
    "The prediction lies inside the target up to an offset of 8 pixels and stops touching it "
    "at 24. Where the solid line is flat at its bottom the loss does not see where inside the "
    "target the prediction lies. No loss reaches 0, because the size stays wrong.",
)
def inside_each(own: list[NamedLoss]) -> Drawing:
    """A panel a loss, on the path ``inside``."""
    return _gallery_of(PATHS["inside"], own)


@register(
    "box_grow_each",
    "box",
    "Each box loss while the prediction grows around one centre",
    "A prediction half as large as the target and one twice as large differ in how hard they "
    "are pulled: losses of the IoU family all but let go of boxes that are far too large. The "
    "losses on encoded boxes compare logarithms of the sides, so their values are symmetric "
    "here, and their gradient, per pixel of the box, is largest for the smallest boxes.",
)
def grow_each(own: list[NamedLoss]) -> Drawing:
    """A panel a loss, on the path ``grow``."""
    return _gallery_of(PATHS["grow"], own)


@register(
    "box_turn_each",
    "box",
    "Each box loss while the prediction turns its aspect ratio",
    "Area and centre fit, only the shape is wrong. Losses that compare widths and heights or "
    "the hull rise beyond what the overlap alone costs. A loss without such a term has the "
    "shape of the panel `iou`.",
)
def turn_each(own: list[NamedLoss]) -> Drawing:
    """A panel a loss, on the path ``turn``."""
    return _gallery_of(PATHS["turn"], own)
