"""What the options that the IoU family shares do to a loss."""

from __future__ import annotations

from typing import Any

import pandas as pd

from benchmark.curves.base import Drawing, register
from benchmark.curves.box_paths import GRADIENT, PATHS, follow
from benchmark.curves.lineup import pick
from benchmark.curves.panels import draw_lines, page, side_legend, styles_of
from benchmark.experiment.loss_spec import NamedLoss

OPTIONS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "form": ("iou", ("linear", "log", "square")),
    "power": ("iou", (1.0, 0.5, 2.0, 3.0)),
    "inner_ratio": ("diou", (1.0, 0.7, 1.3)),
    "focal": ("eiou", (0.0, 0.5, 1.0)),
}
"""Option -> the loss that shows it, and its values, the default first."""

LIMITS = {"value": 4.0, "gradient_length": 0.2}
"""Where the axes end; the logarithm goes beyond."""


@register(
    "box_options",
    "box",
    "Options of the IoU family, while a prediction slides",
    "The logarithm turns the plateau of IoU into a wall at the point of contact (cut off "
    "here, 7.9 high); the square and every power above 1 move the force to boxes that fit "
    "well already, powers below 1 to those that hardly do. Smaller inner boxes lose contact "
    "earlier and pull harder close to the match, larger ones the other way round. The focal "
    "factor takes the value and the pull from boxes with little overlap, all of it from those "
    "that are disjoint: the loss is then no longer monotone, though the gradient still points "
    "at the target.",
)
def options_on_the_slide(own: list[NamedLoss]) -> Drawing:
    """A row an option: value on the left, gradient length on the right."""
    path = PATHS["slide"]
    figure, axes = page(len(OPTIONS), 2, 1.55 * len(OPTIONS))
    frames = []
    for row, (option, (loss, values)) in zip(axes, OPTIONS.items(), strict=True):
        entries = [(_label(loss, option, value), loss, {option: value}) for value in values]
        data = follow(path, [*pick("box", *entries), *own])
        styles = styles_of(data)
        for ax, column in zip(row, ("value", "gradient_length"), strict=True):
            draw_lines(ax, data, path.x.column, column, styles)
            path.x.apply(ax)
            ax.set_ylim(0, min(ax.get_ylim()[1], LIMITS[column]))
        side_legend(row[1], styles)
        row[0].set_ylabel("loss")
        row[1].set_ylabel(GRADIENT)
        frames.append(data.assign(option=option))
    for ax in axes[-1]:
        ax.set_xlabel(path.x.label)
    return Drawing(figure, pd.concat(frames, ignore_index=True))


def _label(loss: str, option: str, value: Any) -> str:
    return f"{loss} {option}={value if isinstance(value, str) else format(value, 'g')}"
