"""Means and paired differences with their intervals."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

ENOUGH_FOR_BOOTSTRAP = 10
"""Below so many values, a bootstrap interval of their mean covers clearly less than it says."""

Bootstrap = Literal["percentile", "bca"]


@dataclass(frozen=True)
class Estimate:
    """An estimate with its interval, in the units of the values.

    Attributes:
        mean: NaN where there is no value.
        low, high: bounds of the interval; NaN where it is undefined (for a mean: ``n < 2``).
        sd: standard deviation with ``n - 1`` in the denominator; NaN where ``n < 2``, and for
            a share.
        n: number of values.
        method: how the interval was made.
    """

    mean: float
    low: float
    high: float
    sd: float
    n: int
    method: str = "t"

    @property
    def caution(self) -> str:
        """What to tell a reader of the interval; "" where it keeps what it says."""
        if self.method in ("percentile", "bca") and self.n < ENOUGH_FOR_BOOTSTRAP:
            return f"too narrow: a bootstrap of {self.n} values, fewer than {ENOUGH_FOR_BOOTSTRAP}"
        return ""


def check_level(level: float) -> None:
    """Refuse a confidence level that is none with a ``ValueError``."""
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, but must lie between 0 and 1 (0.95 for 95 %)")


def known_values(values: Any) -> NDArray[np.float64]:
    """The values (a series, list or array) as an array ``[n]``, NaN left out."""
    array = np.asarray(values, dtype=float)
    return array[~np.isnan(array)]


def mean_interval(values: pd.Series, level: float = 0.95) -> Estimate:
    """Mean of ``values`` (NaN left out) with Student's interval ``mean ± t sd / sqrt(n)``.

    ``t`` is the ``(1 + level) / 2`` quantile of Student's distribution with ``n - 1`` degrees of
    freedom (Student, "The probable error of a mean", Biometrika 1908).

    Raises:
        ValueError: ``level`` does not lie between 0 and 1.
    """
    check_level(level)
    known = known_values(values)
    n = len(known)
    mean = float(known.mean()) if n else float("nan")
    if n < 2:
        return Estimate(mean, float("nan"), float("nan"), float("nan"), n)
    sd = float(known.std(ddof=1))
    half = float(scipy.special.stdtrit(n - 1, (1 + level) / 2)) * sd / float(np.sqrt(n))
    return Estimate(mean, mean - half, mean + half, sd, n)


def paired_values(values: pd.Series, baseline: pd.Series) -> pd.DataFrame:
    """Both side by side, columns ``values`` and ``baseline``, for the repetitions both have.

    Raises:
        ValueError: a repetition occurs twice in an index.
    """
    pair = {"values": values, "baseline": baseline}
    for name, series in pair.items():
        if not series.index.is_unique:
            twice = series.index[series.index.duplicated()]
            raise ValueError(f"repetition {twice[0]} occurs more than once in {name}")
    if not values.index.equals(baseline.index):
        return pd.DataFrame(pair).dropna()
    # The usual case, many times in a report, without the cost of aligning.
    table = np.column_stack([series.to_numpy(float) for series in pair.values()])
    known = ~np.isnan(table).any(axis=1)
    return pd.DataFrame(table[known], index=values.index[known], columns=list(pair))


def paired_difference(values: pd.Series, baseline: pd.Series, level: float = 0.95) -> Estimate:
    """Mean of ``values - baseline`` over the repetitions that both have, with its t-interval.

    Both are indexed by repetition. Repetitions share their initial weights, batches and
    augmentations, so the difference within one is free of what those contribute to the spread.
    A repetition that either lacks (absent or NaN) is left out.

    Raises:
        ValueError: a repetition occurs twice in an index, or ``level`` is not in (0, 1).
    """
    pairs = paired_values(values, baseline)
    return mean_interval(pairs["values"] - pairs["baseline"], level)


def bootstrap_interval(
    values: pd.Series,
    level: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
    method: Bootstrap = "percentile",
) -> Estimate:
    """Mean of ``values`` (NaN left out) with its bootstrap interval.

    ``percentile``: quantiles of the means of the resamples. ``bca``: these, corrected for bias
    and skew (Efron, "Better bootstrap confidence intervals", JASA 1987, section 3). Both are too
    narrow for few values, and :attr:`Estimate.caution` says so below
    :data:`ENOUGH_FOR_BOOTSTRAP`. Values that are all equal give an interval of no width.

    Raises:
        ValueError: ``level`` is not in (0, 1), ``resamples < 1``, or the method is not known.
    """
    check_level(level)
    names: dict[str, Any] = {"percentile": "percentile", "bca": "BCa"}
    if method not in names:
        raise ValueError(f"method is '{method}'; allowed: {', '.join(names)}")
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}, but must be at least 1")
    known = known_values(values)
    n = len(known)
    mean = float(known.mean()) if n else float("nan")
    if n < 2:
        return Estimate(mean, float("nan"), float("nan"), float("nan"), n, method)
    if np.ptp(known) == 0:
        return Estimate(mean, mean, mean, 0.0, n, method)
    with warnings.catch_warnings():
        # Where nearly all resamples give the same mean, scipy warns and gives NaN, as we do.
        warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)
        found = scipy.stats.bootstrap(
            (known,),
            np.mean,
            confidence_level=level,
            n_resamples=resamples,
            rng=np.random.default_rng(seed),
            method=names[method],
        ).confidence_interval
    sd = float(known.std(ddof=1))
    return Estimate(mean, float(found.low), float(found.high), sd, n, method)
