"""Measured rates of training, side by side."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

HARNESS, PLAIN, BARE = "harness", "plain loop", "bare steps"
SIDES = (HARNESS, PLAIN, BARE)
"""What is measured: a run of ours, the plain loop, forward/backward/step on one batch alone."""


@dataclass(frozen=True)
class Rate:
    """One measurement of one side.

    Attributes:
        round: the sides of a round took turns.
        images: trained on a second of all the time, validation and the rest in it.
        training: trained on a second of the training's own time.
        busy: share of the time in which the GPU worked, 0..1; NaN on a CPU.
    """

    round: int
    side: str
    images: float
    training: float
    busy: float


def median(rates: Sequence[Rate], side: str, of: str) -> float:
    """The middle one of a side's numbers ``of`` that name."""
    return statistics.median(getattr(rate, of) for rate in rates if rate.side == side)


def ratio(rates: Sequence[Rate], side: str, other: str, of: str) -> float:
    """A side's numbers over another's of the same round: the middle one."""
    first, second = (
        {rate.round: getattr(rate, of) for rate in rates if rate.side == name}
        for name in (side, other)
    )
    return statistics.median(first[number] / second[number] for number in first)


def rows(rates: Sequence[Rate]) -> list[tuple[str, str, str, str]]:
    """Of a table: the sides and the harness's ratios to the others.

    The columns are what it is, images/s, images/s of the training alone, and how busy the GPU was.
    """
    found = []
    for side in SIDES:
        whole, alone, busy = (median(rates, side, of) for of in ("images", "training", "busy"))
        shown = "" if math.isnan(busy) else f"{busy:.0%}"
        found.append((side, f"{whole:.3g}", f"{alone:.3g}", shown))
    for other in (PLAIN, BARE):
        whole, alone = (ratio(rates, HARNESS, other, of) for of in ("images", "training"))
        found.append((f"{HARNESS} / {other}", f"{whole:.2f}", f"{alone:.2f}", ""))
    return found
