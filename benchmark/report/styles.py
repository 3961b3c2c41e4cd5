"""How a loss looks wherever it is drawn; needs neither matplotlib nor seaborn."""

from __future__ import annotations

from dataclasses import dataclass

PALETTE = (
    "#0173b2",
    "#de8f05",
    "#029e73",
    "#d55e00",
    "#cc78bc",
    "#ca9161",
    "#56b4e9",
    "#fbafe4",
    "#949494",
    "#ece133",
)
"""Seaborn's "colorblind", with those that are faint on white (pink, grey, yellow) put last."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""As matplotlib names them."""


@dataclass(frozen=True)
class Style:
    """How a loss looks, the same in every chart of its task.

    Attributes:
        colour: ``#rrggbb``.
        marker: of :data:`MARKERS`.
        index: place of the loss among those of its task, from 0.
    """

    colour: str
    marker: str
    index: int


def loss_styles(losses: list[str]) -> dict[str, Style]:
    """Colour (safe for the colour-blind) and marker of each loss, by its place in the list.

    Colours repeat after 10 losses and markers after 7, so 70 losses look different.
    """
    return {
        loss: Style(PALETTE[i % len(PALETTE)], MARKERS[i % len(MARKERS)], i)
        for i, loss in enumerate(losses)
    }
