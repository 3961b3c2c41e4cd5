from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from benchmark.statistics import (
    SUMMARY_COLUMNS,
    mean_interval,
    paired_difference,
    reference,
    scores,
    summarise,
    with_bootstrap,
)

VALUES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=12).map(
    lambda pairs: tuple(map(pd.Series, zip(*pairs, strict=True)))
)


def detection_runs(values: dict[str, list[float | str]]) -> pd.DataFrame:
    """Runs of each loss: a number is a done run's AP, a string another status."""
    rows = [
        {
            "task": "detection",
            "dataset": "d",
            "model": "m",
            "loss": loss,
            "repetition": repetition,
            "status": value if isinstance(value, str) else "done",
            "AP": math.nan if isinstance(value, str) else value,
        }
        for loss, runs in values.items()
        for repetition, value in enumerate(runs)
    ]
    return pd.DataFrame(rows)


def row(summary: pd.DataFrame, loss: str) -> pd.Series:
    return summary[summary["loss"] == loss].iloc[0]


def test_paired_interval_by_hand():
    # Differences 1, 2, 3, 6: mean 3; deviations -2, -1, 0, 3; sum of squares 14;
    # sd = sqrt(14 / 3) = 2.160247; standard error = sd / 2 = 1.080123;
    # t(0.975, 3 degrees of freedom) = 3.182446 (table), so half = 3.437435.
    found = paired_difference(pd.Series([11, 22, 33, 46]), pd.Series([10, 20, 30, 40]))
    assert found.n == 4
    assert found.mean == 3
    assert found.sd == pytest.approx(2.160247, abs=1e-6)
    assert found.low == pytest.approx(3 - 3.437435, abs=1e-5)
    assert found.high == pytest.approx(3 + 3.437435, abs=1e-5)


def test_level_changes_the_quantile():
    # The same four differences; t(0.95, 3) = 2.353363, so half = 2.541922.
    found = paired_difference(pd.Series([1, 2, 3, 6]), pd.Series([0, 0, 0, 0]), level=0.9)
    assert found.high == pytest.approx(5.541922, abs=1e-5)


@settings(deadline=None)
@given(VALUES)
def test_paired_interval_is_that_of_scipy(pair):
    first, second = pair
    found = paired_difference(first, second)
    if (first - second).std() < 1e-9:  # scipy warns of lost precision there
        assert found.high - found.low < 1e-7
        return
    expected = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert found.low == pytest.approx(expected.low, abs=1e-9)
    assert found.high == pytest.approx(expected.high, abs=1e-9)


@settings(deadline=None)
@given(VALUES, st.floats(-5, 5))
def test_difference_turns_sign_and_ignores_what_a_repetition_shares(pair, shared):
    first, second = pair
    there, back = paired_difference(first, second), paired_difference(second, first)
    assert (back.mean, back.low, back.high) == pytest.approx((-there.mean, -there.high, -there.low))
    common = shared * pd.Series(np.arange(len(first)))
    moved = paired_difference(first + common, second + common)
    assert (moved.low, moved.high) == pytest.approx((there.low, there.high), abs=1e-9)


def test_interval_covers_the_truth_at_its_level():
    rng = np.random.default_rng(0)
    intervals = [mean_interval(pd.Series(rng.normal(2, 1, 4)), 0.8) for _ in range(1500)]
    covered = np.mean([i.low <= 2 <= i.high for i in intervals])
    assert covered == pytest.approx(0.8, abs=0.03)  # three standard errors


@pytest.mark.parametrize("values", [[], [0.5], [math.nan, 0.5]])
def test_fewer_than_two_values_have_no_interval(values):
    found = mean_interval(pd.Series(values, dtype=float))
    assert found.n == (0.5 in values)
    assert math.isnan(found.mean) == (found.n == 0)
    assert all(math.isnan(x) for x in (found.low, found.high, found.sd))


def test_pairs_are_matched_by_repetition_not_by_place():
    first = pd.Series({0: 1.0, 2: 5.0, 3: math.nan, 4: 9.0})
    second = pd.Series({4: 6.0, 2: 4.0, 1: 100.0, 3: 1.0})
    found = paired_difference(first, second)
    assert (found.n, found.mean) == (2, 2)  # repetitions 2 and 4: 1 and 3


def test_repetition_twice_is_refused():
    with pytest.raises(ValueError, match="repetition 1 occurs more than once in baseline"):
        paired_difference(pd.Series({1: 0.0}), pd.Series([0.1, 0.2], index=[1, 1]))


@pytest.mark.parametrize("level", [0, 1, 95, math.nan])
def test_level_outside_of_0_and_1_is_refused(level):
    with pytest.raises(ValueError, match="between 0 and 1"):
        mean_interval(pd.Series([1.0, 2.0]), level)


def test_summary_values():
    runs = detection_runs({"a": [0.1, 0.2, 0.3], "b": [0.2, 0.4, 0.6]})
    summary = summarise(runs)
    assert list(summary.columns) == SUMMARY_COLUMNS
    assert summary["loss"].tolist() == ["b", "a"]
    assert summary["rank"].tolist() == [1, 2]
    b = row(summary, "b")
    assert (b["n"], b["n_pairs"], b["baseline"], b["metric"]) == (3, 3, "a", "AP")
    assert b[["mean", "std", "min", "max", "diff"]].tolist() == pytest.approx(
        [0.4, 0.2, 0.2, 0.6, 0.2]
    )
    a = row(summary, "a")
    assert a["verdict"] == "baseline"
    assert a[["diff", "diff_low", "diff_high"]].isna().all()


@pytest.mark.parametrize(
    ("other", "verdict"),
    [
        ([0.30, 0.31, 0.32], "better"),
        ([0.10, 0.11, 0.12], "worse"),
        ([0.19, 0.22, 0.22], "cannot tell"),
        ([0.20, 0.21, 0.22], "cannot tell"),
        ([0.30, 0.31], "too few repetitions"),
        ([0.30, 0.31, "failed"], "too few repetitions"),
        (["failed", "pending", "running"], "too few repetitions"),
    ],
)
def test_verdicts(other, verdict):
    runs = detection_runs({"base": [0.20, 0.21, 0.22], "other": other})
    assert row(summarise(runs), "other")["verdict"] == verdict


def test_what_diverged_gets_no_verdict_in_its_favour():
    good, bad = [0.30, 0.31, 0.32, 0.33], [0.10, 0.11, 0.12, 0.13]
    spoiled_good, spoiled_bad = [*good[:3], "diverged"], [*bad[:3], "diverged"]

    def verdict(base, other):
        return row(summarise(detection_runs({"base": base, "other": other})), "other")["verdict"]

    assert verdict(bad, spoiled_good) == "diverged"
    assert verdict(good, spoiled_bad) == "worse"
    assert verdict(spoiled_good, bad) == "diverged"
    assert verdict(spoiled_bad, good) == "better"
    # An interval that holds 0 says the same whoever diverged.
    assert verdict(spoiled_good, [0.30, 0.32, 0.31, 0.33]) == "cannot tell"


@pytest.mark.parametrize(
    ("base", "other"),
    [
        ([0.1, 0.2, 0.3], ["diverged"] * 3),
        (["diverged"] * 3, [0.1, 0.2, 0.3]),
        ([0.1, 0.2, 0.3], [0.5, 0.6, "diverged"]),
    ],
)
def test_too_few_pairs_because_runs_diverged_is_called_so(base, other):
    runs = detection_runs({"base": base, "other": other})
    assert row(summarise(runs), "other")["verdict"] == "diverged"


def test_a_done_run_without_a_value_is_counted_and_nothing_is_said_in_its_favour():
    low, high = [0.1, 0.11, 0.12, 0.13], [0.3, 0.31, 0.32, 0.33]
    spoiled_low, spoiled_high = [*low[:3], math.nan], [*high[:3], math.nan]

    def verdict(base, other):
        return row(summarise(detection_runs({"base": base, "other": other})), "other")["verdict"]

    assert verdict(low, spoiled_high) == "cannot tell"
    assert verdict(high, spoiled_low) == "worse"
    assert verdict(spoiled_high, low) == "cannot tell"
    assert verdict(spoiled_low, high) == "better"
    runs = detection_runs({"base": low, "other": [0.3, math.nan, "diverged", "failed"]})
    assert row(summarise(runs), "other")[["n", "no_value"]].tolist() == [1, 1]
    assert row(summarise(runs), "base")["no_value"] == 0


def test_corrected_p_of_the_t_test_decides_the_claim():
    base = [0.20, 0.21, 0.22]
    gains = {"a": [0.020, 0.021, 0.022], "b": [0.010, 0.015, 0.020], "c": [0.01, -0.01, 0.02]}
    losses = {name: [x + g for x, g in zip(base, own, strict=True)] for name, own in gains.items()}
    summary = summarise(detection_runs({"base": base, **losses, "few": [0.5]}))
    a, b, c = (stats.ttest_1samp(own, 0).pvalue for own in gains.values())
    assert a < b < c
    # Holm: 3 a, then 2 b, then c; the loss with one pair has no t-test and does not count.
    found = summary.set_index("loss")["t_p_holm"]
    assert found[["a", "b", "c"]].tolist() == pytest.approx([3 * a, 2 * b, c])
    assert found[["base", "few"]].isna().all()
    assert 2 * b > 0.05 > b
    claims = summary.set_index("loss")["claim"]
    assert claims[["a", "b", "c"]].tolist() == ["better", "", ""]


def test_detectable_difference_is_that_of_the_strictest_step_of_the_correction():
    base = [0.20, 0.21, 0.22, 0.23]
    new = [0.21, 0.23, 0.25, 0.29]  # differences 0.01, 0.02, 0.03, 0.06: sd 0.0216025
    runs = detection_runs({"base": base, "new": new, "other": base, "one": [0.5], "none": []})
    effect = TTestPower().solve_power(nobs=4, alpha=0.05 / 2, power=0.8)
    found = row(summarise(runs), "new")["detectable"]
    assert found == pytest.approx(effect * 0.0216025, rel=1e-5)


def test_order_puts_diverged_after_whole_and_empty_last():
    runs = detection_runs(
        {
            "low": [0.1, 0.1, 0.1],
            "empty": ["failed", "timed out", "pending"],
            "often diverged": [0.9, "diverged", "diverged"],
            "diverged": [0.5, 0.5, "diverged"],
            "high": [0.3, 0.3, 0.3],
            "failed once": ["failed", 0.2, 0.2],
        }
    )
    summary = summarise(runs)
    order = ["high", "failed once", "low", "diverged", "often diverged", "empty"]
    assert summary["loss"].tolist() == order
    assert summary["diverged"].tolist() == [0, 0, 0, 1, 2, 0]
    empty = row(summary, "empty")
    assert (empty["n"], empty["failed"], empty["unfinished"]) == (0, 2, 1)
    assert math.isnan(empty["mean"])


def test_undefined_metric_of_a_done_run_does_not_count():
    summary = summarise(detection_runs({"a": [0.1, math.nan, 0.3]}))
    assert (row(summary, "a")["n"], row(summary, "a")["mean"]) == (2, pytest.approx(0.2))


def test_value_of_a_run_that_is_not_done_does_not_count():
    runs = detection_runs({"a": [0.1, 0.3]})
    runs.loc[1, "status"] = "running"
    assert row(summarise(runs), "a")["max"] == 0.1


def test_runs_with_no_metric_yet():
    runs = detection_runs({"a": ["running"], "b": ["pending"]}).drop(columns="AP")
    summary = summarise(runs)
    assert summary["n"].tolist() == [0, 0]
    assert row(summary, "b")["verdict"] == "too few repetitions"


def both_tasks() -> pd.DataFrame:
    detection = detection_runs({"iou": [0.1, 0.2], "giou": [0.2, 0.3]})
    segmentation = detection_runs({"bce": [0.5, 0.6], "dice": [0.7, 0.9]})
    segmentation = segmentation.assign(task="segmentation").rename(columns={"AP": "mIoU_fg"})
    return pd.concat([segmentation, detection], ignore_index=True)


@pytest.mark.parametrize(
    ("baseline", "expected"),
    [
        (None, {"segmentation": "bce", "detection": "iou"}),
        ("giou", {"segmentation": "bce", "detection": "giou"}),
        ({"segmentation": "dice"}, {"segmentation": "dice", "detection": "iou"}),
    ],
)
def test_each_task_has_its_baseline_and_metric(baseline, expected):
    summary = summarise(both_tasks(), baseline)
    assert dict(zip(summary["task"], summary["baseline"], strict=True)) == expected
    assert summary["task"].tolist() == ["segmentation"] * 2 + ["detection"] * 2
    assert summary["metric"].tolist() == ["mIoU_fg"] * 2 + ["AP"] * 2


def test_a_baseline_of_the_experiment_without_runs_stands():
    runs = both_tasks()
    summary = summarise(runs, {"detection": "smooth_l1", "segmentation": "bce"})
    found = summary[summary["task"] == "detection"]
    assert found["loss"].tolist() == ["giou", "iou"]
    assert set(found["baseline"]) == {"smooth_l1"}
    assert found["n_pairs"].tolist() == [0, 0]
    assert set(found["verdict"]) == {"too few repetitions"}
    assert found["diff"].isna().all()


@pytest.mark.parametrize("column", ["seconds", "train_seconds", "weight", "lr", "repetition"])
def test_times_and_settings_are_no_metrics(column):
    runs = both_tasks()
    runs = runs.assign(**{"AP/car": 0.5, **({} if column in runs else {column: 1.0})})
    with pytest.raises(ValueError, match=f"metric '{column}' .* there are: mIoU_fg, AP$"):
        summarise(runs, metric=column)
    assert set(summarise(runs, metric="AP/car")["mean"]) == {0.5}


def test_other_metric():
    runs = detection_runs({"a": [0.1, 0.3]}).assign(AP50=[0.6, 0.8])
    summary = summarise(runs, metric="AP50")
    assert (row(summary, "a")["mean"], row(summary, "a")["metric"]) == (pytest.approx(0.7), "AP50")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"baseline": "ciou"}, "'ciou' is not among the losses; allowed: bce, dice, iou, giou"),
        ({"baseline": {"boxes": "iou"}}, "task 'boxes'; allowed: detection, segmentation"),
        ({"metric": "ap"}, "metric 'ap' is not in the runs; there are: mIoU_fg, AP$"),
        ({"metric": "ECE"}, "metric 'ECE' is better the lower it is"),
        ({"level": 95}, "level is 95, but must lie between 0 and 1"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        summarise(both_tasks(), **arguments)


def test_wrong_frames():
    runs = detection_runs({"a": [0.1, 0.2]})
    with pytest.raises(ValueError, match=r"lacks the column\(s\) loss, status"):
        summarise(runs.drop(columns=["loss", "status"]))
    with pytest.raises(ValueError, match="task 'tracking' is not known; allowed: detection, seg"):
        summarise(runs.assign(task="tracking"))
    with pytest.raises(ValueError, match="status 'ok' is not known; allowed: done, diverged"):
        summarise(runs.assign(status="ok"))
    with pytest.raises(ValueError, match=r"2 runs are detection, d, m, a, repetition 0 \(x, y\)"):
        summarise(runs.assign(repetition=0, cell=["x", "y"]))


def test_empty_frame_gives_an_empty_summary():
    summary = summarise(pd.DataFrame())
    assert summary.empty
    assert list(summary.columns) == SUMMARY_COLUMNS


def test_scores_keep_the_order_of_the_losses():
    runs = detection_runs({"z": [0.1, 0.2], "a": ["diverged", 0.4]})
    table = scores(runs.iloc[::-1], "AP")
    assert table.index.tolist() == [0, 1]
    assert table.columns.tolist() == ["a", "z"]
    assert table["z"].tolist() == [0.1, 0.2]
    assert table["a"].isna().tolist() == [True, False]


def test_reference_counts_a_repetition_once():
    # Repetition 0 has three runs with 0.1, repetition 1 one run with 0.3: (0.1 + 0.3) / 2.
    runs = detection_runs({"a": [0.5, 0.5], "b": [0.5, "failed"], "c": [0.5, "failed"]})
    runs["untrained/AP"] = [0.1, 0.3, 0.1, math.nan, 0.1, math.nan]
    assert reference(runs, "untrained", "AP") == pytest.approx(0.2)
    assert math.isnan(reference(runs, "trivial", "AP"))
    assert summarise(runs)["untrained"].tolist() == pytest.approx([0.2] * 3)


def test_pairs_of_the_summary_by_hand():
    base = [0.10, 0.20, 0.30, 0.40]
    runs = detection_runs({"base": base, "new": [0.11, 0.22, 0.33, 0.46]})
    new = row(summarise(runs), "new")
    # Differences 0.01, 0.02, 0.03, 0.06: mean 0.03, sd 0.0216; all signs agree: p = 2 / 16.
    assert (new["p_value"], new["p_holm"]) == (0.125, 0.125)
    assert new["p_note"].startswith("cannot reach significance with n = 4: the smallest possible p")
    assert (new["improvement"], new["improvement_n"], new["improvement_high"]) == (1, 4, 1)
    assert new["improvement_low"] == pytest.approx(0.025**0.25)
    assert new["correlation"] == pytest.approx(stats.pearsonr(base, [0.11, 0.22, 0.33, 0.46])[0])
    effect = TTestPower().solve_power(nobs=4, alpha=0.05, power=0.8)
    assert new["detectable"] == pytest.approx(effect * 0.0216025, rel=1e-5)
    assert new["iqm"] == pytest.approx((0.22 + 0.33) / 2)


def test_baseline_has_no_comparison():
    base = row(summarise(detection_runs({"base": [0.1, 0.2, 0.4], "new": [0.2] * 3})), "base")
    empty = ["correlation", "p_value", "p_holm", "detectable", "improvement", "improvement_low"]
    assert base[empty].isna().all()
    assert (base["claim"], base["p_note"], base["improvement_n"]) == ("", "", 0)


def test_claim_survives_the_number_of_comparisons():
    base = [0.20, 0.21, 0.22, 0.20, 0.21]
    gains = [0.010, 0.030, 0.020, 0.015, 0.035]
    new = [value + gain for value, gain in zip(base, gains, strict=True)]
    p = stats.ttest_1samp(gains, 0).pvalue
    assert 0.05 / 10 < p < 0.05 / 2
    noise = {
        f"noise {i}": list(np.random.default_rng(i).permutation(base).round(6)) for i in range(9)
    }
    alone = row(summarise(detection_runs({"base": base, "new": new})), "new")
    assert (alone["verdict"], alone["claim"]) == ("better", "better")
    among = row(summarise(detection_runs({"base": base, "new": new, **noise})), "new")
    assert (among["verdict"], among["claim"]) == ("better", "")
    strong = [value - 0.1 - 0.001 * i for i, value in enumerate(base)]
    worse = row(summarise(detection_runs({"base": base, "bad": strong, **noise})), "bad")
    assert (worse["verdict"], worse["claim"]) == ("worse", "worse")


def test_holm_counts_the_comparisons_that_have_a_pair():
    new = [0.3, 0.31, 0.32]
    runs = detection_runs(
        {"base": [0.1] * 3, "a": new, "b": new, "c": ["failed"] * 3, "d": ["pending"] * 3}
    )
    summary = summarise(runs)
    assert row(summary, "a")["p_holm"] == 0.5  # 2 comparisons of 2 / 8
    assert math.isnan(row(summary, "c")["p_holm"])
    assert row(summary, "a")["p_note"].endswith(
        "the smallest possible p over 2 comparisons is 0.5; n = 7 could"  # 2 · 2 / 2^7 = 0.031
    )


def test_note_counts_what_the_other_comparisons_can_reach():
    # 4 pairs beside one comparison of 8: after that, 2 / 16 is not corrected any more.
    base = list(np.linspace(0.1, 0.2, 8))
    runs = detection_runs({"base": base, "long": [x + 0.1 for x in base], "short": [0.5] * 4})
    summary = summarise(runs)
    assert row(summary, "long")["p_note"] == ""
    assert "is 0.12;" in row(summary, "short")["p_note"]


def test_improvement_counts_what_diverged_as_lost():
    runs = detection_runs(
        {
            "base": [0.1, 0.1, "diverged", 0.1, "failed"],
            "new": [0.2, "diverged", "diverged", "failed", 0.3],
        }
    )
    new = row(summarise(runs), "new")
    assert (new["improvement"], new["improvement_n"]) == ((1 + 0 + 0.5) / 3, 3)
    assert new["n_pairs"] == 1


def test_bootstrap_intervals_stand_beside_and_say_that_they_are_too_narrow():
    values = {"base": [0.30, 0.31, 0.29, 0.30], "new": [0.33, 0.35, 0.30, 0.36]}
    runs = pd.DataFrame(
        [
            {
                "task": "detection",
                "dataset": "d",
                "model": "m",
                "status": "done",
                "loss": loss,
                "repetition": i,
                "AP": value,
            }
            for loss, own in values.items()
            for i, value in enumerate(own)
        ]
    )
    summary = summarise(runs, "base")
    found = with_bootstrap(summary, runs).set_index("loss")
    # The differences are .03 .04 .01 .06: a resample's mean lies between the extremes.
    assert 0.01 <= found.loc["new", "boot_low"] < 0.035 < found.loc["new", "boot_high"] <= 0.06
    assert found.loc["new", "boot_low"] > found.loc["new", "diff_low"]
    assert "too narrow" in found.loc["new", "boot_caution"]
    assert pd.isna(found.loc["base", "boot_low"])
    assert found.loc["base", "boot_caution"] == ""
