from __future__ import annotations

import math

import pytest
import torch

from benchmark.simulation.descent import ExactSlope, descend
from benchmark.simulation.experiment import follow, start_boxes
from benchmark.simulation.protocol import FULL
from benchmark.simulation.published import PUBLISHED
from losses import get

# The case of test_descent: IoU .2, derivatives -.4, -.08 by x1, x2 and -.32, .32 by y1, y2.
START, TARGET = [10.5, 10.0, 1.0, 0.5], [10.0, 10.0, 1.0, 1.0]


def close(got, expected):
    torch.testing.assert_close(got[:, 0], torch.tensor(expected).double(), atol=1e-6, rtol=0)


def test_iou_by_hand(make_boxes):
    close(PUBLISHED["iou"](make_boxes([START], [TARGET])), [0.48, 0, -0.32, -0.64])


def test_iou_of_boxes_apart_has_no_slope(make_boxes):
    boxes = make_boxes([[12, 10.1, 1, 1], [12, 12, 1, 1]], [TARGET] * 2)
    assert not PUBLISHED["iou"](boxes).any()


def test_giou_of_boxes_apart_by_hand(make_boxes):
    # Prediction x 12..13, y 11..12; target x 9..11, y 9..10. "Intersection" -1 x -1: area 1.
    # Union 1 + 2 - 1 = 2 (3 would be right), hull 4 x 3 = 12, its derivatives by x2 and y2 3 and 4.
    # Derivatives of the union: x1 -1 - (+1) = -2 and y1 -2 (as its "intersection" by x1 is
    # -(-1) = 1), x2 and y2 1 (no side bounds the "intersection").
    # (12 · union' - 2 · hull') / 144: x1 and y1 -1/6, x2 (12 - 6) / 144 = 1/24,
    # y2 (12 - 8) / 144 = 1/36.
    boxes = make_boxes([[12.5, 11.5, 1, 1]], [[10, 9.5, 2, 1]])
    close(
        PUBLISHED["giou"](boxes),
        [1 / 6 - 1 / 24, 1 / 6 - 1 / 36, -1 / 24 - 1 / 6, -1 / 36 - 1 / 6],
    )


def test_diou_of_boxes_apart_by_hand(make_boxes):
    # Prediction x 12..13, y 9.6..10.4, target x 9.5..10.5, y 9.5..10.5: hull 3.5 x 1, c² = 13.25,
    # offset 2.5 in x, ρ² = 6.25. Only x2 moves the hull: with the sign the wrong way round and
    # both sides added up, 2·2.5/c² + 2·(3.5 + 1)·6.25/c⁴ in x, and in w half of that second part.
    boxes = make_boxes([[12.5, 10, 1, 0.8]], [TARGET])
    c = 13.25
    through = 2 * 4.5 * 6.25 / c**2
    close(PUBLISHED["diou"](boxes), [2 * 2.5 / c + through, 0, -through / 2, 0])


def test_diou_of_a_prediction_that_spans_the_target(make_boxes):
    # Prediction x 9..12, y 9.6..10.4; hull 3 x 1, c² = 10, ρ² = .25. The sides of the hull count
    # 3 · (-1) + 1 · 1 where 3 · 1 would be right: the slope in w is -2 · (-2) · .25 / 100.
    boxes = make_boxes([[10.5, 10, 3, 0.8]], [TARGET])
    distance = PUBLISHED["diou"](boxes) - PUBLISHED["iou"](boxes)
    close(distance, [2 * 0.5 / 10, 0, 0.01, 0])


def test_ciou_drops_the_denominator_of_the_angle(make_boxes):
    boxes = make_boxes([START], [TARGET])
    turn = math.atan(1) - math.atan(2)
    v = 4 / math.pi**2 * turn**2
    pull = v / (0.8 + v) * 8 / math.pi**2 * turn
    aspect = PUBLISHED["ciou"](boxes) - PUBLISHED["diou"](boxes)
    close(aspect, [0, 0, -pull * 0.5, pull])


@pytest.mark.parametrize("name", ["iou", "giou"])
def test_half_of_the_size_is_exact_where_the_boxes_overlap(make_boxes, name):
    starts = [START, [10.1, 10.2, 0.4, 0.3], [9.4, 9.2, 2.5, 1.7]]
    boxes = make_boxes(starts, [TARGET] * 3)
    slope = PUBLISHED[name](boxes)
    slope[2:] /= 2
    torch.testing.assert_close(slope, ExactSlope(get(name))(boxes), atol=1e-6, rtol=0)


SCRIPT = {"iou": (5.88, 0.02), "giou": (1.5, 0.05), "diou": (4e-3, 5e-4), "ciou": (4e-3, 5e-4)}
EXACT = {"iou": (5.88, 0.02), "giou": (0.029, 2e-3), "diou": (0.052, 3e-3), "ciou": (7e-3, 1e-3)}
CORNERS = {"giou": (1.8, 0.07), "diou": (1.7, 0.07), "ciou": (1.38, 0.07)}
"""Final errors in millions, and what 48 centres instead of 5,000 may miss them by."""
RUNS = [
    *((name, PUBLISHED[name], *row) for name, row in SCRIPT.items()),
    *((name, ExactSlope(get(name)), *row) for name, row in EXACT.items()),
    *((name, ExactSlope(get(name), "xyxy"), *row) for name, row in CORNERS.items()),
]


@pytest.mark.parametrize(("name", "slope", "millions", "tolerance"), RUNS)
def test_the_known_final_errors(sunflower, name, slope, millions, tolerance):
    course = follow(start_boxes(sunflower(48), "cpu"), slope)
    scale = FULL / (48 * 343) / 1e6
    assert course.error[0] * scale == pytest.approx(6.65, abs=0.01)
    assert course.error[-1] * scale == pytest.approx(millions, abs=tolerance)
    assert course.final.sum() == pytest.approx(course.error[-1])


def test_inverted_predictions_keep_finite_slopes(make_boxes):
    boxes = make_boxes([[10, 10, -0.2, 1], [10, 10, 1, -0.2], [11, 9, -1, -1]], [TARGET] * 3)
    for slope in PUBLISHED.values():
        assert slope(boxes).isfinite().all()
        assert len(list(descend(boxes, slope))) == 201
        assert boxes.state.isfinite().all()
