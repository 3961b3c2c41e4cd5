"""Means and paired differences with their intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats


@dataclass(frozen=True)
class Estimate:
    """A mean with its t-interval, in the units of the values.

    Attributes:
        mean: NaN where there is no value.
        low, high: bounds of the interval of the mean; NaN where ``n < 2``.
        sd: standard deviation with ``n - 1`` in the denominator; NaN where ``n < 2``.
        n: number of values.
    """

    mean: float
    low: float
    high: float
    sd: float
    n: int


def mean_interval(values: pd.Series, level: float = 0.95) -> Estimate:
    """Mean of ``values`` (NaN left out) with Student's interval ``mean ± t sd / sqrt(n)``.

    ``t`` is the ``(1 + level) / 2`` quantile of Student's distribution with ``n - 1`` degrees of
    freedom (Student, "The probable error of a mean", Biometrika 1908).

    Raises:
        ValueError: ``level`` does not lie between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, but must lie between 0 and 1 (0.95 for 95 %)")
    known = values.dropna().to_numpy(dtype=float)
    n = len(known)
    mean = float(known.mean()) if n else float("nan")
    if n < 2:
        return Estimate(mean, float("nan"), float("nan"), float("nan"), n)
    sd = float(known.std(ddof=1))
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * sd / float(np.sqrt(n))
    return Estimate(mean, mean - half, mean + half, sd, n)


def paired_difference(values: pd.Series, baseline: pd.Series, level: float = 0.95) -> Estimate:
    """Mean of ``values - baseline`` over the repetitions that both have, with its t-interval.

    Both are indexed by repetition. Repetitions share their initial weights, batches and
    augmentations, so the difference within one is free of what those contribute to the spread.
    A repetition that either lacks (absent or NaN) is left out.

    Raises:
        ValueError: a repetition occurs twice in an index, or ``level`` is not in (0, 1).
    """
    for name, series in (("values", values), ("baseline", baseline)):
        twice = series.index[series.index.duplicated()]
        if len(twice):
            raise ValueError(f"repetition {twice[0]} occurs more than once in {name}")
    return mean_interval(values - baseline, level)
