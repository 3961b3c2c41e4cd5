"""Breakdowns: means, intervals and paired differences worked out by hand or by the statistics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.report.breakdowns import (
    CALIBRATION_COLUMNS,
    CURVE_COLUMNS,
    GROUPED_COLUMNS,
    HISTOGRAM_COLUMNS,
    SINGLE_COLUMNS,
    calibration,
    curve,
    grouped,
    localisation,
    matched_share,
    names,
    single,
)
from benchmark.statistics import mean_interval, paired_difference

T = 12.706204736174694  # 0.975 quantile of Student's distribution with one degree of freedom


def sizes(*values: float | None) -> dict[str, Any]:
    return {"by_size": {"group": ["small", "large"], "count": [7, 3], "value": list(values)}}


def row(frame: pd.DataFrame, **where: Any) -> pd.Series:
    for column, value in where.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_curve_is_the_mean_over_the_runs_with_its_interval() -> None:
    runs = {0: {"by_iou": {"x": [0.5, 0.75], "y": [0.6, None]}}}
    runs[1] = {"by_iou": {"x": [0.5, 0.75], "y": [0.8, 0.4]}}
    found = curve({"iou": runs}, "by_iou")
    assert list(found.columns) == CURVE_COLUMNS
    first, second = (row(found, loss="iou", x=x) for x in (0.5, 0.75))
    # sd of 0.6 and 0.8 is 0.1 sqrt(2), so t sd / sqrt(2) = 0.1 t
    assert (first["mean"], first["n"]) == (pytest.approx(0.7), 2)
    assert first["low"] == pytest.approx(0.7 - 0.1 * T)
    assert first["high"] == pytest.approx(0.7 + 0.1 * T)
    assert (second["mean"], second["n"]) == (0.4, 1)
    assert math.isnan(second["low"])
    assert math.isnan(second["high"])


def test_curve_of_a_deeper_path_and_its_names() -> None:
    inner = {"IoU 0.50": {"x": [0.0, 1.0], "y": [1.0, 0.2]}, "IoU 0.75": {"x": [0.0], "y": [0.5]}}
    details = {"iou": {0: {"precision_recall": inner}}}
    assert names(details, "precision_recall") == ["IoU 0.50", "IoU 0.75"]
    assert curve(details, "precision_recall", "IoU 0.50")["mean"].tolist() == [1.0, 0.2]
    assert curve(details, "precision_recall", "IoU 0.90").empty
    assert names(details, "by_iou") == []


def test_curve_aligns_runs_by_x() -> None:
    runs = {0: {"c": {"x": [0.1, 0.2], "y": [1, 2]}}, 1: {"c": {"x": [0.2, 0.3], "y": [4, 5]}}}
    found = curve({"a": runs}, "c")
    assert found["x"].tolist() == [0.1, 0.2, 0.3]
    assert found["mean"].tolist() == [1, 3, 5]
    assert found["n"].tolist() == [1, 2, 1]


def test_losses_keep_their_order_and_those_without_are_absent() -> None:
    details = {"z": {0: sizes(0.1, 0.2)}, "none": {0: {}}, "a": {0: sizes(0.3, 0.4)}}
    assert grouped(details, "by_size")["loss"].tolist() == ["z", "z", "a", "a"]


def test_grouped_pairs_the_runs_by_repetition() -> None:
    details = {
        "giou": {0: sizes(0.5, 0.1), 1: sizes(0.7, None), 2: sizes(0.9, 0.9)},
        "iou": {1: sizes(0.4, 0.3), 0: sizes(0.4, 0.2)},
    }
    found = grouped(details, "by_size", baseline="iou")
    assert list(found.columns) == GROUPED_COLUMNS
    small = row(found, loss="giou", group="small")
    # repetition 2 has no partner: differences 0.1 and 0.3
    assert (small["mean"], small["n"], small["n_pairs"]) == (pytest.approx(0.7), 3, 2)
    assert small["diff"] == pytest.approx(0.2)
    assert small["diff_low"] == pytest.approx(0.2 - 0.1 * T)
    large = row(found, loss="giou", group="large")
    assert (large["count"], large["n"], large["n_pairs"]) == (3, 2, 1)
    assert large["diff"] == pytest.approx(-0.1)
    assert math.isnan(large["diff_low"])
    own = row(found, loss="iou", group="small")
    assert math.isnan(own["diff"])
    assert own["n_pairs"] == 0


def test_grouped_without_a_baseline_or_with_an_absent_one_has_no_differences() -> None:
    details = {"iou": {0: sizes(0.4, 0.2), 1: sizes(0.5, 0.2)}}
    for baseline in (None, "gone"):
        found = grouped(details, "by_size", baseline=baseline)
        assert found["diff"].isna().all()
        assert (found["n_pairs"] == 0).all()


def test_grouped_without_counts() -> None:
    details = {"bce": {0: {"thresholds": {"group": ["a"], "value": [0.4]}}}}
    found = grouped(details, "thresholds")
    assert found["count"].isna().all()
    assert found["mean"].tolist() == [0.4]


@given(
    st.lists(
        st.tuples(*[st.none() | st.floats(0, 1, allow_subnormal=False)] * 2),
        min_size=1,
        max_size=6,
    )
)
def test_intervals_are_those_of_the_statistics(values: list[tuple[float | None, ...]]) -> None:
    loss = {i: {"g": {"group": ["x"], "value": [pair[0]]}} for i, pair in enumerate(values)}
    base = {i: {"g": {"group": ["x"], "value": [pair[1]]}} for i, pair in enumerate(values)}
    found = row(grouped({"l": loss, "b": base}, "g", baseline="b", level=0.9), loss="l")
    mine, other = (pd.Series([pair[k] for pair in values], dtype=float) for k in (0, 1))
    mean, pairs = mean_interval(mine, 0.9), paired_difference(mine, other, 0.9)
    got = found[["mean", "low", "high", "diff", "diff_low", "diff_high"]].to_numpy(float)
    wanted = [mean.mean, mean.low, mean.high, pairs.mean, pairs.low, pairs.high]
    np.testing.assert_allclose(got, wanted, atol=1e-12)
    assert (found["n"], found["n_pairs"]) == (mean.n, pairs.n)


def test_single_number_of_a_run() -> None:
    details = {
        "a": {0: {"calibration": {"ece": 0.3}}, 1: {"calibration": {"ece": None}}},
        "b": {0: {"calibration": {"ece": 0.1}}, 1: {"calibration": {"ece": 0.2}}},
    }
    found = single(details, "calibration", "ece", baseline="b")
    assert list(found.columns) == SINGLE_COLUMNS
    first = row(found, loss="a")
    assert (first["mean"], first["n"], first["n_pairs"]) == (0.3, 1, 1)
    assert first["diff"] == pytest.approx(0.2)
    assert row(found, loss="b")["mean"] == pytest.approx(0.15)


def boxes(count: list[int], objects: int = 10) -> dict[str, Any]:
    found = {"edges": [0.5, 0.75, 1.0], "count": count, "matched": sum(count), "objects": objects}
    return {"localisation": found}


def test_localisation_takes_each_run_as_one() -> None:
    # Shares 1/4 and 3/4 of a run with 8 boxes, 1 and 0 of one with 2: means 5/8 and 3/8.
    found = localisation({"iou": {0: boxes([2, 6]), 1: boxes([2, 0]), 2: boxes([0, 0])}})
    assert list(found.columns) == HISTOGRAM_COLUMNS
    assert found["mean"].tolist() == pytest.approx([5 / 8, 3 / 8])
    assert found["n"].tolist() == [2, 2]
    assert found[["x_low", "x_high"]].to_numpy().tolist() == [[0.5, 0.75], [0.75, 1.0]]


def test_share_of_the_objects_that_are_matched() -> None:
    details = {"a": {0: boxes([2, 6]), 1: boxes([2, 0])}, "b": {0: boxes([0, 0], objects=0)}}
    found = matched_share(details, baseline="b")
    first = row(found, loss="a")
    assert (first["mean"], first["n"], first["n_pairs"]) == (pytest.approx(0.5), 2, 0)
    assert row(found, loss="b")["n"] == 0


def test_calibration_pools_the_runs_by_their_counts() -> None:
    one = {"edges": [0, 0.5, 1], "count": [4, 0], "confidence": [0.2, None]}
    two = {"edges": [0, 0.5, 1], "count": [1, 0], "confidence": [0.45, None]}
    runs = {
        0: {"calibration": one | {"accuracy": [0.5, None]}},
        1: {"calibration": two | {"accuracy": [1.0, None]}},
    }
    found = calibration({"a": runs})
    assert list(found.columns) == CALIBRATION_COLUMNS
    # (4 * 0.2 + 0.45) / 5 and (4 * 0.5 + 1) / 5
    assert found.loc[0, ["count", "confidence", "accuracy"]].tolist() == [5, 0.25, 0.6]
    assert found.loc[1, "count"] == 0
    assert math.isnan(found.loc[1, "confidence"])


@pytest.mark.parametrize(
    ("found", "columns"),
    [
        (curve({}, "by_iou"), CURVE_COLUMNS),
        (grouped({"a": {0: {"by_size": None}}}, "by_size"), GROUPED_COLUMNS),
        (single({}, "calibration", "ece"), SINGLE_COLUMNS),
        (localisation({}), HISTOGRAM_COLUMNS),
        (calibration({}), CALIBRATION_COLUMNS),
    ],
)
def test_nothing_recorded_is_an_empty_frame(found: pd.DataFrame, columns: list[str]) -> None:
    assert found.empty
    assert list(found.columns) == columns
