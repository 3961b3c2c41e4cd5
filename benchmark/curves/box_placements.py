"""What the losses of the IoU family say of the placements that textbooks show."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from benchmark.curves.base import Drawing, register
from benchmark.curves.box_paths import FAMILY
from benchmark.curves.evaluate import box_loss
from benchmark.curves.lineup import pick
from benchmark.experiment.loss_spec import NamedLoss
from benchmark.report.drawing import PAGE
from benchmark.report.styles import PALETTE

TARGET = np.array([0.0, 0.0, 40.0, 40.0])
PLACEMENTS = {
    "disjoint, near": (40.0, 0.0),
    "disjoint, far": (100.0, 0.0),
    "enclosed, corner": (-8.0, 8.0),
    "enclosed, side": (-8.0, 0.0),
    "enclosed, centre": (0.0, 0.0),
}
SIDE = 20.0  # of the prediction
GROUPS = ((0, 1), (2, 3, 4))
"""Placements that differ only in where the prediction lies."""
SAME = 1e-6
CENTRES = (150.0, 245.0, 410.0, 475.0, 540.0)
"""Where the targets' centres stand in the drawing, which is 580 pixels of the sketch wide."""
WIDTH = 580.0
ROW = 15.0  # height of a row of the tables, in pixels of the sketch
TABLES = (("value", "loss", "{:.3f}"), ("gradient_length", "pull on the centre (1/px)", "{:.4f}"))


@register(
    "box_placements",
    "box",
    "Placements that IoU cannot tell apart: loss, and pull on the centre, of each",
    "The boxes of each group differ only in where the prediction (blue) lies; grey joins numbers "
    "that are the same, so a loss with a grey bar cannot tell these placements apart. IoU sees no "
    "difference in either group and does not pull at all. GIoU tells near from far, but not where "
    "inside the target the prediction lies; DIoU, CIoU and EIoU tell all of them apart.",
)
def textbook_placements(own: list[NamedLoss]) -> Drawing:
    """A sketch of the placements, and below it what each loss gives for them."""
    lineup = [*pick("box", *FAMILY), *own]
    data = placement_values(lineup)
    height = 84 + ROW * (len(lineup) + 1.6) * len(TABLES)
    figure = Figure(figsize=(PAGE, PAGE * height / WIDTH + 0.25), layout="constrained")
    ax = figure.subplots()
    ax.set(xlim=(0, WIDTH), ylim=(height - 28, -28), aspect="equal")
    ax.axis("off")
    _sketch(ax)
    for i, (column, title, number) in enumerate(TABLES):
        top = 56 + i * ROW * (len(lineup) + 1.6)
        ax.text(0, top, title, fontweight="bold", va="center")
        for row, (loss, cells) in enumerate(data.groupby("loss", sort=False)[column]):
            _row(ax, top + ROW * (row + 1), str(loss), cells.to_numpy(), number)
    return Drawing(figure, data)


def _sketch(ax: Axes) -> None:
    for (name, (x, y)), centre in zip(PLACEMENTS.items(), CENTRES, strict=True):
        _box(ax, centre, 0, TARGET[2], PALETTE[1], 1.4)
        _box(ax, centre + x, y, SIDE, PALETTE[0], 1.4)
        ax.text(centre, 24, name.replace(", ", "\n"), ha="center", va="top")
    ax.text(0, -8, "target", color=PALETTE[1], va="center")
    ax.text(0, 8, "prediction", color=PALETTE[0], va="center")


def _box(ax: Axes, x: float, y: float, side: float, colour: object, width: float) -> None:
    corner = (x - side / 2, y - side / 2)
    ax.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=colour, linewidth=width))


def _row(ax: Axes, y: float, loss: str, values: np.ndarray, number: str) -> None:
    ax.text(0, y, loss, va="center")
    for group in GROUPS:
        for left, right in pairwise(group):
            if abs(values[left] - values[right]) < SAME:
                ends = [CENTRES[left] - 16, CENTRES[right] + 16]
                ax.plot(ends, [y, y], color="0.87", linewidth=9, solid_capstyle="round")
    for centre, value in zip(CENTRES, values, strict=True):
        ax.text(centre, y, number.format(value), ha="center", va="center")


def placement_values(lineup: list[NamedLoss]) -> pd.DataFrame:
    """Columns ``loss``, ``placement``, ``cx_px``, ``cy_px``, ``value``, ``gradient_length``."""
    boxes = np.array([[x, y, SIDE, SIDE] for x, y in PLACEMENTS.values()])
    frames = []
    for named in lineup:
        value, gradient = box_loss(named, boxes, TARGET)
        frames.append(
            pd.DataFrame(
                {
                    "loss": named.label,
                    "placement": list(PLACEMENTS),
                    "cx_px": boxes[:, 0],
                    "cy_px": boxes[:, 1],
                    "value": value,
                    "gradient_length": np.linalg.norm(gradient[:, :2], axis=1),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
