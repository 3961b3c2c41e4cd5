from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmark.statistics import probability_of_improvement, unpaired_improvement

LISTS = st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4]), min_size=1, max_size=8).map(pd.Series)


@pytest.mark.parametrize(("wins", "n"), [(0, 4), (3, 5), (5, 5), (1, 20)])
def test_paired_share_has_the_interval_of_scipy(wins, n):
    values = pd.Series([1.0] * wins + [-1.0] * (n - wins))
    found = probability_of_improvement(values, pd.Series([0.0] * n), 0.9)
    expected = stats.binomtest(wins, n).proportion_ci(0.9, "exact")
    assert (found.mean, found.low, found.high) == pytest.approx(
        (wins / n, expected.low, expected.high)
    )
    assert (found.n, found.method) == (n, "Clopper-Pearson")


def test_five_wins_of_five_do_not_exclude_a_coin():
    found = probability_of_improvement(pd.Series([1.0] * 5), pd.Series([0.0] * 5))
    assert found.low == pytest.approx(0.025**0.2)  # the share of which 5 of 5 has p = 0.025
    assert found.low < 0.5


def test_ties_count_half_and_repetitions_are_matched():
    values = pd.Series({0: 1.0, 1: 5.0, 2: 0.0, 7: 9.0})
    found = probability_of_improvement(values, pd.Series({2: 3.0, 1: 5.0, 0: 0.0, 3: 1.0}))
    assert (found.mean, found.n) == (0.5, 3)  # won, tied, lost
    alone = probability_of_improvement(pd.Series([2.0]), pd.Series([2.0]))
    assert alone.mean == 0.5
    assert alone.low + alone.high == pytest.approx(1)


def test_what_diverged_loses_and_ties_with_its_like():
    values = pd.Series([-math.inf, -math.inf, 0.3, 0.3])
    baseline = pd.Series([0.1, -math.inf, -math.inf, 0.2])
    assert probability_of_improvement(values, baseline).mean == (0 + 0.5 + 1 + 1) / 4


def test_interval_of_the_paired_share_covers_its_level():
    # Exactly: over all outcomes of 7 repetitions, for several true shares.
    n = 7
    for true in (0.1, 0.5, 0.77):
        covered = 0.0
        for wins in range(n + 1):
            values = pd.Series([1.0] * wins + [-1.0] * (n - wins))
            found = probability_of_improvement(values, pd.Series([0.0] * n))
            covered += stats.binom.pmf(wins, n, true) * (found.low <= true <= found.high)
        assert covered >= 0.95


@settings(max_examples=40, deadline=None)
@given(LISTS, LISTS)
def test_unpaired_share_is_that_of_mann_and_whitney(first, second):
    found = unpaired_improvement(first, second)
    u = stats.mannwhitneyu(first, second, method="asymptotic").statistic
    assert found.mean == pytest.approx(u / (len(first) * len(second)))
    back = unpaired_improvement(second, first)
    assert (back.mean, back.low, back.high) == pytest.approx(
        (1 - found.mean, 1 - found.high, 1 - found.low), abs=1e-9
    )
    assert 0 <= found.low <= found.mean <= found.high <= 1


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_unpaired_bounds_lie_z_standard_errors_away(share):
    # 4 against 1 runs: 0, 1, 2 or 4 of the 4 pairs won; Newcombe's equation at each bound.
    values = pd.Series([0.0] * round(4 - 4 * share) + [2.0] * round(4 * share))
    found = unpaired_improvement(values, pd.Series([1.0]))
    assert found.mean == share
    extra = (4 + 1) / 2 - 1
    for p in {found.low, found.high} - {0.0, 1.0}:
        variance = p * (1 - p) * (1 + extra * (1 - p) / (2 - p) + extra * p / (1 + p)) / 4
        assert abs(share - p) / math.sqrt(variance) == pytest.approx(stats.norm.ppf(0.975))
    assert (found.low == 0) == (share == 0)
    assert (found.high == 1) == (share == 1)


def test_unpaired_interval_covers_near_its_level():
    random = np.random.default_rng(2)
    true = stats.norm.cdf(1 / math.sqrt(2))
    inside = []
    for _ in range(600):
        first, second = random.normal(1, 1, 6), random.normal(0, 1, 6)
        found = unpaired_improvement(pd.Series(first), pd.Series(second))
        inside.append(found.low <= true <= found.high)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.04)


@pytest.mark.parametrize("function", [probability_of_improvement, unpaired_improvement])
def test_nothing_to_compare(function):
    found = function(pd.Series([math.nan]), pd.Series([0.5]))
    assert found.n == 0
    assert all(math.isnan(x) for x in (found.mean, found.low, found.high))
    with pytest.raises(ValueError, match="between 0 and 1"):
        function(pd.Series([1.0]), pd.Series([0.5]), 95)
