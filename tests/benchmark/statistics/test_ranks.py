from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmark.statistics import RANK_COLUMNS, critical_difference, friedman_test, mean_ranks


def runs_of(tables: dict[str, dict[str, float | str]], repetitions: int = 2) -> pd.DataFrame:
    """Data set -> loss -> the AP of all its runs, or another status of the last of them."""
    return pd.DataFrame(
        [
            {
                "task": "detection",
                "dataset": dataset,
                "model": "m",
                "loss": loss,
                "repetition": repetition,
                "status": value if isinstance(value, str) and last else "done",
                "AP": 0.9 if isinstance(value, str) and not last else value,
            }
            for dataset, losses in tables.items()
            for loss, value in losses.items()
            for repetition in range(repetitions)
            for last in [repetition == repetitions - 1]
        ]
    ).assign(AP=lambda frame: pd.to_numeric(frame["AP"], errors="coerce"))


def ranks_frame(**ranks: float) -> pd.DataFrame:
    return pd.DataFrame({"loss": list(ranks), "mean_rank": list(ranks.values())})


def test_mean_ranks_by_hand():
    found = mean_ranks(
        runs_of(
            {
                "x": {"a": 0.1, "b": 0.2, "c": 0.3},  # 3, 2, 1
                "y": {"a": 0.5, "b": 0.5, "c": 0.9},  # 2.5, 2.5, 1
                "z": {"a": 0.8, "b": 0.3, "c": 0.5},  # 1, 3, 2
            }
        )
    )
    assert list(found.columns) == RANK_COLUMNS
    assert found["loss"].tolist() == ["c", "a", "b"]
    assert found["mean_rank"].tolist() == pytest.approx([4 / 3, 6.5 / 3, 7.5 / 3])
    assert found["best"].tolist() == [1, 1, 2]
    assert found["worst"].tolist() == [2, 3, 3]
    assert set(found["datasets"]) == {3}


def test_repetitions_are_no_blocks():
    tables = {"x": {"a": 0.1, "b": 0.2}, "y": {"a": 0.3, "b": 0.2}}
    once, often = (mean_ranks(runs_of(tables, repetitions)) for repetitions in (1, 7))
    pd.testing.assert_frame_equal(once, often)
    assert once["mean_rank"].tolist() == [1.5, 1.5]


def test_diverged_ranks_last_though_its_mean_is_higher():
    found = mean_ranks(
        runs_of({"x": {"a": "diverged", "b": 0.1, "c": 0.2}, "y": {"a": 0.3, "b": 0.1, "c": 0.2}})
    )
    assert dict(zip(found["loss"], found["mean_rank"], strict=True)) == {"a": 2, "b": 2.5, "c": 1.5}


def test_losses_that_all_diverged_tie_last():
    tables = {
        "x": {"a": "diverged", "b": "diverged", "c": 0.2},
        "y": {"a": 0.3, "b": 0.1, "c": 0.2},
    }
    found = mean_ranks(runs_of(tables, repetitions=1)).set_index("loss")
    assert found["worst"].to_dict() == {"a": 2.5, "b": 3, "c": 2}


def test_a_data_set_without_a_value_is_left_out_and_named():
    tables = {
        "x": {"a": 0.1, "b": 0.2},
        "y": {"a": 0.1, "b": 0.2},
        "unfinished": {"a": 0.9, "b": "pending"},
    }
    found = mean_ranks(runs_of(tables, repetitions=1))
    assert set(found["datasets"]) == {2}
    assert set(found["left_out"]) == {"unfinished"}


def test_only_losses_on_all_data_sets_are_ranked():
    found = mean_ranks(
        runs_of({"x": {"a": 0.1, "b": 0.2, "extra": 0.3}, "y": {"a": 0.1, "b": 0.2}})
    )
    assert found["loss"].tolist() == ["b", "a"]
    assert found["mean_rank"].tolist() == [1, 2]


def test_one_data_set_has_no_mean_ranks():
    assert mean_ranks(runs_of({"x": {"a": 0.1, "b": 0.2}})).empty
    assert list(mean_ranks(pd.DataFrame()).columns) == RANK_COLUMNS
    with pytest.raises(ValueError, match="metric 'AP99' is not in the runs"):
        mean_ranks(runs_of({"x": {"a": 0.1}}), "AP99")


def test_friedman_of_demsar():
    # Demšar 2006, section 3.2.2: 4 classifiers on 14 data sets; χ² = 9.28, F = 3.69.
    statistic, p = friedman_test(pd.Series([3.143, 2.000, 2.893, 1.964]), 14)
    assert statistic == pytest.approx(3.69, abs=0.01)
    # "The critical value of F(3, 39) for α = 0.05 is 2.85."
    assert stats.f.isf(0.05, 3, 39) == pytest.approx(2.85, abs=0.005)
    assert p == pytest.approx(stats.f.sf(statistic, 3, 39))


def test_friedman_is_that_of_scipy():
    ranks = stats.rankdata(np.random.default_rng(0).random((9, 4)), axis=1)
    chi = stats.friedmanchisquare(*ranks.T).statistic
    statistic, _ = friedman_test(pd.Series(ranks.mean(axis=0)), 9)
    assert statistic == pytest.approx(8 * chi / (9 * 3 - chi))


def test_friedman_where_all_data_sets_agree():
    assert friedman_test(pd.Series([1.0, 2.0, 3.0]), 6) == (math.inf, 0)
    with pytest.raises(ValueError, match="2 losses and 2 data sets, not 3 and 1"):
        friedman_test(pd.Series([1.0, 2.0, 3.0]), 1)


@pytest.mark.parametrize(
    ("k", "level", "q"),
    [
        # Demšar 2006, table 5 (a).
        *((k, 0.95, q) for k, q in [(3, 2.343), (4, 2.569), (5, 2.728), (7, 2.949), (10, 3.164)]),
        *((k, 0.90, q) for k, q in [(3, 2.052), (4, 2.291), (6, 2.589), (10, 2.920)]),
    ],
)
def test_critical_difference_of_demsar_s_table(k, level, q):
    ranks = ranks_frame(**{f"loss{i}": float(i) for i in range(1, k + 1)})
    found = critical_difference(ranks, 20, level)
    assert found.value == pytest.approx(q * math.sqrt(k * (k + 1) / 120), abs=1e-3)


def test_critical_difference_of_demsar_s_example():
    found = critical_difference(ranks_frame(a=3.143, b=2.000, c=2.893, d=1.964), 14)
    assert found.value == pytest.approx(1.25, abs=0.005)
    # 3.143 - 1.964 = 1.179 < 1.25: no two differ, though the Friedman test finds a difference.
    assert found.p_value < 0.05
    assert found.groups == [("d", "b", "c", "a")]


def test_groups_are_the_longest_that_do_not_differ():
    # 4 losses, 20 data sets: CD = 2.569 sqrt(20 / 120) = 1.0488.
    found = critical_difference(ranks_frame(a=1.2, b=2.0, c=2.9, d=3.9), 20)
    assert found.groups == [("a", "b"), ("b", "c"), ("c", "d")]
    wide = critical_difference(ranks_frame(d=4.0, a=1.5, b=2.0, c=2.5), 20)
    assert wide.groups == [("a", "b", "c")]
    assert critical_difference(ranks_frame(a=1.0, b=2.2, c=3.4, d=4.6), 20).groups == []


def test_no_groups_are_split_where_friedman_finds_nothing():
    found = critical_difference(ranks_frame(a=1.9, b=2.0, c=2.1), 10)
    assert found.p_value > 0.05
    assert found.groups == [("a", "b", "c")]


@pytest.mark.parametrize(
    ("losses", "datasets", "reason"),
    [
        (3, 4, "of 3 losses needs at least 5 data sets; there are 4"),
        (6, 6, "of 6 losses needs at least 7 data sets; there are 6"),
        (2, 30, "needs at least 3 losses; there are 2"),
    ],
)
def test_too_little_for_a_critical_difference(losses, datasets, reason):
    ranks = ranks_frame(**{f"loss{i}": float(i) for i in range(losses)})
    found = critical_difference(ranks, datasets)
    assert found.reason.endswith(reason)
    assert math.isnan(found.value)
    assert found.groups == []


def test_just_enough_for_a_critical_difference():
    found = critical_difference(ranks_frame(a=1.0, b=2.0, c=3.0), 5)
    assert found.reason == ""
    assert found.value == pytest.approx(2.343 * math.sqrt(12 / 30), abs=1e-3)
    with pytest.raises(ValueError, match="level is 5"):
        critical_difference(ranks_frame(a=1.0, b=2.0, c=3.0), 5, level=5)
