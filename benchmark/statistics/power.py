"""What a number of paired repetitions can detect, by the noncentral t-distribution."""

from __future__ import annotations

import math
from functools import lru_cache

import scipy

from benchmark.statistics.intervals import check_level

MOST_REPETITIONS = 1_000_000
"""More than these are given as infinitely many."""


def power_of(effect: float, n: int, level: float = 0.95) -> float:
    """Probability that a two-sided paired t-test of ``n`` pairs finds a difference.

    Under normal differences with mean ``effect`` times their standard deviation, the statistic
    has the noncentral t-distribution with ``n - 1`` degrees of freedom and noncentrality
    ``effect sqrt(n)`` (Cohen, "Statistical power analysis for the behavioral sciences", 1988,
    chapter 2).

    Raises:
        ValueError: ``n < 2``, or ``level`` is not in (0, 1).
    """
    check_level(level)
    if n < 2:
        raise ValueError(f"n is {n}, but a difference needs at least 2 pairs")
    critical = scipy.stats.t.ppf((1 + level) / 2, n - 1)
    shift = effect * math.sqrt(n)
    # The lower tail as an upper one: scipy's own gives NaN where it is smaller than rounding.
    return float(scipy.stats.nct.sf(critical, n - 1, [shift, -shift]).sum())


def detectable_difference(sd: float, n: int, power: float = 0.8, level: float = 0.95) -> float:
    """Smallest true mean difference that ``n`` pairs find with probability ``power``.

    In the units of ``sd``, the standard deviation of the paired differences. NaN where ``sd`` is
    NaN or ``n < 2``.

    Raises:
        ValueError: ``sd < 0``, or ``power`` or ``level`` is out of range.
    """
    _check(sd, power, level)
    if n < 2 or math.isnan(sd):
        return float("nan")
    return sd * _detectable_effect(n, power, level)


@lru_cache(maxsize=4096)
def _detectable_effect(n: int, power: float, level: float) -> float:
    """The difference in units of the standard deviation."""
    high = 1.0
    while power_of(high, n, level) < power:
        high *= 2
    return float(scipy.optimize.brentq(lambda effect: power_of(effect, n, level) - power, 0, high))


def repetitions_needed(
    sd: float, difference: float, power: float = 0.8, level: float = 0.95
) -> float:
    """Fewest pairs that find a true mean ``difference`` with probability ``power``; at least 2.

    A whole number; ``inf`` where more than :data:`MOST_REPETITIONS` would be needed, NaN where
    ``sd`` is NaN.

    Args:
        sd: standard deviation of the paired differences.
        difference: in the same units; its sign does not matter.

    Raises:
        ValueError: ``difference`` is 0 or not finite, ``sd < 0``, or ``power`` or ``level`` is
            out of range.
    """
    _check(sd, power, level)
    if difference == 0 or not math.isfinite(difference):
        raise ValueError(f"difference is {difference}, but must be a number other than 0")
    if math.isnan(sd):
        return float("nan")
    if sd == 0:
        return 2
    effect = abs(difference) / sd
    high = 2
    while power_of(effect, high, level) < power:
        high *= 2
        if high > MOST_REPETITIONS:
            return float("inf")
    low = high // 2  # too few, or below 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(effect, middle, level) >= power else (middle, high)
    return high


def sd_interval(sd: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of the true standard deviation, when ``n`` normal values have ``sd``.

    ``sd sqrt((n - 1) / q)`` at the quantiles ``q`` of the chi-square distribution with ``n - 1``
    degrees of freedom. Wide for few values: 3 give 0.52 to 6.3 times ``sd``. NaN with ``n < 2``.

    Raises:
        ValueError: ``sd < 0``, or ``level`` is not in (0, 1).
    """
    _check(sd, 0.5, level)
    if n < 2:
        return float("nan"), float("nan")
    quantiles = scipy.stats.chi2.ppf([(1 + level) / 2, (1 - level) / 2], n - 1)
    low, high = (sd * math.sqrt((n - 1) / q) for q in quantiles)
    return low, high


def _check(sd: float, power: float, level: float) -> None:
    check_level(level)
    if sd < 0:
        raise ValueError(f"sd is {sd}, but must not be negative")
    if not 1 - level < power < 1:
        raise ValueError(
            f"power is {power}, but must lie between {1 - level:.2g} (what no difference at all "
            "would reach) and 1"
        )
