from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from benchmark.statistics import POOLED_COLUMNS, mean_interval, pool, pooled_differences


def runs_on(datasets: dict[str, dict[str, list[float | str]]]) -> pd.DataFrame:
    """Data set -> loss -> one entry a run: the AP of a done one, or another status."""
    return pd.DataFrame(
        [
            {
                "task": "detection",
                "dataset": dataset,
                "model": "m",
                "loss": loss,
                "repetition": repetition,
                "status": value if isinstance(value, str) else "done",
                "AP": math.nan if isinstance(value, str) else value,
            }
            for dataset, losses in datasets.items()
            for loss, values in losses.items()
            for repetition, value in enumerate(values)
        ]
    )


TWO = {
    # Differences 0.1, 0.2, 0.3: mean 0.2, variance 0.01.
    "x": {"base": [0.1, 0.1, 0.1], "new": [0.2, 0.3, 0.4]},
    # Differences 0, 0.2, 0, 0.2: mean 0.1, variance 0.04 / 3.
    "y": {"base": [0.5] * 4, "new": [0.5, 0.7, 0.5, 0.7]},
}


def test_pooled_difference_by_hand():
    found = pooled_differences(runs_on(TWO))
    assert list(found.columns) == POOLED_COLUMNS
    row = found.iloc[0]
    assert (row["loss"], row["baseline"], row["datasets"], row["names"]) == (
        "new",
        "base",
        2,
        "x, y",
    )
    # Variances of the means: 0.01 / 3 and 0.04 / 12, both 1 / 300, so the standard error is
    # sqrt(2 / 300) / 2 = 0.040825, and df = (2 / 300)² / (1 / 300² (1 / 2 + 1 / 3)) = 4.8.
    assert row["diff"] == pytest.approx(0.15)
    assert row["df"] == pytest.approx(4.8)
    half = stats.t.ppf(0.975, 4.8) * 0.0408248
    assert (row["diff_low"], row["diff_high"]) == pytest.approx(
        (0.15 - half, 0.15 + half), abs=1e-6
    )
    assert row["p_value"] == pytest.approx(2 * stats.t.sf(0.15 / 0.0408248, 4.8), rel=1e-5)
    assert (row["n_pairs"], row["verdict"], row["claim"]) == (7, "better", "better")
    # Two data sets: nothing is said of others.
    assert row[["between_low", "between_high"]].isna().all()


def test_two_strata_are_the_welch_test():
    # Half the sum of two means: the same as half the difference of one and minus the other.
    random = np.random.default_rng(0)
    first, second = random.normal(0.3, 0.1, 5), random.normal(0.1, 0.4, 9)
    found = pool([mean_interval(pd.Series(first)), mean_interval(pd.Series(second))])
    welch = stats.ttest_ind(first, -second, equal_var=False)
    interval = welch.confidence_interval(0.95)
    assert (found.estimate.low, found.estimate.high) == pytest.approx(
        (interval.low / 2, interval.high / 2)
    )
    assert (found.p_value, found.df) == pytest.approx((welch.pvalue, welch.df))


def test_standard_error_is_that_of_a_regression_with_unequal_variances():
    # Least squares with a mean for each data set; White's HC2 covariance gives sd² / n for each.
    random = np.random.default_rng(1)
    strata = [random.normal(0.1 * i, 0.1 + 0.1 * i, 4 + i) for i in range(3)]
    place = np.repeat([0, 1, 2], [len(values) for values in strata])
    fit = sm.OLS(np.concatenate(strata), np.eye(3)[place]).fit(cov_type="HC2")
    contrast = fit.t_test(np.full((1, 3), 1 / 3))
    found = pool([mean_interval(pd.Series(values)) for values in strata])
    error = (found.estimate.high - found.estimate.mean) / stats.t.ppf(0.975, found.df)
    assert found.estimate.mean == pytest.approx(contrast.effect.item())
    assert error == pytest.approx(contrast.sd.item())


def test_every_data_set_counts_the_same():
    datasets = {
        "many": {"base": [0.0] * 6, "new": [0.1, 0.12] * 3},
        "few": {"base": [0.0] * 3, "new": [0.3, 0.31, 0.32]},
    }
    assert pooled_differences(runs_on(datasets)).iloc[0]["diff"] == pytest.approx((0.11 + 0.31) / 2)


def test_interval_over_data_sets_is_the_other_question():
    means = [0.1, 0.3, -0.1]
    datasets = {
        str(mean): {"base": [0.5] * 3, "new": [0.5 + mean - 0.01, 0.5 + mean, 0.5 + mean + 0.01]}
        for mean in means
    }
    row = pooled_differences(runs_on(datasets)).iloc[0]
    expected = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert (row["between_low"], row["between_high"]) == pytest.approx((expected.low, expected.high))
    # Sure of these data sets, not of others.
    assert row["verdict"] == "better"
    assert row["between_low"] < 0


def test_what_lacks_pairs_is_left_out_and_named():
    datasets = {**TWO, "z": {"base": [0.5, 0.5], "new": [0.1, "failed"]}}
    row = pooled_differences(runs_on(datasets)).iloc[0]
    assert (row["datasets"], row["left_out"]) == (2, "z")
    assert row["diff"] == pytest.approx(0.15)
    only_one = {"x": TWO["x"], "y": {"base": [0.1, 0.2], "new": [0.2, "diverged"]}}
    assert pooled_differences(runs_on(only_one)).empty
    not_there = {"x": TWO["x"], "y": {"other": [0.1, 0.2], "new": [0.2, 0.3]}}
    assert pooled_differences(runs_on(not_there), "base").empty


def test_two_pairs_on_a_data_set_are_too_few_for_a_verdict():
    datasets = {**TWO, "y": {"base": [0.5, 0.5], "new": [0.70, 0.71]}}
    row = pooled_differences(runs_on(datasets)).iloc[0]
    assert row["verdict"] == "too few repetitions"
    assert row["claim"] == ""
    assert row["diff_low"] < row["diff"] < row["diff_high"]


def test_no_verdict_for_the_side_that_diverged():
    new = {**TWO, "x": {"base": [0.1] * 4, "new": [0.2, 0.3, 0.4, "diverged"]}}
    row = pooled_differences(runs_on(new)).iloc[0]
    assert (row["diverged"], row["verdict"]) == (1, "diverged")
    base = {**TWO, "x": {"base": [0.1] * 3 + ["diverged"], "new": [0.2, 0.3, 0.4, 0.3]}}
    row = pooled_differences(runs_on(base)).iloc[0]
    assert (row["baseline_diverged"], row["verdict"]) == (1, "better")


def test_no_verdict_for_the_side_with_a_done_run_without_a_value():
    new = {**TWO, "x": {"base": [0.1] * 4, "new": [0.2, 0.3, 0.4, math.nan]}}
    row = pooled_differences(runs_on(new)).iloc[0]
    assert (row["no_value"], row["baseline_no_value"]) == (1, 0)
    assert row["diff_low"] > 0
    assert (row["verdict"], row["claim"]) == ("cannot tell", "")
    base = {**TWO, "x": {"base": [0.1] * 3 + [math.nan], "new": [0.2, 0.3, 0.4, 0.3]}}
    row = pooled_differences(runs_on(base)).iloc[0]
    assert (row["no_value"], row["baseline_no_value"]) == (0, 1)
    assert row["verdict"] == "better"


def test_claims_are_corrected_over_the_losses():
    datasets = {
        name: {**losses, **{f"noise {i}": losses["base"] for i in range(9)}}
        for name, losses in TWO.items()
    }
    found = pooled_differences(runs_on(datasets)).set_index("loss")
    p = found.loc["new", "p_value"]
    assert 0.05 / 10 < p < 0.05
    assert (found.loc["new", "verdict"], found.loc["new", "claim"]) == ("better", "")
    assert (found.loc["noise 0", "diff"], found.loc["noise 0", "p_value"]) == (0, 1)


def test_differences_that_never_vary():
    same = [mean_interval(pd.Series([0.2, 0.2])), mean_interval(pd.Series([0.4, 0.4]))]
    found = pool(same)
    assert (found.estimate.low, found.estimate.high) == pytest.approx((0.3, 0.3))
    assert (found.p_value, found.df) == (0, 2)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="at least 2 values"):
        pool([mean_interval(pd.Series([0.2]))])
    with pytest.raises(ValueError, match="at least one"):
        pool([])
    with pytest.raises(ValueError, match="level is 95"):
        pooled_differences(runs_on(TWO), level=95)
    with pytest.raises(ValueError, match="baseline 'x' is not among the losses"):
        pooled_differences(runs_on(TWO), "x")
    assert list(pooled_differences(pd.DataFrame()).columns) == POOLED_COLUMNS
