from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from benchmark.simulation.descent import Boxes, ExactSlope, descend
from benchmark.simulation.protocol import anchor_centres, cases, learning_rate
from benchmark.simulation.speed import PLAIN, plain_descent
from losses import BOX, BoxLoss, get
from losses.base import Space

# Prediction x 10..11, y 9.75..10.25; target x 9.5..10.5, y 9.5..10.5: intersection .5 x .5,
# union .5 + 1 - .25, IoU .2. Derivatives of the IoU by x1, x2, y1, y2: -.5/1.25 = -.4,
# -.25*.5/1.5625 = -.08, -.32 and .32.
START, TARGET = [10.5, 10.0, 1.0, 0.5], [10.0, 10.0, 1.0, 1.0]


def close(got: torch.Tensor, expected: list[list[float]]) -> None:
    torch.testing.assert_close(got, torch.tensor(expected, dtype=got.dtype).t(), atol=1e-6, rtol=0)


def test_corners_iou_and_errors_by_hand(make_boxes):
    boxes = make_boxes([START, [10, 10, 2, 2], [20, 10, 1, 1]], [TARGET] * 3)
    close(boxes.corners, [[10, 9.75, 11, 10.25], [9, 9, 11, 11], [19.5, 9.5, 20.5, 10.5]])
    torch.testing.assert_close(boxes.iou, torch.tensor([0.2, 0.25, 0]).double())
    close(boxes.errors(), [[0.5, 0, 0, 0.5], [0, 0, 1, 1], [10, 0, 0, 0]])


@pytest.mark.parametrize("size", [(-1.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (0.0, 0.0)])
def test_inverted_and_flat_boxes_have_iou_0(make_boxes, size):
    boxes = make_boxes([[10, 10, *size]], [TARGET])
    assert boxes.iou.tolist() == [0]


@pytest.mark.parametrize(
    ("along", "slope", "after"),
    [
        ("cxcywh", [0.48, 0, -0.16, -0.32], [10.4136, 10, 1.0288, 0.5576]),
        ("xyxy", [0.24, 0, -0.32, -0.64], [10.4568, 10, 1.0576, 0.6152]),
    ],
)
def test_one_step_of_iou_by_hand(make_boxes, along, slope, after):
    boxes = make_boxes([START], [TARGET])
    got = ExactSlope(get("iou"), along)(boxes)
    close(got, [slope])
    boxes.move(got, 0.1)  # 0.1 · (2 - 0.2) = 0.18
    close(boxes.state, [after])


STATELESS = sorted(
    name
    for name in BOX
    if name != "sum" and not get(name).depends_on_batch and not get(name).stops_gradient
)


@pytest.mark.parametrize("name", STATELESS)
def test_slope_is_the_derivative_by_centre_and_size(make_boxes, name):
    starts = [
        [10.45, 10.1, 1, 0.6],
        [11.3, 8.6, 0.6, 1.9],
        [10.1, 10.2, 0.4, 0.3],
        [9.9, 9.8, 2.5, 1.7],
    ]
    loss = get(name)
    got = ExactSlope(loss)(make_boxes(starts, [TARGET] * 4))
    step = 1e-6
    for row in range(4):
        ends = []
        for sign in (1, -1):
            boxes = make_boxes(starts, [TARGET] * 4)
            boxes.state[row] += sign * step
            boxes.measure()
            deltas = loss.space == "deltas"
            seen = (boxes.state, boxes.target) if deltas else (boxes.corners, boxes.target_corners)
            ends.append(loss(seen[0].t(), seen[1].t()))
        expected = (ends[0] - ends[1]) / (2 * step)
        torch.testing.assert_close(got[row], expected, atol=1e-6, rtol=1e-5)


def test_steps_along_corners_are_plain_descent_on_the_corners(make_boxes):
    boxes = make_boxes([START, [11.3, 8.6, 0.6, 1.9]], [TARGET] * 2)
    loss = get("giou")
    pred = boxes.corners.t().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(pred, boxes.target_corners.t()).sum(), pred)
    expected = pred.detach() - 0.1 * (2 - boxes.iou)[:, None] * gradient
    boxes.move(ExactSlope(loss, "xyxy")(boxes), 0.1)
    boxes.measure()
    torch.testing.assert_close(boxes.corners.t(), expected)


def test_losses_of_deltas_see_what_is_descended(make_boxes):
    boxes = make_boxes([START], [TARGET])
    close(ExactSlope(get("l2"))(boxes), [[1.0, 0, 0, -1.0]])
    # Corners differ by .5, .25, .5, -.25; the slope in them is twice that.
    close(ExactSlope(get("l2"), "xyxy")(boxes), [[1.0, 0, 0, -1.0]])


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_a_descent_agrees_with_autograd_through_torchvisions_loss(name):
    start, target = cases(anchor_centres(3, seed=0))
    final, errors = plain_descent(PLAIN[name], start.t().clone(), target.t().clone())
    boxes = Boxes(start, target)
    ours = torch.stack([boxes.errors().sum() for _ in descend(boxes, ExactSlope(get(name)))])
    assert len(errors) == 201
    # Later, single boxes part at kinks of the loss; the sums stay together.
    torch.testing.assert_close(ours[:30], errors[:30], rtol=1e-5, atol=0)
    torch.testing.assert_close(ours, errors, rtol=0.05, atol=0)
    assert (boxes.state.t() - final).abs().median() < 1e-5


def test_descend_counts_its_steps_and_changes_its_rate(make_boxes):
    boxes = make_boxes([[20, 10, 1, 1]], [TARGET])  # far off: IoU 0, so a step is 2 · rate
    places = []
    for step in descend(boxes, lambda boxes: torch.ones_like(boxes.state)):
        assert step == len(places)
        places.append(boxes.state[0].item())
    assert np.diff(places) == pytest.approx([-2 * learning_rate(k) for k in range(1, 201)])


@dataclass(frozen=True, kw_only=True)
class Blind(BoxLoss):
    """Gives no finite gradient to boxes right of 10.8."""

    space: ClassVar[Space] = "boxes"

    def compute(self, pred, target):
        middle = pred[:, 0] + pred[:, 2]
        return torch.where(middle > 21.6, torch.nan, 1.0) * pred.sum(1)


def test_a_case_without_a_finite_gradient_stays_and_harms_no_other(make_boxes):
    boxes = make_boxes([[11, 10, 1, 1], START], [TARGET] * 2)
    for _ in descend(boxes, ExactSlope(Blind())):
        pass
    close(boxes.state[:, :1], [[11, 10, 1, 1]])
    assert boxes.state[0, 1] < 0
