"""Times and amounts of memory as people write them: ``2h``, ``1h 30m``, ``2GB``, ``512 MiB``."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
BYTES = {
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)},
}
LONGEST = 10 * 365 * SECONDS["d"]
"""Seconds: the clocks that programs are woken by go no further than some hundred years."""
LARGEST = BYTES["tib"] * 1024
"""Bytes; no machine has as many."""
SMALLEST_SHARE = 0.001
"""Of a GPU: no more runs fit on one, whatever they do."""
NUMBER_AND_UNIT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


def parse_seconds(value: Any) -> Any:
    """Seconds of a text such as ``90m`` or ``1h 30m``; what is no text stays as it is.

    Raises:
        ValueError: the text is no time; the message says what is allowed.
    """
    return _parse(value, SECONDS, "a time such as 90s, 45m, 2h or 1h 30m", several=True)


def parse_bytes(value: Any) -> Any:
    """Bytes of a text such as ``2GB`` or ``512 MiB``; what is no text stays as it is.

    Raises:
        ValueError: the text is no amount; the message says what is allowed.
    """
    amount = _parse(value, BYTES, "an amount such as 500MB, 2GB or 1.5GiB", several=False)
    return int(amount) if isinstance(value, str) else amount


def _parse(value: Any, units: dict[str, int], allowed: str, several: bool) -> Any:
    if not isinstance(value, str):
        return value
    total, end = 0.0, 0
    for found in NUMBER_AND_UNIT.finditer(value.lower()):
        if found.start() != end or found[2] not in units or (end and not several):
            break
        total += float(found[1]) * units[found[2]]
        end = found.end()
    if not end or end != len(value) or not math.isfinite(total):
        raise ValueError(f"must be {allowed}")
    return total


def _check_share(value: float) -> float:
    if 0 < value < SMALLEST_SHARE:
        raise ValueError(f"must be 0, or from {SMALLEST_SHARE:g} to 1")
    return value


Seconds = Annotated[
    float, BeforeValidator(parse_seconds), Field(gt=0, le=LONGEST, allow_inf_nan=False)
]
Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(gt=0, le=LARGEST)]
Share = Annotated[float, Field(ge=0, le=1), AfterValidator(_check_share)]
"""Of a GPU that a run takes."""


def shown_seconds(seconds: float) -> str:
    """``90 s``, ``45 min``, ``2 h``, ``1 h 30 min``."""
    if seconds < 120:
        return f"{seconds:g} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes)
    return " ".join(parts)


def shown_bytes(count: float) -> str:
    """``512 MB``, ``1.5 GB``: powers of 1000."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def shown_duration(seconds: float) -> str:
    """A time to come, which is an estimate: ``0 min 05 s``, ``2 h 1 min``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest:02d} s"
