"""AP on cases worked by hand, and against a second, plain computation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmark.metrics.detection import METRICS, AveragePrecision
from benchmark.metrics.engines import ENGINES
from benchmark.metrics.rle import encode

Row = tuple[float, float, float, float]


def truth(*images: list[tuple[Row, int]], classes: tuple[str, ...] = ("a",)) -> AveragePrecision:
    """Images as lists of (box, label)."""
    return AveragePrecision(
        [np.array([box for box, _ in image], float).reshape(-1, 4) for image in images],
        [np.array([label for _, label in image], np.int64) for image in images],
        list(classes),
    )


def measure(metric: AveragePrecision, *images: list[tuple[Row, float, int]]) -> dict[str, float]:
    """Images as lists of (box, score, label)."""
    return metric(
        [np.array([box for box, _, _ in image], float).reshape(-1, 4) for image in images],
        [np.array([score for _, score, _ in image], float) for image in images],
        [np.array([label for _, _, label in image], np.int64) for image in images],
    )


BOX = (10.0, 10.0, 20.0, 20.0)
FAR = (50.0, 50.0, 60.0, 60.0)


def test_a_perfect_detection_has_ap_one():
    found = measure(truth([(BOX, 0)]), [(BOX, 0.3, 0)])
    for name in ("AP", "AP50", "AP75", "AP_small", "AR1", "AR10", "AR100", "AP/a"):
        assert found[name] == pytest.approx(1.0)
    assert math.isnan(found["AP_medium"])
    assert math.isnan(found["AP_large"])
    assert set(found) == {*METRICS, "AP/a"}


def test_a_false_positive_above_the_true_one_halves_the_precision():
    found = measure(truth([(BOX, 0)]), [(FAR, 0.9, 0), (BOX, 0.3, 0)])
    assert found["AP"] == pytest.approx(0.5)
    assert found["AR1"] == 0.0
    assert found["AR10"] == pytest.approx(1.0)


def test_a_false_positive_below_the_true_one_costs_nothing():
    assert measure(truth([(BOX, 0)]), [(FAR, 0.2, 0), (BOX, 0.3, 0)])["AP"] == pytest.approx(1.0)


def test_scores_are_compared_across_images():
    found = measure(truth([(BOX, 0)], []), [(BOX, 0.3, 0)], [(BOX, 0.9, 0)])
    assert found["AP"] == pytest.approx(0.5)


def test_a_second_detection_of_the_same_object_is_false():
    found = measure(truth([(BOX, 0)], [(FAR, 0)]), [(BOX, 0.9, 0), (BOX, 0.8, 0)], [(FAR, 0.1, 0)])
    # True, false, true: precision 1 up to recall 1/2 (51 of the 101 points), then 2/3.
    assert found["AP"] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_an_overlap_of_62_percent_counts_at_three_of_ten_thresholds():
    found = measure(truth([((0, 0, 10, 10), 0)]), [((0, 0, 10, 6.2), 0.5, 0)])
    assert found["AP"] == pytest.approx(0.3)
    assert found["AP50"] == pytest.approx(1.0)
    assert found["AP75"] == 0.0


def test_half_of_the_objects_found():
    found = measure(truth([(BOX, 0), (FAR, 0)]), [(BOX, 0.5, 0)])
    assert found["AP"] == pytest.approx(51 / 101)
    assert found["AR100"] == pytest.approx(0.5)


@pytest.mark.parametrize("images", [1, 3])
def test_no_detections_have_ap_zero(images):
    metric = truth(*[[(BOX, 0)]] * images, classes=("a", "b"))
    found = measure(metric, *[[]] * images)
    assert found["AP"] == found["AP50"] == found["AR100"] == found["AP/a"] == 0.0
    assert math.isnan(found["AP/b"])
    assert math.isnan(found["AP_large"])


def test_no_detections_where_the_first_class_is_absent():
    found = measure(truth([(BOX, 1)], classes=("a", "b")), [])
    assert math.isnan(found["AP/a"])
    assert found["AP/b"] == found["AP"] == 0.0


def test_a_class_without_objects_is_nan_and_not_in_the_mean():
    metric = truth([(BOX, 0)], classes=("a", "b"))
    found = measure(metric, [(BOX, 0.5, 0), (FAR, 0.9, 1)])
    assert found["AP"] == pytest.approx(1.0)
    assert math.isnan(found["AP/b"])


def test_without_any_object_all_is_nan():
    found = measure(truth([]), [(BOX, 0.5, 0)])
    assert all(math.isnan(value) for value in found.values())


def test_ap_is_the_mean_of_the_classes():
    metric = truth([(BOX, 0), (FAR, 1)], classes=("a", "b"))
    found = measure(metric, [(BOX, 0.5, 0), (BOX, 0.9, 1)])
    assert found["AP/a"] == pytest.approx(1.0)
    assert found["AP/b"] == 0.0
    assert found["AP"] == pytest.approx(0.5)


def test_a_right_box_of_the_wrong_class_is_no_hit():
    found = measure(truth([(BOX, 0)], classes=("a", "b")), [(BOX, 0.5, 1)])
    assert found["AP"] == 0.0


def test_sizes_are_told_apart_at_32_and_96_pixels():
    small, medium, large = (0, 0, 31, 31), (100, 0, 195, 95), (0, 200, 97, 297)
    metric = truth([(small, 0), (medium, 0), (large, 0)])
    found = measure(metric, [(large, 0.9, 0), (medium, 0.8, 0)])
    assert found["AP_large"] == pytest.approx(1.0)
    assert found["AP_medium"] == pytest.approx(1.0)
    assert found["AP_small"] == 0.0


@pytest.mark.parametrize("engine", ENGINES)
def test_masks_by_hand_with_sizes_in_pixels_of_the_original(engine):
    # 20 x 20 pixels at half the size of the original: 40², medium; at full size small. The box is
    # that of the whole picture and says nothing.
    def square(left, width):
        mask = np.zeros((1, 50, 50), np.uint8)
        mask[0, 5:25, left : left + width] = 1
        return encode(mask)

    whole, label = np.array([[0.0, 0, 100, 100]]), np.array([0])
    truth = [whole, whole], [label, label], ["a"]
    metric = AveragePrecision(
        *truth, engine, masks=[square(5, 20), square(5, 20)], pixel_area=[4.0, 1.0]
    )
    assert metric.areas.tolist() == [1600.0, 400.0]
    scores = [np.array([0.9]), np.array([0.8])]
    # IoU 16 / 20 with the first, 1 with the second.
    found = metric([whole] * 2, scores, [label] * 2, [square(5, 16), square(5, 20)])
    assert found["AP_medium"] == pytest.approx(0.7)
    assert found["AP_small"] == pytest.approx(1.0)
    assert math.isnan(found["AP_large"])
    assert found["IoU_matched"] == pytest.approx(0.9)
    assert found["AP50_voc"] == pytest.approx(1.0)


def test_a_metric_can_be_used_again():
    metric = truth([(BOX, 0)])
    assert measure(metric, [(FAR, 0.5, 0)])["AP"] == 0.0
    assert measure(metric, [(BOX, 0.5, 0)])["AP"] == pytest.approx(1.0)


def test_nothing_is_printed(capsys):
    measure(truth([(BOX, 0)]), [(BOX, 0.5, 0)])
    assert capsys.readouterr().out == ""


def overlap(one: np.ndarray, two: np.ndarray) -> float:
    width, height = np.minimum(one[2:], two[2:]) - np.maximum(one[:2], two[:2])
    common = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, two)]
    return common / (sum(areas) - common)


def plain_ap(true: list[tuple[int, np.ndarray]], found: list[tuple], threshold: float) -> float:
    """AP of one class at one threshold, from its definition.

    ``true`` holds (image, box), ``found`` (score, image, box). Each detection, the best first,
    takes the free object of its image that it overlaps most.
    """
    free = list(true)
    hits = []
    for _, image, box in sorted(found, key=lambda row: -row[0]):
        near = [(overlap(box, b), i) for i, (at, b) in enumerate(free) if at == image]
        best, where = max(near, default=(0.0, -1))
        hits.append(best >= threshold)
        if hits[-1]:
            free.pop(where)
    tp = np.cumsum(hits)
    precision, recall = tp / np.arange(1, len(tp) + 1), tp / len(true)
    points = [precision[recall >= r].max(initial=0.0) for r in np.linspace(0, 1, 101)]
    return float(np.mean(points))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_agrees_with_a_plain_computation(seed):
    draws = np.random.default_rng(seed)
    boxes, labels, guesses, guessed, scores = [], [], [], [], []
    for _ in range(6):
        n = int(draws.integers(0, 5))
        corner, side = draws.uniform(0, 60, (n, 2)), draws.uniform(8, 40, (n, 2))
        boxes.append(np.hstack([corner, corner + side]))
        labels.append(draws.integers(0, 2, n))
        moved = np.vstack([boxes[-1] + draws.normal(0, 2, (n, 4)) for _ in range(2)])
        guesses.append(moved)
        guessed.append(np.where(draws.random(2 * n) < 0.8, np.tile(labels[-1], 2), 1))
        scores.append(draws.random(2 * n))
    found = AveragePrecision(boxes, labels, ["a", "b"])(guesses, scores, guessed)
    thresholds = np.linspace(0.5, 0.95, 10)
    table = np.zeros((10, 2))
    for c in range(2):
        true = [(i, b) for i in range(6) for b in boxes[i][labels[i] == c]]
        rows = [
            (s, i, b)
            for i in range(6)
            for s, b, label in zip(scores[i], guesses[i], guessed[i], strict=True)
            if label == c
        ]
        table[:, c] = [plain_ap(true, rows, t) for t in thresholds]
    assert 0.05 < table.mean() < 0.95
    assert found["AP"] == pytest.approx(table.mean(), abs=1e-9)
    assert found["AP50"] == pytest.approx(table[0].mean(), abs=1e-9)
    assert found["AP75"] == pytest.approx(table[5].mean(), abs=1e-9)
    assert found["AP/a"] == pytest.approx(table[:, 0].mean(), abs=1e-9)
    assert found["AP/b"] == pytest.approx(table[:, 1].mean(), abs=1e-9)
