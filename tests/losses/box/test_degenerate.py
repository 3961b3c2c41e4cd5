"""Boxes that plain formulas fail on: flat, inverted, disjoint, huge."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import losses

TARGET = torch.tensor([[10.0, 20.0, 50.0, 60.0]])


def gradient(loss, box, target=TARGET):
    pred = torch.tensor([box], dtype=torch.float32, requires_grad=True)
    return torch.autograd.grad(loss(pred, target).sum(), pred)[0][0]


FLAT = {
    "point at the centre": [30, 40, 30, 40],
    "point inside": [20, 30, 20, 30],
    "point outside": [200, 90, 200, 90],
    "no width": [30, 25, 30, 55],
    "no height": [15, 40, 45, 40],
}
INVERTED = {
    "both axes": [50, 60, 10, 20],
    "one axis": [50, 20, 10, 60],
    "outside": [300, 200, 250, 150],
    "by far": [1e6, 1e6, -1e6, -1e6],
}


@pytest.mark.parametrize("box", FLAT.values(), ids=FLAT)
def test_flat_predictions_are_made_larger(iou_loss, box):
    slope = gradient(iou_loss, box)
    for low, high in ((0, 2), (1, 3)):
        if box[low] == box[high]:
            assert slope[high] < slope[low], "a step down the gradient must open this side"


@pytest.mark.parametrize("box", INVERTED.values(), ids=INVERTED)
def test_inverted_predictions_are_opened(iou_loss, box):
    slope = gradient(iou_loss, box)
    for low, high in ((0, 2), (1, 3)):
        if box[low] > box[high]:
            assert slope[high] < slope[low]


@pytest.mark.parametrize("start", [[50, 60, 10, 20], [80, 100, 70, 95], [30, 40, 30, 40]])
def test_descent_leads_from_inverted_and_flat_to_the_target(start):
    giou = losses.get("giou")
    pred = torch.tensor([start], dtype=torch.float32, requires_grad=True)
    optimiser = torch.optim.Adam([pred], lr=1.0)
    for _ in range(150):
        optimiser.zero_grad()
        giou(pred, TARGET).sum().backward()
        optimiser.step()
    assert giou(pred, TARGET).item() < 0.15


def test_inverted_costs_more_the_more_it_is_inverted(iou_loss):
    depth = torch.tensor([0.0, 1.0, 5.0, 19.0])[:, None]
    pred = torch.tensor([30.0, 25.0, 30.0, 55.0]) + depth * torch.tensor([1.0, 0, -1, 0])
    value = iou_loss(pred, TARGET.expand(4, 4))
    assert (value.diff() > 0).all()
    # 2 px and 10 px of inversion in a pair that is 40 px across.
    torch.testing.assert_close(value[2] - value[1], torch.tensor(8 / 40), atol=1e-5, rtol=0)


def test_the_swapped_target_is_no_match(iou_loss):
    assert iou_loss(TARGET[:, [2, 3, 0, 1]], TARGET).item() > 1


@pytest.mark.parametrize("name", ["giou", "diou", "ciou"])
def test_disjoint_boxes_are_drawn_together(name):
    slope = gradient(losses.get(name), [100, 100, 120, 130])
    # Target at smaller x and y: descent must move the box there.
    assert (slope[:2] + slope[2:] > 1e-4).all()


@pytest.mark.parametrize("form", ["linear", "log"])
def test_iou_of_disjoint_boxes_has_no_gradient(form):
    assert not gradient(losses.get("iou", form=form), [100, 100, 120, 130]).any()


def test_identical_boxes_cost_exactly_nothing(iou_loss):
    generator = torch.Generator().manual_seed(1)
    low, size = torch.rand(2, 200, 2, generator=generator) * 640
    boxes = torch.cat([low, low + size + 0.01], 1)
    assert iou_loss(boxes, boxes).abs().max() == 0


def test_small_boxes_far_from_the_origin_keep_their_precision(iou_loss):
    # Whole numbers below 2^24 are exact in float32, so the shift must not matter at all.
    pred, target = torch.tensor([[0.0, 0, 8, 6]]), torch.tensor([[2.0, 1, 9, 9]])
    assert iou_loss(pred + 2**22, target + 2**22).equal(iou_loss(pred, target))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_at_image_size(iou_loss, dtype):
    # Areas of 640 px boxes overflow float16.
    pred = torch.tensor([[0.0, 0, 640, 640], [8, 8, 8, 8], [512, 512, 0, 0]], dtype=dtype)
    target = torch.tensor([[16.0, 0, 640, 512]], dtype=dtype).expand(3, 4)
    pred.requires_grad_()
    value = iou_loss(pred, target)
    (slope,) = torch.autograd.grad(value.sum(), pred)
    assert value.dtype == torch.float32
    assert slope.dtype == dtype
    assert value.isfinite().all()
    assert slope.isfinite().all()
    torch.testing.assert_close(value, iou_loss(pred.float(), target.float()))


LIMIT = torch.finfo(torch.float32).max
coordinate = st.one_of(
    st.floats(-LIMIT, LIMIT, width=32),
    st.floats(-1000, 1000, width=32),
    st.integers(-4, 4).map(float),
)
four = st.lists(coordinate, min_size=4, max_size=4)


def assert_finite(loss, pred, target):
    leaf = torch.tensor([pred], dtype=torch.float32, requires_grad=True)
    value = loss(leaf, torch.tensor([target], dtype=torch.float32))
    (slope,) = torch.autograd.grad(value.sum(), leaf)
    assert value.isfinite().all()
    assert slope.isfinite().all()
    return value.item()


IOU_LOSSES = [
    losses.get("iou"),
    losses.get("iou", form="log"),
    losses.get("giou"),
    losses.get("diou"),
    losses.get("ciou"),
    losses.get("ciou", gate=True),
]


@given(pred=four, target=four)
@example(pred=[3000, 60, -1000, 30], target=[10, 20, 50, 60])
@example(pred=[LIMIT, LIMIT, -LIMIT, -LIMIT], target=[-LIMIT, -LIMIT, LIMIT, LIMIT])
@example(pred=[1e-45, 0, 0, 1e-45], target=[0, 0, 1e-45, 1e-45])
@settings(max_examples=300, deadline=None)
def test_any_finite_boxes_have_a_finite_loss_and_gradient(pred, target):
    # At most 1 for each of overlap, distance or gap, aspect ratio and two inverted axes; -ln IoU
    # reaches 7.91 instead of 1.
    for loss in IOU_LOSSES:
        highest = 9.92 if getattr(loss, "form", None) == "log" else 5.01
        assert -1e-5 <= assert_finite(loss, pred, target) <= highest


ordinary = st.tuples(*[st.floats(-100, 100), st.floats(-100, 100)] + [st.floats(0.5, 100)] * 2).map(
    lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
)


@given(pred=ordinary, target=ordinary)
@settings(max_examples=150, deadline=None)
def test_ordinary_boxes_lie_within_bounds(pred, target):
    iou, log, giou, diou, ciou, gated = (assert_finite(x, pred, target) for x in IOU_LOSSES)
    slack = 1e-5
    assert -slack <= iou <= 1 + slack
    assert iou - slack <= log <= 8
    assert iou - slack <= giou <= 2 + slack
    assert iou - slack <= diou <= 2 + slack
    assert diou - slack <= ciou <= 3 + slack
    assert diou - slack <= gated <= ciou + slack
