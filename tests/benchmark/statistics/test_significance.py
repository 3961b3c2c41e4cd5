from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from benchmark.statistics import (
    holm,
    mean_interval,
    sign_flip_test,
    significance_note,
    smallest_p,
    t_test,
    wilcoxon_test,
)

ALL = stats.PermutationMethod(n_resamples=np.inf)
DIFFERENCES = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=7)


def test_sign_flip_by_hand():
    # Of 1, 2, 3, -1 the sum is 5. Sums of ±1 ±2 ±3 ±1 with |sum| >= 5: 7 (1 pattern), 5 (two:
    # either 1 turned), and their negatives: 6 of 16.
    assert sign_flip_test(pd.Series([1, 2, 3, -1])) == 6 / 16
    assert sign_flip_test(pd.Series([1, 2, math.nan, 3, 4])) == 2 / 16
    assert sign_flip_test(pd.Series([0.0, 0.0])) == 1
    assert sign_flip_test(pd.Series([5.0])) == 1
    assert math.isnan(sign_flip_test(pd.Series([math.nan])))


@settings(max_examples=40, deadline=None)
@given(DIFFERENCES)
def test_sign_flip_is_the_permutation_test_of_scipy(values):
    expected = stats.permutation_test(
        (np.array(values),), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_test(pd.Series(values)) == pytest.approx(expected.pvalue)


def test_sums_that_differ_by_rounding_are_equal():
    # 0.1 + 0.2 - 0.3 is not 0 in floating point, and neither are the other patterns alike.
    assert sign_flip_test(pd.Series([0.1, 0.2, -0.3])) == 1
    assert sign_flip_test(pd.Series([0.1, 0.2, 0.3])) == 2 / 8


def test_many_differences_are_sampled():
    values = pd.Series(np.random.default_rng(0).normal(0.45, 1, 24))
    sampled = sign_flip_test(values, resamples=20_000)
    assert sampled == sign_flip_test(values, resamples=20_000)
    assert sampled != sign_flip_test(values, resamples=20_000, seed=1)
    # Normal differences: close to the t-test; three standard errors of the sampling on top.
    assert sampled == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.01)
    assert sign_flip_test(pd.Series(np.ones(40)), resamples=99) == 1 / 100


def test_exact_up_to_twenty():
    assert sign_flip_test(pd.Series(np.arange(1, 21))) == 2 / 2**20


@settings(max_examples=40, deadline=None)
@given(DIFFERENCES)
def test_wilcoxon_is_exact_with_ties(values):
    found = wilcoxon_test(pd.Series(values))
    other = [value for value in values if value]
    # scipy has no test of fewer than 2; a single difference always has p = 1.
    expected = stats.wilcoxon(other, method=ALL).pvalue if len(other) > 1 else 1
    assert found == pytest.approx(expected)


def test_wilcoxon_without_ties_is_the_table_of_scipy():
    values = pd.Series([1.2, -0.4, 3.3, 2.1, 0.9, -2.6, 4.0, 5.1, math.nan])
    assert wilcoxon_test(values) == pytest.approx(
        stats.wilcoxon(values.dropna(), method="exact").pvalue
    )
    assert math.isnan(wilcoxon_test(pd.Series([math.nan])))


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=9))
def test_t_test_is_that_of_scipy(values):
    found = t_test(mean_interval(pd.Series(values)))
    if np.std(values) > 1e-6:
        assert found == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_t_test_of_differences_that_do_not_vary():
    assert t_test(mean_interval(pd.Series([0.0, 0.0]))) == 1
    assert t_test(mean_interval(pd.Series([0.5, 0.5]))) == 0
    assert math.isnan(t_test(mean_interval(pd.Series([0.5]))))


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.5: times 4, 3, 2, 1 is 0.04, 0.06, 0.06, 0.5.
    assert holm([0.03, 0.01, 0.5, 0.02]).tolist() == pytest.approx([0.06, 0.04, 0.5, 0.06])
    with_gap = holm([0.03, math.nan, 0.01])
    assert with_gap[[0, 2]].tolist() == pytest.approx([0.03, 0.02])
    assert math.isnan(with_gap[1])
    assert holm([]).tolist() == []


@pytest.mark.parametrize("number", range(1, 11))
def test_holm_is_that_of_statsmodels(number):
    p_values = np.random.default_rng(number).integers(0, 20, number) / 100  # some alike
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_p_values_outside_of_0_to_1_are_refused(value):
    with pytest.raises(ValueError, match="must lie from 0 to 1"):
        holm([0.2, value])


@pytest.mark.parametrize("n", [1, 2, 3, 6, 10])
def test_smallest_p_is_reached_when_all_differences_agree(n):
    differences = pd.Series(np.arange(1.0, n + 1))
    assert sign_flip_test(differences) == wilcoxon_test(differences) == smallest_p(n)
    if n >= 3:
        corrected = holm([sign_flip_test(differences)] * 3)
        assert set(corrected) == {smallest_p(n, comparisons=3)}


def test_note_says_what_would_do():
    # 2 / 2^4 = 0.125, 2 / 2^5 = 0.0625, 2 / 2^6 = 0.03125.
    assert significance_note(6, smallest_p(6), 1) == ""
    assert significance_note(4, smallest_p(4), 1) == (
        "cannot reach significance with n = 4: the smallest possible p is 0.12; n = 6 could"
    )
    # 5 · 2 / 2^7 = 0.078, 5 · 2 / 2^8 = 0.039.
    assert significance_note(7, smallest_p(7, 5), 5) == (
        "cannot reach significance with n = 7: the smallest possible p over 5 comparisons is "
        "0.078; n = 8 could"
    )
    assert significance_note(5, smallest_p(5), 1, level=0.9) == ""
    with pytest.raises(ValueError, match="between 0 and 1"):
        significance_note(5, 0.5, 1, level=90)
