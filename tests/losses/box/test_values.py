"""The IoU family against hand-worked numbers, torchvision and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
import torchvision

import losses


def boxes(*rows):
    return torch.tensor(rows, dtype=torch.float32)


# Prediction (0,0)-(10,10), target (5,5)-(15,15): intersection 25, union 175, IoU 1/7, hull 225.
# GIoU term (225 - 175) / 225 = 2/9. Centres (5,5), (10,10): distance² 50, diagonal² 450.
# Equal aspect ratios: v = 0.
SHIFTED = boxes([0, 0, 10, 10]), boxes([5, 5, 15, 15])
# Prediction 4x2, target 2x4, one corner shared: intersection 4, union 12, IoU 1/3, hull 16,
# GIoU term 4/16. Centres (2,1), (1,2): distance² 2, diagonal² 32.
# v = 4/π² (atan 2 - atan 1/2)² = 4/π² · 0.6435011² = 0.1678259.
# α = 0.1678259 / (2/3 + 0.1678259) = 0.2011113, αv = 0.0337517.
TURNED = boxes([0, 0, 4, 2]), boxes([0, 0, 2, 4])
# Two boxes of 2x2, 6 px from corner to corner in x: IoU 0, union 8, hull 10 x 2 = 20, GIoU term
# 12/20. Centres 8 px apart: distance² 64, diagonal² 104.
APART = boxes([0, 0, 2, 2]), boxes([8, 0, 10, 2])
# Target 10x10, prediction its lower 10x8: IoU 0.8, no gap in the hull. Centres 1 px apart,
# diagonal² 200. v = 4/π² (atan 1 - atan 1.25)² = 4/π² · 0.1106572² = 0.0049627.
# α = 0.0049627 / (0.2 + 0.0049627) = 0.0242127, αv = 0.0001202.
CUT = boxes([0, 2, 10, 10]), boxes([0, 0, 10, 10])


@pytest.mark.parametrize(
    ("name", "options", "pair", "expected"),
    [
        ("iou", {}, SHIFTED, 6 / 7),
        ("iou", {"form": "log"}, SHIFTED, math.log(7)),
        ("iou", {}, APART, 1.0),
        ("iou", {"form": "log"}, APART, math.log(1000) + 1),
        ("giou", {}, SHIFTED, 6 / 7 + 2 / 9),
        ("giou", {}, TURNED, 2 / 3 + 1 / 4),
        ("giou", {}, APART, 1.6),
        ("diou", {}, SHIFTED, 6 / 7 + 1 / 9),
        ("diou", {}, TURNED, 2 / 3 + 1 / 16),
        ("diou", {}, APART, 1 + 64 / 104),
        ("ciou", {}, SHIFTED, 6 / 7 + 1 / 9),
        ("ciou", {}, TURNED, 2 / 3 + 1 / 16 + 0.0337517),
        ("ciou", {"gate": True}, TURNED, 2 / 3 + 1 / 16),
        ("ciou", {}, CUT, 0.2 + 1 / 200 + 0.0001202),
        ("ciou", {"gate": True}, CUT, 0.2 + 1 / 200 + 0.0001202),
    ],
)
def test_hand_worked(name, options, pair, expected):
    value = losses.get(name, **options)(*pair)
    torch.testing.assert_close(value, torch.tensor([expected]), rtol=0, atol=1e-6)


def random_pairs(n=400, dtype=torch.float32):
    """Boxes of 2 to 80 px, a third of the predictions near their targets."""
    generator = torch.Generator().manual_seed(0)
    corner, size = torch.rand(2, 2, n, 2, generator=generator, dtype=torch.float64)
    low, size = corner * 100, 2 + size * 78
    every = torch.cat([low, low + size], -1)
    pred, target = every
    pred[::3] = target[::3] + 4 * (pred[::3] / 180 - 0.5)
    return pred.to(dtype), target.to(dtype)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("giou", torchvision.ops.generalized_box_iou_loss),
        ("diou", torchvision.ops.distance_box_iou_loss),
        ("ciou", torchvision.ops.complete_box_iou_loss),
        ("iou", lambda p, t: 1 - torchvision.ops.box_iou(p, t).diagonal()),
    ],
)
def test_same_value_and_gradient_as_torchvision(name, reference):
    pred, target = random_pairs()
    ours, theirs = pred.clone().requires_grad_(), pred.clone().requires_grad_()
    value, expected = losses.get(name)(ours, target), reference(theirs, target)
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-5)
    gradients = [
        torch.autograd.grad(*x)[0] for x in ((value.sum(), ours), (expected.sum(), theirs))
    ]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options"), [("iou", {}), ("iou", {"form": "log"}), ("giou", {}), ("diou", {})]
)
def test_gradient_matches_finite_differences(name, options):
    pred, target = random_pairs(30, torch.float64)
    pred.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: losses.get(name, **options)(p, target), (pred,))


def ciou_with_fixed_alpha(box, target, alpha, gate):
    """CIoU loss of two lists of four numbers, and the alpha at this place, in plain Python."""
    (x1, y1, x2, y2), (u1, v1, u2, v2) = box, target
    common = max(min(x2, u2) - max(x1, u1), 0) * max(min(y2, v2) - max(y1, v1), 0)
    iou = common / ((x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - common)
    distance = ((x1 + x2 - u1 - u2) / 2) ** 2 + ((y1 + y2 - v1 - v2) / 2) ** 2
    diagonal = (max(x2, u2) - min(x1, u1)) ** 2 + (max(y2, v2) - min(y1, v1)) ** 2
    angles = math.atan((u2 - u1) / (v2 - v1)) - math.atan((x2 - x1) / (y2 - y1))
    v = 4 / math.pi**2 * angles**2
    here = 0 if gate and iou <= 0.5 else v / (1 - iou + v)
    alpha = here if alpha is None else alpha
    return 1 - iou + distance / diagonal + alpha * v, here


@pytest.mark.parametrize("gate", [False, True])
def test_ciou_gradient_is_that_with_alpha_constant(gate):
    pred, target = random_pairs(120, torch.float64)
    pred.requires_grad_()
    value = losses.get("ciou", gate=gate)(pred, target)
    (gradient,) = torch.autograd.grad(value.sum(), pred)
    step, largest = 1e-5, 0.0
    for i, (box, goal) in enumerate(zip(pred.tolist(), target.tolist(), strict=True)):
        expected, alpha = ciou_with_fixed_alpha(box, goal, None, gate)
        assert value[i].item() == pytest.approx(expected, abs=1e-6)
        for k in range(4):
            at = [
                ciou_with_fixed_alpha(
                    [x + sign * step * (j == k) for j, x in enumerate(box)], goal, alpha, gate
                )[0]
                for sign in (1, -1)
            ]
            slope = (at[0] - at[1]) / (2 * step)
            assert gradient[i, k].item() == pytest.approx(slope, rel=1e-5, abs=1e-7)
        largest = max(largest, alpha)
    assert largest > (0.01 if gate else 0.1)


def test_log_form_has_a_steeper_gradient_by_one_over_iou():
    pred, target = SHIFTED
    gradients = [
        torch.func.grad(lambda p, f=form: losses.get("iou", form=f)(p, target).sum())(pred)
        for form in ("linear", "log")
    ]
    torch.testing.assert_close(gradients[1], gradients[0] * 7)


def test_log_form_is_continuous_where_the_tangent_begins():
    # A prediction of w x 1 within a target of 1000 x 1 has IoU w / 1000, so 1/1000 at w = 1.
    widths = torch.tensor([0.999, 1.0, 1.001], dtype=torch.float64)
    pred = torch.stack([0 * widths, 0 * widths, widths, 0 * widths + 1], -1).requires_grad_()
    target = torch.tensor([0.0, 0, 1000, 1], dtype=torch.float64).expand(3, 4)
    value = losses.get("iou", form="log")(pred, target)
    (slope,) = torch.autograd.grad(value.sum(), pred)
    torch.testing.assert_close(
        value.detach(), math.log(1000) + (1 - widths), rtol=0, atol=2e-6, check_dtype=False
    )
    torch.testing.assert_close(slope[:, 2], -torch.ones(3).double(), rtol=0, atol=2e-3)


def test_relations_between_the_losses():
    pred, target = random_pairs()
    value = {name: losses.get(name)(pred, target) for name in ("iou", "giou", "diou", "ciou")}
    low, high = torch.minimum(pred, target), torch.maximum(pred, target)
    hull = (high[:, 2:] - low[:, :2]).prod(-1)
    common = (low[:, 2:] - high[:, :2]).clamp(min=0).prod(-1)
    areas = [(box[:, 2:] - box[:, :2]).prod(-1) for box in (pred, target)]
    union = areas[0] + areas[1] - common
    torch.testing.assert_close(value["giou"], value["iou"] + (hull - union) / hull)
    assert (value["diou"] >= value["iou"]).all()
    assert (value["ciou"] >= value["diou"]).all()
    same_aspect = torch.cat([pred[:, :2], pred[:, :2] + 1.7 * (target[:, 2:] - target[:, :2])], 1)
    torch.testing.assert_close(
        losses.get("ciou")(same_aspect, target), losses.get("diou")(same_aspect, target)
    )


def test_no_change_with_scale_shift_or_transposition(iou_loss):
    pred, target = random_pairs(dtype=torch.float64)
    value = iou_loss(pred, target)
    transposed = [1, 0, 3, 2]
    for same in (
        lambda b: b * 1e-3,
        lambda b: b * 1e9,
        lambda b: b + 17,
        lambda b: b[:, transposed],
    ):
        torch.testing.assert_close(iou_loss(same(pred), same(target)), value)
