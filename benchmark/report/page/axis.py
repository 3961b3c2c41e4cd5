"""Axes of the page's charts: where a value lies, and which values are written along it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_CHARACTERS = 22  # of one line of a category's label
MAX_LINES = 3


@dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    Attributes:
        label: what it measures, with its unit.
        low, high: ends of the axis; ``high`` above ``low``, and both above 0 if ``log``.
        ticks: values to write; by default round ones.
        labels: a text for each of ``ticks``; by default the numbers.
        log: logarithmic.
        integer: ticks at whole numbers only.
        discrete: 0, 1, … are categories, the first at the top of a vertical axis.
        losses: for each of ``ticks``, the loss that filtering hides its label with, or None.
    """

    label: str
    low: float
    high: float
    ticks: tuple[float, ...] | None = None
    labels: tuple[str, ...] | None = None
    log: bool = False
    integer: bool = False
    discrete: bool = False
    losses: tuple[str | None, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"axis '{self.label}' runs from {self.low} to {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"axis '{self.label}' is logarithmic but starts at {self.low}")
        if self.labels is not None and len(self.labels) != len(self.ticks or ()):
            raise ValueError(f"axis '{self.label}' has not one label a tick")

    @classmethod
    def around(
        cls,
        label: str,
        values: Iterable[float],
        margin: float = 0.05,
        log: bool = False,
        integer: bool = False,
    ) -> Axis:
        """An axis that shows all finite ``values`` with a ``margin`` (part of it) at both ends.

        Without a finite value (and above 0, if ``log``) it runs from 0 to 1 (0.1 to 1).
        """
        known = [float(v) for v in values if math.isfinite(v) and (v > 0 or not log)]
        if not known:
            return cls(label, 0.1 if log else 0.0, 1.0, log=log)
        low, high = min(known), max(known)
        if log:
            room = max(margin * math.log(high / low), 0.1)
            return cls(label, low * math.exp(-room), high * math.exp(room), log=True)
        room = margin * (high - low) or max(abs(low) * margin, margin)
        return cls(label, low - room, high + room, integer=integer)

    @classmethod
    def categories(
        cls, labels: Sequence[str], label: str = "", losses: Sequence[str | None] = ()
    ) -> Axis:
        """Categories at 0, 1, …, from the top of a vertical axis or the left of a level one."""
        count = max(len(labels), 1)
        ticks = tuple(float(i) for i in range(len(labels)))
        own = tuple(losses)
        return cls(label, -0.5, count - 0.5, ticks, tuple(labels), discrete=True, losses=own)

    def place(self, value: float) -> float:
        """Where ``value`` lies: 0 at ``low``, 1 at ``high``; NaN where it has no place."""
        if self.log:
            if not value > 0:
                return math.nan
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def marks(self) -> list[tuple[float, str]]:
        """Values to write along the axis, with their texts."""
        if self.ticks is not None:
            texts = self.labels or [number(tick) for tick in self.ticks]
            return list(zip(self.ticks, texts, strict=True))
        if self.log:
            return [(tick, number(tick)) for tick in log_ticks(self.low, self.high)]
        ticks, decimals = nice_ticks(self.low, self.high, integer=self.integer)
        return [(tick, number(tick, decimals)) for tick in ticks]


def nice_ticks(
    low: float, high: float, about: int = 5, integer: bool = False
) -> tuple[list[float], int]:
    """Multiples of 1, 2 or 5 times a power of ten in [low, high], and the decimals they need.

    The step is the smallest that gives at most ``about + 1`` of them.
    """
    rough = (high - low) / about
    power = math.floor(math.log10(rough))
    step = next(f * 10.0**power for f in (1, 2, 5, 10) if f * 10.0**power >= rough * (1 - 1e-9))
    if integer:
        step = max(step, 1.0)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return [round(i * step, decimals) + 0.0 for i in range(first, last + 1)], decimals


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten in [low, high]; with their doubles and fives, where those are under three."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)

    def within(factors: tuple[int, ...]) -> list[float]:
        ticks = [f * 10.0**p for p in powers for f in factors]
        return [t for t in ticks if low * (1 - 1e-9) <= t <= high * (1 + 1e-9)]

    decades = within((1,))
    return decades if len(decades) >= 3 else within((1, 2, 5))


def number(value: float, decimals: int | None = None) -> str:
    """A tick's text; as many digits as it needs where ``decimals`` is not given."""
    text = f"{value:g}" if decimals is None else f"{value:.{decimals}f}"
    return text.replace("-", "−")


def wrapped(text: str) -> list[str]:
    """A label in up to :data:`MAX_LINES` lines; what does not fit ends in an ellipsis.

    Breaks at spaces where there are any, else within a word.
    """
    lines: list[str] = [""]
    for word in text.split():
        while word:
            gap = " " if lines[-1] else ""
            if len(lines[-1]) + len(gap) + len(word) <= MAX_CHARACTERS:
                lines[-1] += gap + word
                word = ""
            elif lines[-1]:
                lines.append("")
            else:
                lines[-1], word = word[:MAX_CHARACTERS], word[MAX_CHARACTERS:]
                if word:
                    lines.append("")
    if len(lines) > MAX_LINES:
        last = lines[MAX_LINES - 1]
        lines = [*lines[: MAX_LINES - 1], f"{last[: MAX_CHARACTERS - 1]}…"]
    return lines
