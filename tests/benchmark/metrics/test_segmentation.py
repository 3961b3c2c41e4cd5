"""IoU, Dice and accuracy from counts worked by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.metrics.segmentation import ConfusionMatrix, class_map


def count(predicted: list[int], truth: list[int], classes: tuple[str, ...] = ("a", "b")):
    matrix = ConfusionMatrix(list(classes))
    matrix.update(
        torch.tensor(predicted).reshape(1, 1, -1),
        torch.tensor(truth, dtype=torch.uint8)[None, None],
    )
    return matrix


def test_counts_are_truth_by_prediction():
    matrix = count([0, 1, 1, 2, 0], [0, 1, 0, 1, 2])
    assert matrix.counts.tolist() == [[1, 1, 0], [0, 1, 1], [1, 0, 0]]


def test_metrics_by_hand():
    # Background: 2 hit, 1 missed, 1 too many; a: 1 hit, 1 missed, 1 too many; b: 1 hit.
    found = count([0, 0, 1, 0, 1, 2], [0, 0, 0, 1, 1, 2]).metrics()
    assert found["IoU/background"] == pytest.approx(2 / 4)
    assert found["IoU/a"] == pytest.approx(1 / 3)
    assert found["IoU/b"] == pytest.approx(1.0)
    assert found["Dice/background"] == pytest.approx(4 / 6)
    assert found["Dice/a"] == pytest.approx(2 / 4)
    assert found["mIoU"] == pytest.approx((1 / 2 + 1 / 3 + 1) / 3)
    assert found["mIoU_fg"] == pytest.approx((1 / 3 + 1) / 2)
    assert found["Dice_fg"] == pytest.approx((1 / 2 + 1) / 2)
    assert found["pixel_accuracy"] == pytest.approx(4 / 6)


def test_ignored_pixels_are_not_counted():
    matrix = count([0, 1, 2, 1], [0, 1, 255, 255])
    assert matrix.counts.sum() == 2
    assert matrix.metrics()["pixel_accuracy"] == 1.0


def test_an_absent_class_is_nan_and_not_in_the_means():
    found = count([0, 1], [0, 1]).metrics()
    assert math.isnan(found["IoU/b"])
    assert math.isnan(found["Dice/b"])
    assert found["mIoU"] == found["mIoU_fg"] == found["Dice_fg"] == 1.0


def test_a_class_that_is_only_predicted_costs():
    found = count([0, 2], [0, 1]).metrics()
    assert found["IoU/b"] == found["Dice/b"] == 0.0
    assert found["mIoU"] == pytest.approx(1 / 3)


def test_all_ignored_is_nan_throughout():
    assert all(math.isnan(value) for value in count([0, 1], [255, 255]).metrics().values())


def test_batches_add_up():
    whole = count([0, 1, 2, 1], [0, 1, 1, 2])
    parts = count([0, 1], [0, 1])
    parts.update(torch.tensor([[[2, 1]]]), torch.tensor([[[1, 2]]], dtype=torch.uint8))
    assert torch.equal(whole.counts, parts.counts)


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0, 1, 2, 255])), min_size=1))
def test_iou_is_dice_over_two_minus_dice(pairs):
    found = count([p for p, _ in pairs], [t for _, t in pairs]).metrics()
    for name in ("background", "a", "b"):
        iou, dice = found[f"IoU/{name}"], found[f"Dice/{name}"]
        assert iou == pytest.approx(dice / (2 - dice), nan_ok=True)


def test_class_map_of_one_class_is_the_threshold_at_one_half():
    logits = torch.tensor([-0.1, 0.0, 0.1]).reshape(1, 1, 1, 3)
    assert class_map(logits).tolist() == [[[0, 0, 1]]]


def test_class_map_takes_the_highest_logit_above_zero():
    first = torch.tensor([-1.0, 2.0, 1.0, -2.0])
    second = torch.tensor([-2.0, 1.0, 3.0, 0.5])
    logits = torch.stack([first, second]).reshape(1, 2, 2, 2)
    assert class_map(logits).tolist() == [[[0, 1], [2, 2]]]
