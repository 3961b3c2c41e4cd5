"""The methods on many experiments at once give what benchmark.statistics gives for each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmark import statistics
from benchmark.coverage import methods

VALUES = np.random.default_rng(0).normal(0.3, 1, (6, 7))


def test_t_intervals_and_tests():
    low, high = methods.mean_interval(VALUES, 0.9)
    for i, row in enumerate(VALUES):
        expected = statistics.mean_interval(pd.Series(row), 0.9)
        assert (low[i], high[i]) == pytest.approx((expected.low, expected.high))
        assert methods.t_test(VALUES)[i] == pytest.approx(statistics.t_test(expected))


def test_sign_flips():
    values = np.vstack([VALUES, np.arange(1.0, 8), [1, -1, 2, -2, 3, -3, 0]])
    expected = [statistics.sign_flip_test(pd.Series(row)) for row in values]
    assert methods.sign_flip_test(values).tolist() == pytest.approx(expected)
    assert expected[-2:] == [2 / 2**7, 1]


def test_pooled_intervals():
    strata = [VALUES, 3 * VALUES[::-1, :4], VALUES[:, :2] - 1]
    low, high = methods.pooled_interval(strata, 0.95)
    for i in range(len(VALUES)):
        own = [statistics.mean_interval(pd.Series(values[i])) for values in strata]
        expected = statistics.pool(own).estimate
        assert (low[i], high[i]) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_bootstrap_intervals(method):
    means = methods.resampled_means(VALUES, 20_000, np.random.default_rng(1))
    assert (np.diff(means, axis=1) >= 0).all()
    found = {
        "percentile": lambda: methods.percentile_interval(means, 0.9),
        "bca": lambda: methods.bca_interval(VALUES, means, 0.9),
    }
    low, high = found[method]()
    for i, row in enumerate(VALUES):
        expected = statistics.bootstrap_interval(
            pd.Series(row), 0.9, resamples=20_000, method=method
        )
        # Two sets of resamples: their quantiles differ by a few hundredths of the spread.
        assert (low[i], high[i]) == pytest.approx((expected.low, expected.high), abs=0.03)


def test_any_claim_is_that_of_holm():
    random = np.random.default_rng(3)
    values = [random.normal(0.4, 1, (300, 5)) for _ in range(4)]
    uncorrected, corrected = methods.any_claim(values, 0.05)
    p = np.array([methods.t_test(comparison) for comparison in values]).T
    assert uncorrected.tolist() == [(row <= 0.05).any() for row in p]
    assert corrected.tolist() == [(statistics.holm(row) <= 0.05).any() for row in p]
    assert 0 < corrected.sum() < uncorrected.sum()
