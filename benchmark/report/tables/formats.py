"""How numbers and names are written, the same in every table and on the page."""

from __future__ import annotations

import math
import re

UNKNOWN = "–"
"""Stands where there is no number."""


def percent(fraction: float) -> str:
    """``0.4215`` as ``42.1``; :data:`UNKNOWN` for NaN."""
    return UNKNOWN if math.isnan(fraction) else f"{100 * fraction:.1f}"


def spread(mean: float, sd: float) -> str:
    """Mean ± standard deviation in percent; the mean alone where the deviation is NaN."""
    return percent(mean) if math.isnan(sd) else f"{percent(mean)} ± {percent(sd)}"


def points(fraction: float) -> str:
    """A difference in percentage points with its sign, ``+1.2`` or ``−0.3``.

    What rounds to 0 from below is ``0.0``: a minus before it would tell what it does not show.
    """
    if math.isnan(fraction):
        return UNKNOWN
    text = f"{100 * fraction:+.1f}"
    return "0.0" if text == "-0.0" else text.replace("-", "−")


def difference(mean: float, low: float, high: float) -> str:
    """A difference with its interval in percentage points, ``+1.2 [+0.7, +1.7]``.

    The interval is left out where ``low`` is NaN.
    """
    if math.isnan(mean) or math.isnan(low):
        return points(mean)
    return f"{points(mean)} [{points(low)}, {points(high)}]"


def plain(number: float, digits: int = 1) -> str:
    """A number with so many decimals; :data:`UNKNOWN` for NaN or infinity."""
    return f"{number:.{digits}f}" if math.isfinite(number) else UNKNOWN


def slug(text: str) -> str:
    """``text`` with only letters, digits, ``_``, ``.`` and ``=``, other runs becoming a ``-``."""
    return re.sub(r"[^\w.=]+", "-", text).strip("-")
