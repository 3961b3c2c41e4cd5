"""When a difference may be called one."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.statistics.intervals import Estimate
from benchmark.statistics.significance import holm, threshold

MIN_PAIRS = 3
"""Fewest pairs of runs that a verdict may rest on; see :func:`benchmark.statistics.summarise`."""


def verdict(
    difference: Estimate, pairs: int, diverged: bool = False, baseline_diverged: bool = False
) -> str:
    """What the interval of a difference to the baseline says.

    Args:
        pairs: of runs (of the data set with the fewest) that the difference rests on.
        diverged, baseline_diverged: whether a run of that side diverged. Its interval covers
            only the repetitions that survived, so no verdict is given in that side's favour.

    Returns:
        "too few repetitions" below :data:`MIN_PAIRS` pairs, else "better", "worse" or
        "cannot tell".
    """
    if pairs < MIN_PAIRS:
        return "too few repetitions"
    if difference.low > 0 and not diverged:
        return "better"
    if difference.high < 0 and not baseline_diverged:
        return "worse"
    return "cannot tell"


def claims(verdicts: Sequence[str], p_values: Sequence[float], level: float) -> list[str]:
    """The verdicts "better" and "worse" that survive Holm's correction; "" for the others.

    Args:
        p_values: of the t-tests that the verdicts' intervals stand for, NaN where there is none.
    """
    return [
        name if name in ("better", "worse") and p <= threshold(level) else ""
        for name, p in zip(verdicts, holm(p_values), strict=True)
    ]
