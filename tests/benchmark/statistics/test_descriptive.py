from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmark.statistics import interquartile_mean, pairing_correlation

FRACTIONS = st.floats(0, 1, allow_subnormal=False)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3, 100], 2.5),  # the middle two
        ([7], 7),
        ([1, 9], 5),
        # Thirds of which the middle half takes 1/12 + 1/3 + 1/12 = 1/2: weights 1/6, 2/3, 1/6.
        ([1, 2, 9], 1 / 6 + 4 / 3 + 9 / 6),
        # Fifths: 0, 0.15, 0.2, 0.15, 0 of 1/2.
        ([0, 10, 20, 60, 100], 0.3 * 10 + 0.4 * 20 + 0.3 * 60),
        # Sixths: 0, 1/12, 1/6, 1/6, 1/12, 0 of 1/2.
        ([-5, 1, 2, 3, 10, 99], (1 + 2 * 2 + 2 * 3 + 10) / 6),
    ],
)
def test_interquartile_mean_by_hand(values, expected):
    shuffled = pd.Series([*values[::-1], math.nan])
    assert interquartile_mean(shuffled) == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5).flatmap(lambda k: st.lists(FRACTIONS, min_size=4 * k, max_size=4 * k)))
def test_interquartile_mean_is_the_trimmed_mean_where_4_divides_n(values):
    assert interquartile_mean(pd.Series(values)) == pytest.approx(stats.trim_mean(values, 0.25))


@settings(max_examples=40, deadline=None)
@given(st.lists(FRACTIONS, min_size=1, max_size=11))
def test_interquartile_mean_depends_on_the_distribution_alone(values):
    once = interquartile_mean(pd.Series(values))
    assert interquartile_mean(pd.Series(values * 4)) == pytest.approx(once)
    # Four copies of each value make 4 divide n.
    assert stats.trim_mean(values * 4, 0.25) == pytest.approx(once)


def test_interquartile_mean_of_nothing():
    assert math.isnan(interquartile_mean(pd.Series([math.nan])))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(FRACTIONS, FRACTIONS), min_size=3, max_size=9))
def test_pairing_correlation_is_that_of_scipy(pairs):
    first, second = (pd.Series(side) for side in zip(*pairs, strict=True))
    if min(first.std(), second.std()) > 1e-3:
        found = pairing_correlation(first, second)
        assert found == pytest.approx(stats.pearsonr(first, second).statistic)


def test_no_correlation_with_what_does_not_vary():
    assert math.isnan(pairing_correlation(pd.Series([1.0, 2.0, 3.0]), pd.Series([0.1] * 3)))


def test_pairing_correlation_gives_the_gain_of_pairing():
    random = np.random.default_rng(0)
    shared = random.normal(size=12)
    first = pd.Series(shared + random.normal(size=12))
    second = pd.Series(shared + random.normal(size=12))
    r = pairing_correlation(first, second)
    unpaired = first.var() + second.var()
    assert (first - second).var() == pytest.approx(unpaired - 2 * r * first.std() * second.std())


def test_pairing_correlation_matches_by_repetition():
    first = pd.Series({0: 1.0, 1: 2.0, 2: 4.0, 9: 50.0})
    second = pd.Series({2: -4.0, 1: -2.0, 0: -1.0, 3: math.nan})
    assert pairing_correlation(first, second) == pytest.approx(-1)
    assert math.isnan(pairing_correlation(first, second.drop(2)))  # 2 pairs: a line always
    with pytest.raises(ValueError, match="repetition 0 occurs more than once in values"):
        pairing_correlation(pd.Series([1.0, 2.0], index=[0, 0]), second)
