"""Matching of detections and objects, worked out by hand and against COCO's own evaluation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmark.report.matching import match

A, B = [0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]


def test_best_score_takes_the_object_and_the_other_detection_is_wrong() -> None:
    found = match([A, B], [0, 0], [[0, 0, 10, 10], [0, 0, 10, 9]], [0.8, 0.9], [0, 0])
    assert found.found == [-1, 0]
    assert found.iou[1] == pytest.approx(0.9)
    assert math.isnan(found.iou[0])
    assert found.missed == [1]


def test_class_must_be_right() -> None:
    found = match([A], [1], [A], [0.9], [0])
    assert (found.found, found.missed) == ([-1], [0])


@pytest.mark.parametrize(("height", "hit"), [(5.0, True), (4.9, False)])
def test_threshold_counts_as_a_match(height: float, hit: bool) -> None:
    assert match([A], [0], [[0, 0, 10, height]], [0.9], [0]).found == [0 if hit else -1]


def test_detection_takes_the_object_that_it_overlaps_most() -> None:
    near = [0.0, 0.0, 10.0, 9.0]
    assert match([near, A], [0, 0], [A], [0.9], [0]).found == [1]


def test_no_detections_or_no_objects() -> None:
    assert match([A], [0], [], [], []).missed == [0]
    assert match([], [], [A], [0.5], [0]).found == [-1]


EVERY = [0, 1e10]  # COCO's range of all areas
CORNER = st.integers(0, 12)
BOX = st.tuples(CORNER, CORNER, st.integers(3, 9), st.integers(3, 9))


@given(
    st.lists(st.tuples(BOX, st.integers(0, 1)), min_size=1, max_size=5),
    st.lists(st.tuples(BOX, st.integers(0, 1)), min_size=1, max_size=6),
)
def test_as_many_right_as_in_cocos_evaluation(truth: list, detections: list) -> None:
    def corners(rows: list) -> list[list[float]]:
        return [[x, y, x + w, y + h] for (x, y, w, h), _ in rows]

    scores = [1 / (k + 1) for k in range(len(detections))]
    found = match(
        corners(truth), [c for _, c in truth], corners(detections), scores,
        [c for _, c in detections],
    )  # fmt: skip
    coco = COCO()
    coco.dataset = {
        "images": [{"id": 1}],
        "categories": [{"id": 0}, {"id": 1}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": c, "bbox": list(box), "iscrowd": 0}
            | {"area": box[2] * box[3]}
            for i, (box, c) in enumerate(truth, start=1)
        ],
    }
    coco.createIndex()
    rows = [[1, *box, score, c] for (box, c), score in zip(detections, scores, strict=True)]
    evaluation = COCOeval(coco, coco.loadRes(np.array(rows, dtype=float)), "bbox")
    evaluation.params.iouThrs = np.array([0.5])
    evaluation.evaluate()
    images = [image for image in evaluation.evalImgs if image and image["aRng"] == EVERY]
    expected = sum(int((image["dtMatches"] > 0).sum()) for image in images)
    assert sum(place >= 0 for place in found.found) == expected
