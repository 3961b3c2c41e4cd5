"""Boxes that plain formulas fail on: flat, inverted, disjoint, huge."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import losses
from losses.box.eiou import EIoU

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


STARTS = {
    "inverted": [50, 60, 10, 20],
    "inverted outside": [80, 100, 70, 95],
    "point at the centre": [30, 40, 30, 40],
    "no width": [30, 25, 30, 55],
    "point outside": [80, 90, 80, 90],
    "far": [90, 110, 120, 130],
    "inside": [20, 30, 25, 33],
    "around": [-20, -30, 110, 120],
}
STAY_PUT = {"inverted outside", "point outside", "far"}
"""Starts that do not overlap the target, even when opened."""

LEADS_NOWHERE_FROM_OUTSIDE = {"iou", "bounded_iou"}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name, cls in losses.BOX.items() if cls.space == "boxes"),
        ("ciou", {"gate": True}),
        ("ciou", {"power": 2, "inner_ratio": 1.2}),
        ("wise_iou", {"form": "v1"}),
        ("wise_iou", {"form": "v2"}),
        ("powerful_iou", {"form": "v2"}),
        ("mpdiou", {"image_width": 128, "image_height": 128}),
    ],
    ids=str,
)
def test_descent_leads_to_the_target(name, options):
    loss = losses.get(name, **options)
    starts = {
        start: box
        for start, box in STARTS.items()
        if not (name in LEADS_NOWHERE_FROM_OUTSIDE and start in STAY_PUT)
    }
    pred = torch.tensor(list(starts.values()), dtype=torch.float32, requires_grad=True)
    target = TARGET.expand_as(pred)
    optimiser = torch.optim.Adam([pred], lr=1.0)
    for _ in range(400):
        optimiser.zero_grad()
        loss(pred, target).sum().backward()
        optimiser.step()
    error = (pred - target).detach().abs().amax(1)
    missed = {start: off for start, off in zip(starts, error.tolist(), strict=True) if off > 2}
    assert missed == {}


def test_gradient_through_the_attention_drives_far_boxes_away():
    # What the authors' code of Powerful-IoU v2 does, and why it is not the default here.
    for through, sign in ((True, -1), (False, 1)):
        loss = losses.get("powerful_iou", form="v2", attention_gradient=through)
        slope = gradient(loss, [100, 20, 140, 60])
        assert (sign * (slope[0] + slope[2])).item() > 0


def test_inverted_costs_more_the_more_it_is_inverted(iou_loss):
    depth = torch.tensor([0.0, 1.0, 5.0, 19.0])[:, None]
    pred = torch.tensor([30.0, 25.0, 30.0, 55.0]) + depth * torch.tensor([1.0, 0, -1, 0])
    value = iou_loss(pred, TARGET.expand(4, 4))
    if isinstance(iou_loss, EIoU):  # differences of sides shrink beside a hull with more room
        assert (value > 1).all()
    else:
        assert (value.diff() > 0).all()


def test_the_swapped_target_is_no_match(iou_loss):
    assert iou_loss(TARGET[:, [2, 3, 0, 1]], TARGET).item() > 1


@pytest.mark.parametrize(
    "name",
    sorted(
        {*losses.BOX}
        - {"l1", "l2", "smooth_l1", "huber", "balanced_l1", "ghm_r"}
        - LEADS_NOWHERE_FROM_OUTSIDE
    ),
)
def test_disjoint_boxes_are_drawn_together(name):
    slope = gradient(losses.get(name), [100, 100, 120, 130])
    # Target at smaller x and y: descent must move the box there.
    assert (slope[:2] + slope[2:] > 1e-6).all()


@pytest.mark.parametrize("form", ["linear", "log"])
def test_iou_of_disjoint_boxes_has_no_gradient(form):
    slope = gradient(losses.get("iou", form=form), [100, 100, 120, 130])
    assert slope.abs().max() < 1e-30


def test_identical_boxes_cost_nothing(iou_loss):
    generator = torch.Generator().manual_seed(1)
    low, size = torch.rand(2, 200, 2, generator=generator) * 640
    boxes = torch.cat([low, low + size + 0.01], 1)
    # IoU itself may be one unit in the last place below 1.
    assert iou_loss(boxes, boxes).abs().max() < 1.2e-7


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
    with torch.no_grad():  # so that a running mean stays as it is
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


# What ordinary boxes cost at most, and the losses in which they never cost more.
BOUNDS = {
    "iou": (losses.get("iou"), 1, []),
    "log": (losses.get("iou", form="log"), 8, ["iou"]),
    "giou": (losses.get("giou"), 2, ["iou"]),
    "diou": (losses.get("diou"), 2, ["iou"]),
    "ciou": (losses.get("ciou"), 3, ["diou"]),
    "gated": (losses.get("ciou", gate=True), 3, ["diou"]),
    "eiou": (losses.get("eiou"), 4, ["diou"]),
    "siou": (losses.get("siou"), 2.1, ["iou"]),
    "shape": (losses.get("shape_iou"), 2.2, ["diou"]),
    "weighted shape": (losses.get("shape_iou", scale=2), 3.3, ["iou"]),
    "mpdiou": (losses.get("mpdiou"), 3, ["diou"]),
    "powerful": (losses.get("powerful_iou"), 2, ["iou"]),
    "powerful 2": (losses.get("powerful_iou", form="v2"), 2.6, []),
    "wise": (losses.get("wise_iou", form="v1"), 2.72, ["iou"]),
    "bounded": (losses.get("bounded_iou"), 3.6, []),
    "extended": (losses.get("extended_iou"), 1.95, []),
    "nwd": (losses.get("nwd"), 1, []),
}
UNBOUNDED = [
    losses.get("wise_iou", form="v2"),
    losses.get("wise_iou"),
    losses.get("powerful_iou", form="v2", attention_gradient=True),
    losses.get("mpdiou", image_width=128, image_height=96),
    losses.get("siou", power=3),
    losses.get("ciou", inner_ratio=0.7),
    losses.get("diou", power=0.5),
    losses.get("eiou", focal=0.5),
]


@given(pred=four, target=four)
@example(pred=[3000, 60, -1000, 30], target=[10, 20, 50, 60])
@example(pred=[LIMIT, LIMIT, -LIMIT, -LIMIT], target=[-LIMIT, -LIMIT, LIMIT, LIMIT])
@example(pred=[1e-45, 0, 0, 1e-45], target=[0, 0, 1e-45, 1e-45])
@example(pred=[1e30, -1e6, 10, -3], target=[-1e10, -1e6, 0, -1e3])
@settings(max_examples=120, deadline=None)
def test_any_finite_boxes_have_a_finite_loss_and_gradient(pred, target):
    for loss in (*(loss for loss, _, _ in BOUNDS.values()), *UNBOUNDED):
        assert assert_finite(loss, pred, target) >= -1e-5


def in_order(numbers):
    (x1, x2), (y1, y2) = sorted(numbers[:2]), sorted(numbers[2:])
    return [x1, y1, x2, y2]


ordinary = st.tuples(*[st.floats(-100, 100), st.floats(-100, 100)] + [st.floats(0.5, 100)] * 2).map(
    lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
)


SLACK = 1e-5


def values_within_bounds(pred, target):
    value = {name: assert_finite(loss, pred, target) for name, (loss, _, _) in BOUNDS.items()}
    for name, (_, highest, _) in BOUNDS.items():
        assert -SLACK <= value[name] <= highest + SLACK, name
    return value


@given(pred=ordinary, target=ordinary)
@settings(max_examples=100, deadline=None)
def test_ordinary_boxes_lie_within_bounds(pred, target):
    value = values_within_bounds(pred, target)
    for name, (_, _, less) in BOUNDS.items():
        for other in less:
            assert value[name] >= value[other] - SLACK, (name, other)


@given(pred=four.map(in_order), target=four.map(in_order))
@settings(max_examples=100, deadline=None)
def test_boxes_of_any_size_lie_within_bounds(pred, target):
    values_within_bounds(pred, target)  # a flat prediction costs a millionth more


@given(pred=four.map(in_order), target=four.map(in_order))
@settings(max_examples=60, deadline=None)
def test_cubes_are_finite_for_boxes_of_any_size(pred, target):
    for name in ("giou", "ciou", "eiou", "siou", "shape_iou", "mpdiou"):
        assert assert_finite(losses.get(name, power=3), pred, target) >= -1e-5
