"""IoU by foreground share and by class, and the metrics that come with them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.metrics.boundaries import BoundaryQuality
from benchmark.metrics.segmentation import ConfusionMatrix, class_map
from benchmark.metrics.segmentation_breakdown import (
    SegmentationBreakdown,
    ShareClasses,
    foreground_share,
)


def test_four_classes_of_the_share():
    found = ShareClasses(np.array([0.08, 0.01, 0.02, 0.4, 0.03, 0.04, 0.05, 0.2]))
    assert found.names == ["1.0 to 2.0 %", "2.0 to 4.0 %", "4.0 to 8.0 %", "8.0 to 40.0 %"]
    assert found.index.tolist() == [2, 0, 0, 3, 1, 1, 2, 3]


def test_classes_that_coincide_are_one():
    found = ShareClasses(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.3]))
    assert found.names == ["0.0 %", "0.0 to 10.0 %", "10.0 to 30.0 %"]
    assert found.index.tolist() == [0] * 5 + [1, 2, 2]
    assert ShareClasses(np.array([0.25, 0.25])).names == ["25.0 %"]
    assert ShareClasses(np.array([0.5])).index.tolist() == [0]


def test_names_have_the_decimals_they_need():
    found = ShareClasses(np.array([0.0001, 0.0002, 0.0003, 0.0004]))
    assert found.names == ["0.01 %", "0.01 to 0.02 %", "0.02 to 0.03 %", "0.03 to 0.04 %"]


@given(st.lists(st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.55, 1.0]), min_size=1, max_size=30))
def test_no_class_is_empty_and_order_is_kept(shares):
    found = ShareClasses(np.array(shares))
    assert set(found.index) == set(range(len(found.names)))
    assert len(set(found.names)) == len(found.names) <= 4
    order = np.argsort(shares, kind="stable")
    assert (np.diff(found.index[order]) >= 0).all()


def test_the_share_leaves_ignored_pixels_out():
    mask = np.array([[0, 1, 2, 255], [0, 255, 255, 255]], np.uint8)
    assert foreground_share(mask, 255) == 0.5
    assert foreground_share(np.full((2, 2), 255, np.uint8), 255) == 0.0


TRUTH = torch.tensor(
    [[[0, 0, 0, 1]], [[0, 0, 0, 2]], [[1, 1, 2, 2]], [[1, 1, 1, 255]]], dtype=torch.uint8
)
SHARES = np.array([0.25, 0.25, 1.0, 1.0])
SIZES = [(1, 4)] * 4


def logits_of(predicted: list[list[int]], classes: int = 2) -> torch.Tensor:
    """Logits 2 for the class that is meant, -2 for the others."""
    index = torch.tensor(predicted)[:, None]
    one = torch.arange(1, classes + 1)[None, :, None] == index
    return torch.where(one, 2.0, -2.0)[:, :, None]


PREDICTED = [[0, 0, 1, 1], [0, 0, 0, 0], [1, 1, 2, 1], [1, 1, 1, 2]]
AT_HALF = {"a": 0.5, "b": 0.5}


def broken_down(predicted=PREDICTED, chosen=AT_HALF):
    breakdown = SegmentationBreakdown(["a", "b"], SHARES, SIZES)
    logits = logits_of(predicted)
    for start in (0, 3):  # batches of unequal size
        stop = min(start + 3, 4)
        breakdown.update(start, logits[start:stop], TRUTH[start:stop])
    return breakdown.results(chosen)


def test_the_metrics_are_those_of_a_plain_evaluation():
    metrics, details = broken_down()
    confusion = ConfusionMatrix(["a", "b"])
    confusion.update(class_map(logits_of(PREDICTED)), TRUTH)
    boundaries = BoundaryQuality(["a", "b"])
    for found, true in zip(PREDICTED, TRUTH.numpy(), strict=True):
        boundaries.update(np.array([found], np.uint8), true)
    tuned = metrics.pop("mIoU_fg_tuned")
    assert metrics == {
        **confusion.metrics(),
        **boundaries.metrics(),
        "ECE": details["calibration"]["ece"],
    }
    assert 0 < metrics["boundary_IoU"] < 1
    # Exclusive predictions at 0.5 are the same masks.
    assert tuned == pytest.approx(metrics["mIoU_fg"])


def test_iou_by_share_by_hand():
    found = broken_down()[1]["by_share"]
    assert found["group"] == ["25.0 %", "25.0 to 100.0 %"]
    assert found["count"].tolist() == [2, 2]
    # Few: a has 1 of 2, b 0 of 1. Many: a has 5 of 6 (one too many), b 1 of 2.
    assert found["value"] == pytest.approx([(1 / 2 + 0) / 2, (5 / 6 + 1 / 2) / 2])


def test_iou_by_class_with_its_pixels():
    metrics, details = broken_down()
    assert details["by_class"]["group"] == ["a", "b"]
    assert details["by_class"]["count"].tolist() == [6, 3]
    assert details["by_class"]["value"] == [metrics["IoU/a"], metrics["IoU/b"]]
    assert metrics["IoU/a"] == pytest.approx(6 / 8)


def test_the_tuned_metric_reads_each_class_at_its_own_threshold():
    p = 1 / (1 + math.exp(2.0))  # of the classes not meant; above 0.01 all pixels are taken
    assert p > 0.02
    metrics, details = broken_down(chosen={"a": 0.01, "b": 0.5})
    # a: 6 of all 15 that are not ignored; b: 1 of 3.
    assert metrics["mIoU_fg_tuned"] == pytest.approx((6 / 15 + 1 / 3) / 2)
    assert details["thresholds"] == {"group": ["a", "b"], "value": pytest.approx([0.01, 0.5])}
    assert details["task"] == "segmentation"
