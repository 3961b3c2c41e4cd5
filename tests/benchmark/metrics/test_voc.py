"""Pascal VOC's AP: by hand, and against a plain loop over its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmark.metrics.detection import AveragePrecision
from benchmark.metrics.matching import Matches
from benchmark.metrics.voc import voc_ap


def matches(*rows: tuple[float, int, bool]) -> Matches:
    """Rows of (score, label, hit)."""
    score, label, first = (np.array(column) for column in zip(*rows, strict=True))
    return Matches(score, label, np.where(first, 1.0, np.nan), first)


def test_area_and_eleven_points_by_hand():
    # Right, wrong, right of three objects: precision 1 up to recall 1/3, 2/3 up to 2/3, then 0.
    found = matches((0.9, 0, True), (0.8, 0, False), (0.7, 0, True))
    objects = np.array([3])
    assert voc_ap(found, objects) == pytest.approx(1 / 3 + 2 / 3 / 3)
    # Recalls 0 to 0.3 have precision 1, 0.4 to 0.6 have 2/3.
    assert voc_ap(found, objects, points=11) == pytest.approx((4 + 3 * 2 / 3) / 11)


def test_precision_is_the_best_at_a_recall_or_more():
    # Precision 0, 1/2, 2/3: 2/3 everywhere.
    found = matches((0.9, 0, False), (0.8, 0, True), (0.7, 0, True))
    assert voc_ap(found, np.array([2])) == pytest.approx(2 / 3)
    assert voc_ap(found, np.array([2]), points=11) == pytest.approx(2 / 3)


def test_a_recall_that_is_reached_exactly_counts():
    found = matches(*[(0.9 - i / 100, 0, True) for i in range(3)])
    assert voc_ap(found, np.array([10]), points=11) == pytest.approx(4 / 11)
    assert voc_ap(found, np.array([10])) == pytest.approx(0.3)


def test_mean_of_the_classes_that_have_objects():
    found = matches((0.9, 0, True), (0.8, 2, True), (0.7, 1, False))
    assert voc_ap(found, np.array([1, 1, 0])) == pytest.approx(0.5)
    assert math.isnan(voc_ap(found, np.array([0, 0, 0])))


def overlap(one: np.ndarray, two: np.ndarray) -> float:
    width, height = np.minimum(one[2:], two[2:]) - np.maximum(one[:2], two[:2])
    common = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, two)]
    return common / (sum(areas) - common)


def plain_voc(true, found, year):
    """AP of one class by the development kit's rules, without its extra pixel.

    ``true`` holds (image, box), ``found`` (score, image, box).
    """
    taken = [False] * len(true)
    hits = []
    for _, image, box in sorted(found, key=lambda row: -row[0]):
        best, where = -1.0, -1
        for i, (at, other) in enumerate(true):
            if at == image and overlap(box, other) > best:
                best, where = overlap(box, other), i
        hits.append(best >= 0.5 and not taken[where])
        if best >= 0.5:
            taken[where] = True
    recall, precision = [0.0], [0.0]
    for n in range(1, len(hits) + 1):
        recall.append(sum(hits[:n]) / len(true))
        precision.append(sum(hits[:n]) / n)
    if year == 2007:
        wanted = [i / 10 for i in range(11)]
        points = [
            max([p for r, p in zip(recall, precision, strict=True) if r >= t], default=0.0)
            for t in wanted
        ]
        return sum(points) / 11
    area = 0.0
    for n in range(1, len(recall)):
        area += (recall[n] - recall[n - 1]) * max(precision[n:])
    return area


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_agrees_with_a_plain_loop(seed):
    draws = np.random.default_rng(seed)
    boxes, labels, guesses, guessed, scores = [], [], [], [], []
    for _ in range(8):
        n = int(draws.integers(0, 6))
        corner, side = draws.uniform(0, 40, (n, 2)), draws.uniform(8, 40, (n, 2))
        boxes.append(np.hstack([corner, corner + side]))
        labels.append(draws.integers(0, 2, n))
        guesses.append(np.vstack([boxes[-1] + draws.normal(0, 3, (n, 4)) for _ in range(2)]))
        guessed.append(np.where(draws.random(2 * n) < 0.8, np.tile(labels[-1], 2), 1))
        scores.append(draws.random(2 * n))
    found = AveragePrecision(boxes, labels, ["a", "b"])(guesses, scores, guessed)
    values = {2007: [], 2010: []}
    for c in range(2):
        true = [(i, b) for i in range(8) for b in boxes[i][labels[i] == c]]
        rows = [
            (s, i, b)
            for i in range(8)
            for s, b, label in zip(scores[i], guesses[i], guessed[i], strict=True)
            if label == c
        ]
        for year, some in values.items():
            some.append(plain_voc(true, rows, year))
    assert 0.1 < np.mean(values[2010]) < 0.95
    assert found["AP50_voc"] == pytest.approx(np.mean(values[2010]), abs=1e-12)
    assert found["AP50_voc07"] == pytest.approx(np.mean(values[2007]), abs=1e-12)
