"""Calibration by hand, means with gaps, and how numbers are kept."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from benchmark.metrics.breakdown import calibration, nan_mean, plain


def bins(**values: float) -> list[float]:
    """Ten bins, zero but for those named ``b0`` to ``b9``."""
    return [values.get(f"b{i}", 0) for i in range(10)]


def test_calibration_by_hand():
    # Two cases at 0.15 and 0.17, one right; three at 0.9, 0.92 and 0.97, all right.
    found = calibration(bins(b1=2, b9=3), bins(b1=0.32, b9=2.79), bins(b1=1, b9=3))
    assert found["count"].tolist() == bins(b1=2, b9=3)
    assert found["confidence"][[1, 9]] == pytest.approx([0.16, 0.93])
    assert found["accuracy"][[1, 9]] == pytest.approx([0.5, 1.0])
    assert np.isnan(found["confidence"][[0, 2, 8]]).all()
    assert found["ece"] == pytest.approx((2 * 0.34 + 3 * 0.07) / 5)
    assert found["edges"].tolist() == pytest.approx([i / 10 for i in range(11)])


def test_calibration_of_nothing_is_nan():
    found = calibration(bins(), bins(), bins())
    assert math.isnan(found["ece"])
    assert np.isnan(found["accuracy"]).all()


@pytest.mark.filterwarnings("error")
def test_a_mean_leaves_gaps_out():
    table = [[1.0, math.nan], [3.0, math.nan]]
    assert nan_mean(table, 0)[0] == 2.0
    assert math.isnan(nan_mean(table, 0)[1])
    assert nan_mean(table) == 2.0
    assert math.isnan(nan_mean([]))


def test_plain_numbers_can_be_written():
    kept = plain({"x": np.array([1 / 3, 2.0]), "n": np.int64(3), "l": [np.arange(2), (0.5,)]})
    assert kept == {"x": [0.333333, 2.0], "n": 3, "l": [[0, 1], [0.5]]}
    assert json.loads(json.dumps(kept)) == kept
    assert math.isnan(plain(np.float64("nan")))
