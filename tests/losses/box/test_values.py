"""The IoU family against hand-worked numbers, torchvision and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
import torchvision

import losses
from losses.box._overlap import OverlapLoss
from losses.box.nwd import NWD


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
        # Square: 1 - IoU².
        ("iou", {"form": "square"}, SHIFTED, 48 / 49),
        ("iou", {"form": "square"}, TURNED, 8 / 9),
        # α-IoU: 1 - IoU³ + (d²/c²)³, and for CIoU + (αv)³.
        ("iou", {"power": 3}, TURNED, 26 / 27),
        ("diou", {"power": 3}, TURNED, 26 / 27 + 1 / 16**3),
        ("ciou", {"power": 3}, TURNED, 26 / 27 + 1 / 16**3 + 0.0337517**3),
        # Focal-CIoU and Focal-EIoU: times the root of IoU.
        ("ciou", {"focal": 0.5}, CUT, math.sqrt(0.8) * (0.2 + 1 / 200 + 0.0001202)),
        ("eiou", {"focal": 0.5}, CUT, math.sqrt(0.8) * (0.2 + 1 / 200 + 0.04)),
        # Half the sides: 2x1 around (2, 1) and 1x2 around (1, 2) share ½ x ½, of a union of 3.75.
        ("iou", {"inner_ratio": 0.5}, TURNED, 14 / 15),
        ("diou", {"inner_ratio": 0.5}, TURNED, 14 / 15 + 1 / 16),
        # Twice the sides of two 2x2 boxes whose centres are 8 apart: they still only are 4 long.
        ("iou", {"inner_ratio": 2}, APART, 1.0),
        # Five times: 10x10 each, 2x10 shared, of a union of 180.
        ("iou", {"inner_ratio": 5}, APART, 8 / 9),
        ("giou", {"inner_ratio": 5}, APART, 8 / 9 + 12 / 20),
    ],
)
def test_hand_worked(name, options, pair, expected):
    value = losses.get(name, **options)(*pair)
    torch.testing.assert_close(value, torch.tensor([expected]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "pair", "expected"),
    [
        ("eiou", {}, SHIFTED, 6 / 7 + 1 / 9),
        # Widths 4 and 2 in a hull of 4 x 4: (2/4)², heights the same.
        ("eiou", {}, TURNED, 2 / 3 + 1 / 16 + 1 / 2),
        ("eiou", {}, APART, 1 + 64 / 104),
        ("eiou", {}, CUT, 0.2 + 1 / 200 + (2 / 10) ** 2),
        # At 45° the angle cost is 1: two times 1 - exp(-(2 - 1) 5²/15²), halved.
        ("siou", {}, SHIFTED, 6 / 7 + 1 - math.exp(-1 / 9)),
        # Again 45°, 1²/4². Sides differ by a half: (1 - e^-½)⁴ = 0.0239687 twice, halved.
        ("siou", {}, TURNED, 2 / 3 + 1 - math.exp(-1 / 16) + 0.0239687),
        # Along an axis the angle cost is 0: half of 1 - exp(-2 · 8²/10²).
        ("siou", {}, APART, 1 + (1 - math.exp(-1.28)) / 2),
        # 1 px of 10, and a height of 8 instead of 10: half of (1 - e^-0.2)⁴ = 0.0010797.
        ("siou", {}, CUT, 0.2 + (1 - math.exp(-0.02)) / 2 + 0.0010797 / 2),
        ("siou", {"theta": 2}, TURNED, 2 / 3 + 1 - math.exp(-1 / 16) + 0.3934693**2),
        ("shape_iou", {}, SHIFTED, 6 / 7 + 1 / 9),
        ("shape_iou", {}, TURNED, 2 / 3 + 1 / 16 + 0.0239687),
        # Target 2 x 4 and s = 1: weights 4/3 along x and 2/3 along y. (4/3 + 2/3) / 32 as before;
        # (1 - e^(-2/3))⁴ = 0.0560567 and (1 - e^(-1/3))⁴ = 0.0064568, halved.
        ("shape_iou", {"scale": 1}, TURNED, 2 / 3 + 1 / 16 + 0.0312568),
        # Both corners are off by 5, 5.
        ("mpdiou", {}, SHIFTED, 6 / 7 + 100 / 450),
        ("mpdiou", {"image_width": 40, "image_height": 30}, SHIFTED, 6 / 7 + 100 / 2500),
        # Upper left corners agree, lower right ones are off by 2, 2.
        ("mpdiou", {}, TURNED, 2 / 3 + 8 / 32),
        ("mpdiou", {"image_width": 3, "image_height": 4}, CUT, 0.2 + 4 / 25),
        # Four edges off by half a side: P = 1/2.
        ("powerful_iou", {}, SHIFTED, 6 / 7 + 1 - math.exp(-1 / 4)),
        # Of the edges, one is off by 2/2, one by 2/4: P = 3/8.
        ("powerful_iou", {}, TURNED, 2 / 3 + 1 - math.exp(-9 / 64)),
        # Both vertical edges are off by four widths: P = 2.
        ("powerful_iou", {}, APART, 2 - math.exp(-4)),
        # x = 1.3 e^-½ = 0.7884899, u = 3x exp(-x²) = 1.2703092, times the value of version 1.
        ("powerful_iou", {"form": "v2"}, SHIFTED, 1.2703092 * 1.0783421),
        ("wise_iou", {"form": "v1"}, SHIFTED, 6 / 7 * math.exp(1 / 9)),
        ("wise_iou", {"form": "v1"}, TURNED, 2 / 3 * math.exp(1 / 16)),
        ("wise_iou", {"form": "v1"}, APART, math.exp(64 / 104)),
        # Before the first step, the mean is 1: β = 6/7.
        ("wise_iou", {"form": "v2"}, SHIFTED, (6 / 7) ** 1.5 * math.exp(1 / 9)),
        ("nwd", {}, SHIFTED, 1 - math.exp(-math.sqrt(50) / 12.8)),
        # Centres √2 apart, half sides (1, 1): W² = 2 + 2.
        ("nwd", {}, TURNED, 1 - math.exp(-2 / 12.8)),
        ("nwd", {"constant": 8}, APART, 1 - math.exp(-1)),
        # An offset of half the side leaves IoU 0: 1 - β/2 for x and y each.
        ("bounded_iou", {}, SHIFTED, 1.8),
        # x: 0. y: (4 - 2) / (4 + 2). Width and height: 1/2. Each loss less 0.1.
        ("bounded_iou", {}, TURNED, 0.9 + (2 / 3 - 0.1) + 0.4 + 0.4),
        # y: (10 - 2) / (10 + 2). Height 0.8, where line and parabola meet: 0.5 · 0.2² / 0.2.
        ("bounded_iou", {}, CUT, 1 / 3 - 0.1 + 0.1),
        ("extended_iou", {}, SHIFTED, 6 / 7 - 0.05),
        # From x = 8 back to 2, y from 0 to 2: the intersection is -12, the union 8 + 12.
        ("extended_iou", {}, APART, 1 + 12 / 20 - 0.05),
        ("extended_iou", {"smooth_point": 0}, APART, 1.6),
        # Below the smooth point a parabola: 0.5 · 0.2² / 0.4.
        ("extended_iou", {"smooth_point": 0.4}, CUT, 0.05),
    ],
)
def test_hand_worked_of_the_wider_family(name, options, pair, expected):
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


@pytest.mark.parametrize(
    "name", [name for name, cls in losses.BOX.items() if issubclass(cls, OverlapLoss)]
)
def test_options_that_change_nothing(name):
    pred, target = random_pairs()
    same = losses.get(name, inner_ratio=1, power=1, focal=0)
    assert same(pred, target).equal(losses.get(name)(pred, target))


def test_square_form_is_power_two():
    pred, target = random_pairs()
    square = losses.get("iou", form="square")(pred, target)
    torch.testing.assert_close(square, losses.get("iou", power=2)(pred, target))


def test_relations_within_the_wider_family():
    pred, target = random_pairs()

    def value(name, **options):
        return losses.get(name, **options)(pred, target)

    low, high = torch.minimum(pred, target), torch.maximum(pred, target)
    hull = high[:, 2:] - low[:, :2]
    sides = [box[:, 2:] - box[:, :2] for box in (pred, target)]
    lengths = (((sides[0] - sides[1]) / hull) ** 2).sum(-1)
    torch.testing.assert_close(value("eiou"), value("diou") + lengths)
    assert (value("shape_iou") >= value("diou") - 1e-6).all()
    assert (value("powerful_iou") >= value("iou")).all()
    assert (value("wise_iou", form="v1") >= value("iou")).all()
    assert (value("mpdiou") >= value("diou") - 1e-6).all()
    # Twice the squared distance of centres, and half that of the sides, over the same diagonal.
    half = ((sides[0] - sides[1]) ** 2).sum(-1) / 2 / (hull**2).sum(-1)
    twice = 2 * (value("diou") - value("iou"))
    torch.testing.assert_close(value("mpdiou"), value("iou") + twice + half)
    # An image as long as the boxes' hull.
    flat = boxes([0, 0, 30, 10]), boxes([0, 0, 40, 30])
    image = losses.get("mpdiou", image_width=40, image_height=30)
    torch.testing.assert_close(image(*flat), losses.get("mpdiou")(*flat))


def test_extended_iou_is_iou_where_boxes_overlap():
    pred, target = random_pairs()
    iou = losses.get("iou")(pred, target)
    extended = losses.get("extended_iou", smooth_point=0)(pred, target)
    apart = iou > 0.9999
    torch.testing.assert_close(extended[~apart], iou[~apart])
    assert (extended[apart] > 1.01).any()
    assert (extended[apart] >= 0.9999).all()


def test_only_some_losses_tell_where_an_enclosed_box_lies():
    target = boxes([0, 0, 40, 40]).expand(2, 4)
    pred = boxes([15, 15, 25, 25], [0, 0, 10, 10])  # in the middle, in a corner

    def middle_and_corner(name):
        return losses.get(name)(pred, target).tolist()

    for name in ("iou", "giou", "powerful_iou"):
        middle, corner = middle_and_corner(name)
        assert middle == pytest.approx(corner)
    # 1 - 1/16, and in the corner 15² · 2 over the diagonal 2 · 40².
    assert middle_and_corner("diou") == pytest.approx([15 / 16, 15 / 16 + 225 / 1600])
    for name in ("ciou", "eiou", "siou", "shape_iou", "mpdiou", "nwd"):
        middle, corner = middle_and_corner(name)
        assert corner > middle + 0.01


def test_no_change_with_scale_shift_or_transposition(iou_loss):
    pred, target = random_pairs(dtype=torch.float64)
    value = iou_loss(pred, target)
    transposed = [1, 0, 3, 2]
    for same in (lambda b: b + 17, lambda b: b[:, transposed]):
        torch.testing.assert_close(iou_loss(same(pred), same(target)), value)
    for factor in (1e-3, 1e9):
        scaled = iou_loss(pred * factor, target * factor)
        if isinstance(iou_loss, NWD):  # measures in pixels
            assert not torch.allclose(scaled, value)
        else:
            torch.testing.assert_close(scaled, value)
