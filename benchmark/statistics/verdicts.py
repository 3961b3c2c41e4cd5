"""When a difference may be called one."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.statistics.intervals import Estimate
from benchmark.statistics.significance import holm, threshold

MIN_PAIRS = 3
"""Fewest pairs of runs that a verdict may rest on; see :func:`benchmark.statistics.summarise`."""


def verdict(
    difference: Estimate,
    pairs: int,
    diverged: bool = False,
    baseline_diverged: bool = False,
    *,
    no_value: bool = False,
    baseline_no_value: bool = False,
) -> str:
    """What the interval of a difference to the baseline says.

    Args:
        pairs: of runs (of the data set with the fewest) that the difference rests on.
        diverged, baseline_diverged: whether a run of that side diverged. Its interval covers
            only the repetitions that survived, so no verdict is given in that side's favour.
        no_value, baseline_no_value: whether a run of that side is done but the metric has no
            value; again no verdict in that side's favour.

    Returns:
        "better" or "worse" where the interval excludes 0 and nothing forbids it; "diverged"
        where runs that diverged forbid it, or leave fewer than :data:`MIN_PAIRS` pairs;
        "too few repetitions" where there are fewer for other reasons; else "cannot tell".
    """
    if pairs < MIN_PAIRS:
        return "diverged" if diverged or baseline_diverged else "too few repetitions"
    if difference.low > 0:
        return _favour("better", diverged, no_value)
    if difference.high < 0:
        return _favour("worse", baseline_diverged, baseline_no_value)
    return "cannot tell"


def _favour(name: str, diverged: bool, no_value: bool) -> str:
    """``name``, unless runs of the side that it favours are missing from the difference."""
    if diverged:
        return "diverged"
    return "cannot tell" if no_value else name


def claims(verdicts: Sequence[str], p_values: Sequence[float], level: float) -> list[str]:
    """The verdicts "better" and "worse" that survive Holm's correction; "" for the others.

    Args:
        p_values: of the t-tests that the verdicts' intervals stand for, NaN where there is none.
    """
    return [
        name if name in ("better", "worse") and p <= threshold(level) else ""
        for name, p in zip(verdicts, holm(p_values), strict=True)
    ]
