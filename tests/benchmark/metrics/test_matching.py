"""Which detection hits which object: by hand, and as pycocotools itself recorded it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.metrics.detection import AveragePrecision
from benchmark.metrics.matching import match

WIDE = (0.0, 0.0, 10.0, 10.0)


def evaluated(truth, found, classes=("a",)):
    """Images as lists of (box, label) and (box, score, label)."""
    metric = AveragePrecision(
        [np.array([row[0] for row in image], float).reshape(-1, 4) for image in truth],
        [np.array([row[1] for row in image], np.int64) for image in truth],
        list(classes),
    )
    return metric.evaluate(
        [np.array([row[0] for row in image], float).reshape(-1, 4) for image in found],
        [np.array([row[1] for row in image], float) for image in found],
        [np.array([row[2] for row in image], np.int64) for image in found],
    )


def test_the_second_on_an_object_goes_to_the_next_one_in_coco_and_is_false_in_voc():
    # Two objects, 10 and 9 high; both detections overlap the first one more.
    truth = [[(WIDE, 0), ((0, 1, 10, 10), 0)]]
    found = [[(WIDE, 0.9, 0), ((0, 0.2, 10, 10), 0.8, 0)]]
    matches = match(evaluated(truth, found))
    assert matches.score.tolist() == [0.9, 0.8]
    assert matches.iou.tolist() == pytest.approx([1.0, 9 / 9.8])
    assert matches.first.tolist() == [True, False]
    assert matches.hit.tolist() == [True, True]
    assert matches.mean_iou() == pytest.approx((1 + 9 / 9.8) / 2)


def test_order_is_by_image_class_and_score_with_equal_ones_as_given():
    found = [
        [(WIDE, 0.3, 1), ((0, 0, 10, 8), 0.5, 0), (WIDE, 0.5, 0)],
        [(WIDE, 0.9, 0)],
    ]
    matches = match(evaluated([[(WIDE, 0)], []], found, ("a", "b")))
    assert matches.score.tolist() == [0.5, 0.5, 0.3, 0.9]
    assert matches.label.tolist() == [0, 0, 1, 0]
    assert matches.iou[0] == pytest.approx(0.8)
    assert np.isnan(matches.iou[1:]).all()
    assert matches.first.tolist() == [True, False, False, False]


def test_an_overlap_of_a_half_hits_and_less_does_not():
    truth = [[(WIDE, 0), ((100, 0, 110, 10), 0)]]
    found = [[((0, 0, 10, 5), 0.5, 0), ((100, 0, 110, 4.99), 0.4, 0)]]
    matches = match(evaluated(truth, found))
    assert matches.first.tolist() == matches.hit.tolist() == [True, False]


def test_only_the_best_hundred_of_an_image_and_class_count():
    found = [[(WIDE, 0.01, 0)] + [((50, 50, 60, 60), 0.5, 0)] * 100 + [(WIDE, 0.02, 1)]]
    matches = match(evaluated([[(WIDE, 0), (WIDE, 1)]], found, ("a", "b")))
    assert len(matches.score) == 101
    assert matches.hit.sum() == 1
    assert matches.label[matches.hit].tolist() == [1]


def test_nothing_found():
    matches = match(evaluated([[(WIDE, 0)], []], [[], []]))
    assert len(matches.score) == len(matches.iou) == len(matches.first) == 0
    assert math.isnan(matches.mean_iou())


sides = st.integers(0, 6)
boxes = st.tuples(sides, sides, st.integers(2, 8), st.integers(2, 8)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
labels = st.integers(0, 1)
truths = st.lists(st.tuples(boxes, labels), max_size=5)
founds = st.lists(st.tuples(boxes, st.sampled_from([0.2, 0.5, 0.9]), labels), max_size=8)


@settings(max_examples=50)
@given(st.lists(st.tuples(truths, founds), min_size=1, max_size=3))
def test_they_are_those_that_pycocotools_made(images):
    evaluation = evaluated([t for t, _ in images], [f for _, f in images], ("a", "b"))
    matches = match(evaluation)
    recorded = [row for row in evaluation.evalImgs if row and row["aRng"] == [0, 1e10]]
    recorded.sort(key=lambda row: (row["image_id"], row["category_id"]))
    assert matches.score.tolist() == [score for row in recorded for score in row["dtScores"]]
    hits = [bool(thing) for row in recorded for thing in row["dtMatches"][0]]
    assert matches.hit.tolist() == hits
    overlaps = []
    for row in recorded:
        table = evaluation.ious[row["image_id"], row["category_id"]]
        for d, thing in enumerate(row["dtMatches"][0]):
            overlaps.append(table[d][row["gtIds"].index(thing)] if thing else math.nan)
    np.testing.assert_array_equal(matches.iou, overlaps)
    # VOC asks more of a hit than COCO: never are there more of them.
    assert matches.first.sum() <= matches.hit.sum()
