"""Breakdowns of AP: a few boxes worked by hand, and what must agree with the AP itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmark.metrics.detection import AveragePrecision
from benchmark.metrics.detection_breakdown import aspects, detection_breakdown

Row = tuple[float, float, float, float]

SQUARE: Row = (0, 0, 20, 20)
WIDE: Row = (100, 0, 140, 20)
TALL: Row = (0, 100, 20, 180)
CLASSES = ("a", "b")


def broken_down(
    truth: list[list[tuple[Row, int]]],
    found: list[list[tuple[Row, float, int]]],
    classes: tuple[str, ...] = CLASSES,
):
    """Images as lists of (box, label) and (box, score, label) -> metrics and breakdowns."""
    metric = AveragePrecision(
        [np.array([b for b, _ in image], float).reshape(-1, 4) for image in truth],
        [np.array([label for _, label in image], np.int64) for image in truth],
        list(classes),
    )
    given = (
        [np.array([b for b, _, _ in image], float).reshape(-1, 4) for image in found],
        [np.array([score for _, score, _ in image], float) for image in found],
        [np.array([label for _, _, label in image], np.int64) for image in found],
    )
    metrics, details = detection_breakdown(metric, *given)
    assert str(metrics) == str({**metric(*given), "ECE": details["calibration"]["ece"]})
    return metrics, details


def test_ap_at_each_threshold_by_hand():
    # IoU 0.62: a hit at 0.5, 0.55 and 0.6.
    _, found = broken_down([[((0, 0, 10, 10), 0)]], [[((0, 0, 10, 6.2), 0.5, 0)]])
    assert found["by_iou"]["x"].tolist() == pytest.approx([0.5 + i / 20 for i in range(10)])
    assert found["by_iou"]["y"].tolist() == pytest.approx([1.0] * 3 + [0.0] * 7)


def test_groups_of_the_side_ratio_by_hand():
    truth = [[(SQUARE, 0), (WIDE, 0), (TALL, 0)]]
    _, found = broken_down(truth, [[(SQUARE, 0.9, 0), (TALL, 0.8, 0)]])
    assert found["by_aspect"]["group"] == ["1 to 1.5", "1.5 to 3", "3 and more"]
    assert found["by_aspect"]["count"] == [1, 1, 1]
    assert found["by_aspect"]["value"].tolist() == pytest.approx([1.0, 0.0, 1.0])


def test_the_borders_of_side_ratios_belong_to_the_longer_group():
    rows = [(0, 0, 29, 20), (100, 0, 130, 20), (0, 100, 20, 160), (200, 0, 205, 100)]
    truth = [[(box, 0) for box in rows]]
    found = broken_down(truth, [[(box, 0.9, 0) for box in rows]])[1]["by_aspect"]
    assert found["count"] == [1, 1, 2]
    assert found["value"].tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_a_miss_of_another_side_ratio_does_not_count_against_a_group():
    truth = [[(SQUARE, 0)]]
    wrong_square = (300.0, 300.0, 320.0, 320.0)
    wrong_wide = (300.0, 300.0, 340.0, 320.0)
    same = broken_down(truth, [[(wrong_square, 0.9, 0), (SQUARE, 0.5, 0)]])[1]
    other = broken_down(truth, [[(wrong_wide, 0.9, 0), (SQUARE, 0.5, 0)]])[1]
    assert same["by_aspect"]["value"][0] == pytest.approx(0.5)
    assert other["by_aspect"]["value"][0] == pytest.approx(1.0)
    assert np.isnan(other["by_aspect"]["value"][1:]).all()


def test_aspects_of_boxes():
    boxes = np.array([[0, 0, 2, 4], [0, 0, 9, 3], [1, 1, 5, 5], [0, 0, 3, 0], [0, 0, 0, 0]], float)
    assert aspects(boxes).tolist() == [2.0, 3.0, 1.0, math.inf, math.inf]


def test_sizes_and_classes_are_those_of_the_metrics_with_their_numbers():
    truth = [[(SQUARE, 0), ((0, 0, 50, 50), 1)], [((0, 0, 100, 100), 1), (SQUARE, 1)]]
    found = [[(SQUARE, 0.9, 0)], [((0, 0, 100, 90), 0.8, 1)]]
    metrics, details = broken_down(truth, found)
    assert details["by_size"]["group"] == ["small", "medium", "large"]
    assert details["by_size"]["count"] == [2, 1, 1]
    sizes = [metrics[f"AP_{size}"] for size in ("small", "medium", "large")]
    assert details["by_size"]["value"] == sizes == pytest.approx([0.5, 0.0, 0.9])
    assert details["by_class"]["group"] == ["a", "b"]
    assert details["by_class"]["count"].tolist() == [1, 3]
    assert details["by_class"]["value"] == [metrics["AP/a"], metrics["AP/b"]]


def test_precision_and_recall_by_hand():
    # IoU 0.62, then a miss, then an exact one: at 0.5 right, wrong, right; at 0.75 the last alone.
    truth = [[((0, 0, 10, 10), 0), (WIDE, 0)]]
    found = [[((0, 0, 10, 6.2), 0.9, 0), ((300, 0, 320, 20), 0.8, 0), (WIDE, 0.7, 0)]]
    curves = broken_down(truth, found)[1]["precision_recall"]
    low, high = curves["IoU 0.50"], curves["IoU 0.75"]
    assert low["x"].tolist() == pytest.approx([i / 100 for i in range(101)])
    assert low["y"].tolist() == pytest.approx([1.0] * 51 + [2 / 3] * 50)
    assert high["y"].tolist() == pytest.approx([1 / 3] * 51 + [0.0] * 50)


def test_localisation_by_hand():
    # IoU 1, 0.8 and 0.62; one detection matches nothing, and one object is not found.
    truth = [[((0, 0, 10, 10), 0), ((50, 0, 60, 10), 0)], [((0, 0, 10, 10), 1), (WIDE, 1)]]
    found = [
        [((0, 0, 10, 10), 0.9, 0), ((50, 0, 60, 6.2), 0.3, 0)],
        [((0, 0, 10, 8), 0.9, 1), ((200, 200, 210, 210), 0.2, 1)],
    ]
    found = broken_down(truth, found)[1]["localisation"]
    assert (found["matched"], found["objects"]) == (3, 4)
    assert found["mean"] == pytest.approx((1 + 0.8 + 0.62) / 3)
    places = {round(float(found["edges"][i]), 3): n for i, n in enumerate(found["count"]) if n}
    assert places == {0.6: 1, 0.8: 1, 0.975: 1}
    assert len(found["count"]) == len(found["edges"]) - 1 == 20


def test_calibration_by_hand():
    truth = [[(SQUARE, 0)], [(WIDE, 1)]]
    found = [
        [(SQUARE, 0.95, 0), (SQUARE, 0.91, 0), (SQUARE, 0.35, 1)],
        [(WIDE, 0.3, 1), (TALL, 1.0, 1)],
    ]
    found = broken_down(truth, found)[1]["calibration"]
    assert found["count"].tolist() == [0, 0, 0, 2, 0, 0, 0, 0, 0, 3]
    assert found["confidence"][[3, 9]] == pytest.approx([0.325, 2.86 / 3])
    assert found["accuracy"][[3, 9]] == pytest.approx([1 / 2, 1 / 3])
    assert found["ece"] == pytest.approx((2 * 0.175 + 3 * (2.86 / 3 - 1 / 3)) / 5)


@pytest.mark.parametrize("found", [[[], []], [[(TALL, 0.5, 1)], []]])
def test_nothing_found_has_zeros_and_no_score_but_its_own(found):
    metrics, details = broken_down([[(SQUARE, 0)], [(WIDE, 0)]], found)
    assert metrics["AP"] == 0.0
    assert details["by_iou"]["y"].tolist() == [0.0] * 10
    assert details["by_aspect"]["value"].tolist()[:2] == [0.0, 0.0]
    assert math.isnan(details["by_aspect"]["value"][2])
    assert details["localisation"]["matched"] == 0
    assert math.isnan(details["localisation"]["mean"])
    assert details["calibration"]["count"].sum() == sum(map(len, found))
    assert math.isnan(details["calibration"]["ece"]) == (not any(found))


def test_without_any_object_all_is_nan():
    metrics, details = broken_down([[]], [[(SQUARE, 0.5, 0)]])
    assert math.isnan(metrics["AP"])
    assert np.isnan(details["by_iou"]["y"]).all()
    assert np.isnan(details["by_aspect"]["value"]).all()
    assert details["calibration"]["accuracy"][5] == 0.0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_parts_agree_with_the_whole_and_with_a_second_count(seed):
    draws = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(8):
        n = int(draws.integers(0, 5))
        corner, side = draws.uniform(0, 90, (n, 2)), draws.uniform(6, 60, (n, 2))
        boxes = np.hstack([corner, corner + side])
        truth.append([(tuple(b), int(draws.integers(0, 2))) for b in boxes])
        moved = np.vstack([boxes + draws.normal(0, 3, (n, 4)) for _ in range(2)])
        found.append([(tuple(b), draws.random(), int(draws.integers(0, 2))) for b in moved])
    metrics, details = broken_down(truth, found)
    assert 0.02 < metrics["AP"] < 0.9
    assert np.mean(details["by_iou"]["y"]) == pytest.approx(metrics["AP"], abs=1e-12)
    assert details["by_iou"]["y"][[0, 5]] == pytest.approx([metrics["AP50"], metrics["AP75"]])
    curves = details["precision_recall"]
    assert np.mean(curves["IoU 0.50"]["y"]) == pytest.approx(metrics["AP50"], abs=1e-12)
    assert np.mean(curves["IoU 0.75"]["y"]) == pytest.approx(metrics["AP75"], abs=1e-12)
    objects = sum(map(len, truth))
    for name in ("by_size", "by_aspect", "by_class"):
        assert np.sum(details[name]["count"]) == objects == details["localisation"]["objects"]
    detections = sum(map(len, found))
    calibration = details["calibration"]
    assert calibration["count"].sum() == detections
    right = np.nansum(calibration["accuracy"] * calibration["count"])
    assert right == pytest.approx(details["localisation"]["matched"])
    assert details["localisation"]["count"].sum() == details["localisation"]["matched"]
    scores = [score for image in found for _, score, _ in image]
    assert np.nansum(calibration["confidence"] * calibration["count"]) == pytest.approx(sum(scores))
