"""What a picture is, and the register that holds all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from benchmark.experiment.loss_spec import NamedLoss
from losses.adapters import Kind


@dataclass(frozen=True)
class Drawing:
    """A figure, and the numbers it was drawn from, one row a point."""

    figure: Figure
    data: pd.DataFrame


Draw = Callable[[list[NamedLoss]], Drawing]


@dataclass(frozen=True)
class Picture:
    """A picture that the command can draw.

    Attributes:
        name: its name on the command line and of its files.
        kind: of the losses that it shows.
        title: what is shown, above the figure and as heading of the page.
        caption: two or three sentences that say what to see in it.
        draw: makes it; its argument is the user's own losses of this kind, which are drawn
            beside ours.
    """

    name: str
    kind: Kind
    title: str
    caption: str
    draw: Draw


PICTURES: dict[str, Picture] = {}
"""Every picture by its name, in the order of the page."""


def register(name: str, kind: Kind, title: str, caption: str) -> Callable[[Draw], Draw]:
    """Decorator: make a function known as the picture ``name``; see :class:`Picture`."""

    def add(draw: Draw) -> Draw:
        if name in PICTURES:
            raise ValueError(f"two pictures are registered as '{name}'")
        PICTURES[name] = Picture(name, kind, title, caption, draw)
        return draw

    return add
