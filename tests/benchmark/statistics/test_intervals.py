from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmark.statistics import bootstrap_interval, mean_interval

VALUES = pd.Series([0.41, 0.43, 0.44, 0.40, 0.47, 0.52, 0.42, 0.45])


def test_percentile_interval_is_the_quantiles_of_resampled_means():
    found = bootstrap_interval(VALUES, 0.9)
    random = np.random.default_rng(5)
    means = random.choice(VALUES.to_numpy(), (40_000, len(VALUES))).mean(axis=1)
    assert (found.low, found.high) == pytest.approx(np.quantile(means, [0.05, 0.95]), abs=2e-3)
    assert (found.mean, found.sd, found.n) == (
        pytest.approx(VALUES.mean()),
        pytest.approx(VALUES.std()),
        8,
    )


def test_bca_interval_follows_efron():
    # Efron 1987: bias z0 from the share of resampled means below the mean, acceleration from the
    # jackknife, then shifted quantiles of the resampled means.
    found = bootstrap_interval(VALUES, method="bca")
    values = VALUES.to_numpy()
    means = np.random.default_rng(6).choice(values, (40_000, len(values))).mean(axis=1)
    below = (means < values.mean()).mean() + (means == values.mean()).mean() / 2
    bias = stats.norm.ppf(below)
    left_out = np.array([np.delete(values, i).mean() for i in range(len(values))])
    deviations = left_out.mean() - left_out
    acceleration = (deviations**3).sum() / (6 * (deviations**2).sum() ** 1.5)
    z = bias + stats.norm.ppf([0.025, 0.975])
    expected = np.quantile(means, stats.norm.cdf(bias + z / (1 - acceleration * z)))
    assert (found.low, found.high) == pytest.approx(expected, abs=2e-3)
    # Values with a long right tail: the interval reaches further to the right.
    assert found.high - found.mean > found.mean - found.low


def test_bootstrap_is_the_same_each_time_and_moves_with_the_seed():
    first, again = bootstrap_interval(VALUES), bootstrap_interval(VALUES)
    assert first == again
    assert bootstrap_interval(VALUES, seed=1).low != first.low


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_bootstrap_of_few_values_says_that_it_is_too_narrow(method):
    few = bootstrap_interval(VALUES, method=method)
    assert few.caution == "too narrow: a bootstrap of 8 values, fewer than 10"
    exact = mean_interval(VALUES)
    assert exact.caution == ""
    assert few.high - few.low < exact.high - exact.low
    many = bootstrap_interval(pd.concat([VALUES, VALUES + 0.01]), method=method)
    assert many.caution == ""


def test_bootstrap_leaves_nan_out():
    assert bootstrap_interval(pd.Series([0.1, math.nan, 0.3, 0.5])) == bootstrap_interval(
        pd.Series([0.1, 0.3, 0.5])
    )


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_bootstrap_of_values_that_do_not_vary(method):
    same = bootstrap_interval(pd.Series([0.3, 0.3, 0.3]), method=method)
    assert (same.low, same.mean, same.high) == pytest.approx((0.3, 0.3, 0.3))
    one = bootstrap_interval(pd.Series([0.3]), method=method)
    assert (one.mean, one.n) == (0.3, 1)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    assert math.isnan(bootstrap_interval(pd.Series([], dtype=float), method=method).mean)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": 1.0}, "between 0 and 1"),
        ({"method": "basic"}, "method is 'basic'; allowed: percentile, bca"),
        ({"resamples": 0}, "at least 1"),
    ],
)
def test_wrong_arguments_of_the_bootstrap(arguments, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(VALUES, **arguments)
