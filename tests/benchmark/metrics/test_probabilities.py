"""Histograms of probabilities against direct counts over the same pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.metrics.probabilities import HALF, THRESHOLDS, PixelProbabilities
from benchmark.metrics.segmentation import ConfusionMatrix, class_map


def counted(probabilities: list[list[float]], truth: list[int]) -> PixelProbabilities:
    """Pixels in a row: for each class its probabilities; class indices."""
    p = torch.tensor(probabilities, dtype=torch.float64).reshape(len(probabilities), 1, -1)
    found = PixelProbabilities(len(probabilities))
    found.update(p.logit().float()[None], torch.tensor(truth, dtype=torch.uint8)[None, None])
    return found


def drawn(seed: int, classes: int = 2, shape: tuple[int, int, int] = (3, 8, 9)):
    """Random logits of a few sizes, and truth with ignored pixels."""
    random = torch.Generator().manual_seed(seed)
    batch, height, width = shape
    logits = 3 * torch.randn(batch, classes, height, width, generator=random)
    truth = torch.randint(0, classes + 2, shape, generator=random, dtype=torch.uint8)
    return logits, torch.where(truth > classes, 255, truth).to(torch.uint8)


def test_iou_at_each_threshold_by_hand():
    found = counted([[0.9, 0.4, 0.6, 0.1]], [1, 1, 0, 0]).iou()[0]
    # Above 0.7: one of two found. From 0.4 on, not below: with the false one too, 1 of 3.
    assert found[70 - 1] == 1 / 2
    assert found[50 - 1] == 1 / 3
    assert found[39 - 1] == 2 / 3
    assert found[5 - 1] == 2 / 4
    assert found[95 - 1] == 0.0


def test_a_probability_of_one_half_is_not_above_it():
    model = PixelProbabilities(1)
    logits = torch.tensor([0.0, 1e-20, -1e-20]).reshape(1, 1, 1, 3)
    model.update(logits, torch.ones(1, 1, 3, dtype=torch.uint8))
    assert model.iou()[0, HALF] == pytest.approx(1 / 3)


@pytest.mark.parametrize("classes", [1, 3])
def test_iou_agrees_with_a_direct_count(classes):
    logits, truth = drawn(classes, classes)
    found = PixelProbabilities(classes)
    for i in range(len(truth)):  # batches add up
        found.update(logits[i : i + 1], truth[i : i + 1])
    valid = truth != 255
    for c in range(classes):
        own, p = (truth == c + 1)[valid], logits[:, c].double().sigmoid()[valid]
        expected = [((p > t) & own).sum().item() / ((p > t) | own).sum().item() for t in THRESHOLDS]
        assert found.iou()[c].tolist() == pytest.approx(expected)
    curve = found.breakdown()["by_threshold"]
    assert curve["y"].tolist() == pytest.approx(found.iou().mean(0).tolist())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_of_one_class_the_threshold_one_half_gives_the_metric_itself(seed):
    logits, truth = drawn(seed, 1, (1, 4, 4))
    logits[logits.abs() < 0.5] = 0.0
    found = PixelProbabilities(1)
    found.update(logits, truth)
    confusion = ConfusionMatrix(["a"])
    confusion.update(class_map(logits), truth)
    expected = confusion.metrics()["mIoU_fg"]
    half = found.breakdown()["by_threshold"]["y"][HALF]
    assert half == pytest.approx(expected, nan_ok=True)
    assert found.mean_iou_at(np.array([0.5])) == pytest.approx(expected, nan_ok=True)


def test_the_best_threshold_is_chosen_for_each_class():
    # Class a is best from 0.20 to 0.29, of which 0.29 is nearest to 0.5; b from 0.61 to 0.79.
    a = [0.3, 0.3, 0.195, 0.1]
    b = [0.6, 0.6, 0.8, 0.8]
    found = counted([a, b], [1, 1, 2, 2])
    assert found.best_thresholds().tolist() == [0.29, 0.6]
    assert found.mean_iou_at(np.array([0.29, 0.6])) == 1.0
    assert found.mean_iou_at(np.array([0.31, 0.59])) == pytest.approx((0 + 2 / 4) / 2)


def test_an_absent_class_is_read_at_one_half():
    # Class b is nowhere; above 0.3 it is predicted nowhere either, which has no IoU.
    found = counted([[0.9, 0.1], [0.3, 0.3]], [1, 0])
    assert found.best_thresholds().tolist() == [0.5, 0.5]
    assert np.isnan(found.iou()[1, 30:]).all()
    assert found.mean_iou_at(np.array([0.5, 0.5])) == 1.0
    assert found.mean_iou_at(np.array([0.5, 0.1])) == 0.5


def test_precision_and_recall_by_hand():
    # Best first: right, wrong, right, wrong. Recall 1/2 at precision 1, then 1 at 2/3.
    curve = counted([[0.9, 0.8, 0.7, 0.6]], [1, 0, 1, 0]).breakdown()["precision_recall"]["pixels"]
    assert curve["x"].tolist() == pytest.approx([i / 100 for i in range(101)])
    assert curve["y"].tolist() == pytest.approx([1.0] * 51 + [2 / 3] * 50)


def test_precision_where_all_must_be_taken():
    # The second pixel's probability is below every threshold.
    found = counted([[0.9, 0.001, 0.002]], [1, 1, 0]).breakdown()["precision_recall"]["pixels"]
    assert found["y"].tolist() == pytest.approx([1.0] * 51 + [2 / 3] * 50)


def test_precision_is_the_mean_of_the_classes_that_are_there():
    one = counted([[0.9, 0.8]], [0, 1])
    two = counted([[0.9, 0.8], [0.4, 0.4]], [0, 1])
    for found in (one, two):
        curve = found.breakdown()["precision_recall"]["pixels"]["y"]
        assert curve.tolist() == pytest.approx([0.5] * 101)


def test_calibration_by_hand():
    # Ten pixels at 0.85, seven of the class; four at 0.12, none of it; one more is ignored.
    found = counted([[0.85] * 10 + [0.12] * 4 + [0.9]], [1] * 7 + [0] * 7 + [255])
    calibration = found.breakdown()["calibration"]
    assert calibration["count"].tolist() == [0, 4, 0, 0, 0, 0, 0, 0, 10, 0]
    assert calibration["confidence"][[1, 8]] == pytest.approx([0.12, 0.85])
    assert calibration["accuracy"][[1, 8]] == pytest.approx([0.0, 0.7])
    assert calibration["ece"] == pytest.approx((10 * 0.15 + 4 * 0.12) / 14)


def test_calibration_counts_every_class_of_every_pixel():
    logits, truth = drawn(5, 3)
    found = PixelProbabilities(3)
    found.update(logits, truth)
    calibration = found.breakdown()["calibration"]
    valid = truth != 255
    assert calibration["count"].sum() == 3 * valid.sum()
    p = logits.double().sigmoid().movedim(1, -1)[valid]
    assert np.nansum(calibration["confidence"] * calibration["count"]) == pytest.approx(
        p.sum().item(), rel=1e-6
    )
    right = np.nansum(calibration["accuracy"] * calibration["count"])
    assert right == pytest.approx(((truth > 0) & valid).sum().item())


@pytest.mark.filterwarnings("error")
def test_ignored_everywhere_is_nan():
    found = counted([[0.9, 0.1]], [255, 255])
    assert np.isnan(found.iou()).all()
    assert found.best_thresholds().tolist() == [0.5]
    breakdown = found.breakdown()
    assert np.isnan(breakdown["precision_recall"]["pixels"]["y"]).all()
    assert math.isnan(breakdown["calibration"]["ece"])
