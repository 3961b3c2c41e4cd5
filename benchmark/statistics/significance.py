"""Exact tests of paired differences, and what a correction for many comparisons leaves of them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import scipy
from numpy.typing import ArrayLike, NDArray

from benchmark.statistics.intervals import Estimate, check_level, known_values

EXACT_UP_TO = 20
"""Most differences of which all patterns of signs are tried."""
SAME = 1e-12
"""Sums this close, as a part of the largest, are equal: they differ by rounding alone."""


def sign_flip_test(differences: pd.Series, resamples: int = 99_999, seed: int = 0) -> float:
    """Two-sided p-value of the mean of ``differences`` (NaN left out) under random signs.

    Were the two losses exchangeable within a repetition, each difference would be as likely with
    the other sign (Fisher, "The design of experiments", 1935, section 21). The p-value is the
    share of all ``2^n`` patterns of signs whose mean is at least as far from 0 as the one found.
    Above :data:`EXACT_UP_TO` differences it comes from ``resamples`` random patterns as
    ``(k + 1) / (resamples + 1)``. NaN where there is no difference.
    """
    known = known_values(differences)
    if not len(known):
        return float("nan")
    least = abs(known.sum()) - SAME * np.abs(known).sum()
    if len(known) <= EXACT_UP_TO:
        return float(np.mean(np.abs(_signed_sums(known)) >= least))
    random = np.random.default_rng(seed)
    # Blocks bound the memory for any number of differences.
    blocks = [min(1000, resamples - start) for start in range(0, resamples, 1000)]
    reached = sum(
        int((np.abs(random.choice((-1.0, 1.0), (size, len(known))) @ known) >= least).sum())
        for size in blocks
    )
    return (reached + 1) / (resamples + 1)


def _signed_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sums under all patterns of signs that leave the first value as it is: half of all.

    The other half are their negatives.
    """
    sums = values[:1]
    for value in values[1:]:
        sums = np.concatenate((sums + value, sums - value))
    return sums


def wilcoxon_test(differences: pd.Series) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test (NaN and zeros left out).

    The sign-flip test of the ranks of the sizes (Wilcoxon, "Individual comparisons by ranking
    methods", Biometrics 1945), and so exact with ties too, which share their mean rank. 1 where
    all differences are 0, NaN where there is none.
    """
    known = known_values(differences)
    other = known[known != 0]
    if not len(other):
        return 1.0 if len(known) else float("nan")
    return sign_flip_test(pd.Series(np.sign(other) * scipy.stats.rankdata(np.abs(other))))


def t_test(difference: Estimate) -> float:
    """Two-sided p-value of the paired t-test whose interval ``difference`` holds.

    It is below ``1 - level`` where the interval excludes 0. NaN with fewer than 2 pairs; where
    all differences are the same, 1 if they are 0 and 0 otherwise.
    """
    if difference.n < 2:
        return float("nan")
    if difference.sd == 0:
        return 1.0 if difference.mean == 0 else 0.0
    t = abs(difference.mean) / (difference.sd / math.sqrt(difference.n))
    return float(2 * scipy.stats.t.sf(t, difference.n - 1))


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """P-values corrected for their number, in their order; NaN stays and is not counted.

    The ``i``-th smallest of ``m`` becomes the largest of ``(m - j + 1) p_j`` over ``j <= i``, at
    most 1. Rejecting what is then at most α errs on any of them with a probability of at most α,
    however they depend on each other (Holm, "A simple sequentially rejective multiple test
    procedure", Scandinavian Journal of Statistics 1979).

    Raises:
        ValueError: a value lies outside of 0 to 1.
    """
    p = np.asarray(p_values, dtype=float)
    if ((p < 0) | (p > 1)).any():
        raise ValueError(f"p-values must lie from 0 to 1, got {p.tolist()}")
    corrected = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1)
    return corrected


def smallest_p(n: int, comparisons: int = 1) -> float:
    """Smallest p-value that the sign-flip or Wilcoxon test of ``n`` pairs can give: ``2 / 2^n``.

    With ``comparisons`` of ``n`` pairs each, none can be below as many times that after Holm's
    correction; at most 1.
    """
    return min(1.0, comparisons * 2.0 ** (1 - n))


def significance_note(n: int, bound: float, comparisons: int, level: float = 0.95) -> str:
    """Says that an exact test of ``n`` pairs cannot reach ``1 - level``; "" where it can.

    Args:
        bound: smallest p-value it can give after correction.
        comparisons: number of tests that the correction counts.

    Raises:
        ValueError: ``level`` is not in (0, 1).
    """
    check_level(level)
    if bound <= threshold(level):
        return ""
    enough = next(k for k in range(1, 2000) if smallest_p(k, comparisons) <= threshold(level))
    many = f" over {comparisons} comparisons" if comparisons > 1 else ""
    return (
        f"cannot reach significance with n = {n}: the smallest possible p{many} is {bound:.2g}; "
        f"n = {enough} could"
    )


def strictest_level(level: float, comparisons: int) -> float:
    """Level of the test that the smallest p-value must pass in Holm's correction.

    That is ``1 - (1 - level) / comparisons``; ``level`` itself for none or one.
    """
    return 1 - (1 - level) / max(comparisons, 1)


def threshold(level: float) -> float:
    """Largest p-value that counts as significant: ``1 - level``, rounding errors allowed for."""
    return 1 - level + SAME
