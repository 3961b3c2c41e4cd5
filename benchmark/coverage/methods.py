"""The methods of :mod:`benchmark.statistics`, on many experiments at once.

Experiments are arrays ``[experiments, n]`` of paired differences. Each function gives for every
row what the function of the same name there gives for one experiment.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmark.coverage.draws import Array

Bounds = tuple[Array, Array]


def mean_interval(values: Array, level: float) -> Bounds:
    """Bounds ``[experiments]`` of the t-intervals."""
    n = values.shape[1]
    half = stats.t.ppf((1 + level) / 2, n - 1) * values.std(axis=1, ddof=1) / np.sqrt(n)
    mean = values.mean(axis=1)
    return mean - half, mean + half


def t_test(values: Array) -> Array:
    """Two-sided p-values ``[experiments]`` of the mean being 0."""
    n = values.shape[1]
    t = values.mean(axis=1) / (values.std(axis=1, ddof=1) / np.sqrt(n))
    return np.asarray(2 * stats.t.sf(np.abs(t), n - 1))


def resampled_means(values: Array, resamples: int, random: np.random.Generator) -> Array:
    """Sorted bootstrap means ``[experiments, resamples]``.

    All rows of one call share their resampling, which makes this one product of matrices.
    """
    n = values.shape[1]
    counts = random.multinomial(n, np.full(n, 1 / n), size=resamples)
    return np.sort(values @ (counts.T / n), axis=1)


def percentile_interval(means: Array, level: float) -> Bounds:
    """Bounds ``[experiments]`` from what :func:`resampled_means` returns."""
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=1)
    return low, high


def bca_interval(values: Array, means: Array, level: float) -> Bounds:
    """Bounds ``[experiments]``, corrected for bias and skew (Efron 1987, section 3)."""
    centred = values - values.mean(axis=1, keepdims=True)
    acceleration = (centred**3).sum(axis=1) / (6 * (centred**2).sum(axis=1) ** 1.5)
    found = values.mean(axis=1, keepdims=True)
    # Resampled means equal to the found one, but for rounding, count half.
    near = 1e-9 * np.abs(centred).max(axis=1, keepdims=True)
    below = ((means < found - near).mean(axis=1) + (means <= found + near).mean(axis=1)) / 2
    bias = stats.norm.ppf(below)
    tail = stats.norm.ppf((1 - level) / 2)
    bounds = []
    for z in (bias + tail, bias - tail):
        part = stats.norm.cdf(bias + z / (1 - acceleration * z))
        bounds.append(_row_quantile(means, part))
    return bounds[0], bounds[1]


def _row_quantile(ordered: Array, part: Array) -> Array:
    """The quantile ``part[i]`` of each sorted row ``i``, interpolated as numpy's."""
    place = np.clip(part, 0, 1) * (ordered.shape[1] - 1)
    left = np.minimum(place.astype(int), ordered.shape[1] - 2)
    rows = np.arange(len(ordered))
    low, high = ordered[rows, left], ordered[rows, left + 1]
    return low + (place - left) * (high - low)


def pooled_interval(strata: list[Array], level: float) -> Bounds:
    """Bounds ``[experiments]`` of the mean over data sets, one array of experiments each."""
    means = np.mean([values.mean(axis=1) for values in strata], axis=0)
    variances = np.array([v.var(axis=1, ddof=1) / v.shape[1] for v in strata])
    freedom = np.array([[values.shape[1] - 1] for values in strata])
    df = variances.sum(axis=0) ** 2 / (variances**2 / freedom).sum(axis=0)
    half = stats.t.ppf((1 + level) / 2, df) * np.sqrt(variances.sum(axis=0)) / len(strata)
    return means - half, means + half


def sign_flip_test(values: Array) -> Array:
    """Exact two-sided p-values ``[experiments]``, over all ``2^(n - 1)`` patterns of signs."""
    n = values.shape[1]
    patterns = np.arange(2 ** (n - 1))[:, None] >> np.arange(n) & 1
    sums = np.abs(values @ (1.0 - 2.0 * patterns.T))
    least = sums[:, :1] - 1e-12 * np.abs(values).sum(axis=1, keepdims=True)
    return np.asarray((sums >= least).mean(axis=1))


def any_claim(values: list[Array], alpha: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether any of the comparisons is significant, per experiment: uncorrected, and by Holm.

    Holm's first step is Bonferroni's: something is claimed where the smallest p-value is.
    """
    smallest = np.min([t_test(comparison) for comparison in values], axis=0)
    return smallest <= alpha, smallest <= alpha / len(values)
