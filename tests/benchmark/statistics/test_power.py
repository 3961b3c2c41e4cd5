from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from benchmark.statistics import (
    detectable_difference,
    power_of,
    repetitions_needed,
    sd_interval,
)


@pytest.mark.parametrize(("effect", "n"), [(0.5, 3), (1.0, 5), (-1.0, 5), (0.2, 100), (3.0, 4)])
def test_power_is_that_of_statsmodels(effect, n):
    assert power_of(effect, n) == pytest.approx(TTestPower().power(effect, n, 0.05), abs=1e-9)


def test_power_of_no_difference_is_the_error_allowed():
    assert power_of(0, 7, level=0.9) == pytest.approx(0.1)


def test_power_is_what_simulated_experiments_reach():
    differences = np.random.default_rng(0).normal(1.2, 1, (20_000, 6))
    found = (stats.ttest_1samp(differences, 0, axis=1).pvalue < 0.05).mean()
    assert power_of(1.2, 6) == pytest.approx(found, abs=0.01)  # three standard errors


@pytest.mark.parametrize("n", [2, 3, 5, 10, 20])
@pytest.mark.parametrize(("power", "level"), [(0.8, 0.95), (0.9, 0.99)])
def test_detectable_difference_is_that_of_statsmodels(n, power, level):
    found = detectable_difference(0.5, n, power, level)
    # At the solution; of the upper tail alone, as statsmodels' lower one is NaN for few pairs.
    reached = TTestPower().power(found / 0.5, n, (1 - level) / 2, alternative="larger")
    assert reached == pytest.approx(power, abs=1e-5)


def test_detectable_difference_at_the_ends():
    assert detectable_difference(0, 5) == 0
    assert math.isnan(detectable_difference(1, 1))
    assert math.isnan(detectable_difference(math.nan, 5))


@pytest.mark.parametrize("effect", [0.05, 0.3, 0.5, 1.0, 2.0])
def test_repetitions_needed_are_those_of_statsmodels(effect):
    exact = TTestPower().solve_power(effect_size=effect, alpha=0.05, power=0.8)
    assert repetitions_needed(1, effect) == math.ceil(exact)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.02, 20), st.floats(0.3, 0.95))
def test_repetitions_needed_are_the_fewest(effect, power):
    n = repetitions_needed(1, -effect, power)
    assert power_of(effect, int(n)) >= power
    assert n == 2 or power_of(effect, int(n) - 1) < power


def test_repetitions_needed_at_the_ends():
    assert repetitions_needed(0, 0.1) == 2
    assert repetitions_needed(1, 1e-6) == math.inf
    assert math.isnan(repetitions_needed(math.nan, 0.1))


def test_sd_interval_by_hand():
    # 5 values: chi-square quantiles with 4 degrees of freedom are 0.484419 and 11.143287.
    low, high = sd_interval(2, 5)
    assert low == pytest.approx(2 * math.sqrt(4 / 11.143287))
    assert high == pytest.approx(2 * math.sqrt(4 / 0.484419), rel=1e-5)
    assert all(map(math.isnan, sd_interval(2, 1)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: detectable_difference(-1, 5), "sd is -1, but must not be negative"),
        (lambda: detectable_difference(1, 5, power=80), "power is 80, but must lie between 0.05"),
        (lambda: detectable_difference(1, 5, power=0.05), "power is 0.05"),
        (lambda: detectable_difference(1, 5, level=95), "level is 95"),
        (lambda: repetitions_needed(1, 0), "difference is 0"),
        (lambda: repetitions_needed(1, math.inf), "difference is inf"),
        (lambda: power_of(1, 1), "at least 2 pairs"),
        (lambda: sd_interval(-1, 5), "must not be negative"),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
