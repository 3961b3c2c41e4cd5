"""Weights that change while a model trains."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .options import require

SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda part: part,
    "cosine": lambda part: (1 - math.cos(math.pi * part)) / 2,
}
"""How far a weight has come by the ``part`` of its way in time; both run from 0 to 1."""

KEYS = ("from", "to", "kind", "start", "end")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A weight as a function of how much of the training is over.

    Attributes:
        first: weight until ``start``, >= 0.
        last: weight from ``end`` on, >= 0; not both are 0.
        kind: the way between them, a key of :data:`SHAPES`.
        start, end: parts of the training, 0 <= start <= end <= 1. If they are equal, the weight
            jumps there.
    """

    first: float
    last: float
    kind: str = "linear"
    start: float = 0.0
    end: float = 1.0

    def __post_init__(self) -> None:
        for key, value in (("from", self.first), ("to", self.last)):
            require(_is_number(value) and value >= 0, key, "a finite number >= 0", value)
        require(self.first + self.last > 0, "from", "> 0 where to is 0", self.first)
        kinds = "one of " + ", ".join(SHAPES)
        require(isinstance(self.kind, str) and self.kind in SHAPES, "kind", kinds, self.kind)
        for key, value in (("start", self.start), ("end", self.end)):
            require(_is_number(value) and 0 <= value <= 1, key, "between 0 and 1", value)
        require(self.start <= self.end, "start", f"<= end, which is {self.end}", self.start)

    @classmethod
    def of(cls, weight: Any) -> Schedule:
        """From a number, or a mapping such as ``{from: 0.01, to: 1, kind: linear}``.

        Raises:
            ValueError: names the key that is wrong, and what is allowed.
        """
        if isinstance(weight, dict):
            return cls._of_mapping(weight)
        positive = _is_number(weight) and weight > 0
        require(positive, "weight", "a number > 0 or a mapping with the keys from and to", weight)
        return cls(first=weight, last=weight)

    @classmethod
    def _of_mapping(cls, weight: dict[Any, Any]) -> Schedule:
        for key in weight:
            close = difflib.get_close_matches(str(key), KEYS, n=1)
            hint = f" (did you mean '{close[0]}'?)" if close else ""
            if key not in KEYS:
                raise ValueError(
                    f"weight has no key '{key}'{hint}; its keys are: {', '.join(KEYS)}"
                )
        for key in ("from", "to"):
            if key not in weight:
                raise ValueError(f"weight lacks the key '{key}', which has no default")
        rest = {key: value for key, value in weight.items() if key not in ("from", "to")}
        return cls(first=weight["from"], last=weight["to"], **rest)

    def resolved(self) -> float | dict[str, Any]:
        """What :meth:`of` makes this schedule from, with nothing left to a default."""
        if self.first == self.last:
            return float(self.first)
        ends = {"start": float(self.start), "end": float(self.end)}
        return {"from": float(self.first), "to": float(self.last), "kind": self.kind, **ends}

    def at(self, fraction: float) -> float:
        """The weight when ``fraction`` (0 to 1) of the training is over."""
        if fraction >= self.end:
            return self.last
        if fraction <= self.start:
            return self.first
        part = SHAPES[self.kind]((fraction - self.start) / (self.end - self.start))
        return self.first + part * (self.last - self.first)


def _is_number(value: object) -> bool:
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and math.isfinite(value)  # type: ignore[arg-type]
