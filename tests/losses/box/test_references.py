"""Each loss on boxes against its formula, written once more for one pair of boxes."""

from __future__ import annotations

import math

import pytest
import torch

import losses


def exp(x):
    return torch.exp(x)


def smooth_l1(x, beta):
    return 0.5 * x**2 / beta if x < beta else x - 0.5 * beta


class Two:
    """One prediction and one target as plain numbers, by the names that papers use."""

    def __init__(self, pred, target):
        (self.x1, self.y1, self.x2, self.y2), (self.u1, self.v1, self.u2, self.v2) = pred, target
        self.w, self.h = self.x2 - self.x1, self.y2 - self.y1
        self.wt, self.ht = self.u2 - self.u1, self.v2 - self.v1
        self.dx = (self.x1 + self.x2 - self.u1 - self.u2) / 2
        self.dy = (self.y1 + self.y2 - self.v1 - self.v2) / 2
        self.cw = max(self.x2, self.u2) - min(self.x1, self.u1)
        self.ch = max(self.y2, self.v2) - min(self.y1, self.v1)
        self.c2 = self.cw**2 + self.ch**2
        self.iou = self.inner_iou(1)

    def inner_iou(self, ratio):
        def span(low, high):
            middle, half = (low + high) / 2, ratio * (high - low) / 2
            return middle - half, middle + half

        common = 1
        for mine, theirs in (
            (span(self.x1, self.x2), span(self.u1, self.u2)),
            (span(self.y1, self.y2), span(self.v1, self.v2)),
        ):
            side = min(mine[1], theirs[1]) - max(mine[0], theirs[0])
            common = common * (side if side > 0 else 0 * side)
        return common / (ratio**2 * (self.w * self.h + self.wt * self.ht) - common)


def bounded(a, beta=0.2):
    total = 0
    for d, side, goal in ((a.dx, a.w, a.wt), (a.dy, a.h, a.ht)):
        placed = (goal - 2 * abs(d)) / (goal + 2 * abs(d))
        total = total + smooth_l1(1 - (placed if placed > 0 else 0 * placed), beta)
        total = total + smooth_l1(1 - min(goal / side, side / goal), beta)
    return total


def extended(a, smooth=0.1):
    left, top = min(a.x1, a.u1), min(a.y1, a.v1)
    x, y = max(a.x1, a.u1) - left, max(a.y1, a.v1) - top
    right, low = min(a.x2, a.u2) - left, min(a.y2, a.v2) - top
    common = right * low + min(x, right) * min(y, low) - x * max(y, low) - max(x, right) * y
    loss = 1 - common / (a.w * a.h + a.wt * a.ht - common)
    return smooth_l1(loss, smooth) if smooth else loss


def diou(a):
    return 1 - a.iou + (a.dx**2 + a.dy**2) / a.c2


def eiou(a):
    return diou(a) + ((a.w - a.wt) / a.cw) ** 2 + ((a.h - a.ht) / a.ch) ** 2


def shape(a, theta, first=1, second=1):
    w = first * abs(a.w - a.wt) / max(a.w, a.wt)
    h = second * abs(a.h - a.ht) / max(a.h, a.ht)
    return (1 - exp(-w)) ** theta + (1 - exp(-h)) ** theta


def siou(a, theta=4):
    sine = abs(a.dy) / torch.sqrt(a.dx**2 + a.dy**2)
    angle = 1 - 2 * torch.sin(torch.asin(sine) - math.pi / 4) ** 2
    urge = 2 - angle
    distance = 2 - exp(-urge * (a.dx / a.cw) ** 2) - exp(-urge * (a.dy / a.ch) ** 2)
    return 1 - a.iou + (distance + shape(a, theta)) / 2


def shape_iou(a, scale=0, theta=4):
    ww = 2 * a.wt**scale / (a.wt**scale + a.ht**scale)
    hh = 2 * a.ht**scale / (a.wt**scale + a.ht**scale)
    distance = (hh * a.dx**2 + ww * a.dy**2) / a.c2
    return 1 - a.iou + distance + shape(a, theta, hh, ww) / 2


def mpdiou(a, diagonal2=None):
    first = (a.x1 - a.u1) ** 2 + (a.y1 - a.v1) ** 2
    second = (a.x2 - a.u2) ** 2 + (a.y2 - a.v2) ** 2
    return 1 - a.iou + (first + second) / (diagonal2 or a.c2)


def powerful(a, form="v1", through=False):
    p = (abs(a.x1 - a.u1) + abs(a.x2 - a.u2)) / a.wt + (abs(a.y1 - a.v1) + abs(a.y2 - a.v2)) / a.ht
    p = p / 4
    loss = 2 - a.iou - exp(-(p**2))
    if form == "v1":
        return loss
    x = 1.3 * exp(-p)
    attention = 3 * x * exp(-(x**2))
    return loss * (attention if through else attention.detach())


def wise(a, form="v1", ratio=1.0):
    lost = 1 - a.inner_iou(ratio)
    loss = lost * exp((a.dx**2 + a.dy**2) / a.c2.detach())
    beta = lost.detach()  # the mean is 1 before the first step
    if form == "v2":
        return loss * beta**0.5
    return loss * beta / (3 * 1.9 ** (beta - 3)) if form == "v3" else loss


def nwd(a, constant=12.8):
    distance = a.dx**2 + a.dy**2 + ((a.w - a.wt) / 2) ** 2 + ((a.h - a.ht) / 2) ** 2
    return 1 - exp(-torch.sqrt(distance) / constant)


def focal(loss):
    return lambda a: a.iou.detach() ** 0.5 * loss(a)


REFERENCES = [
    ("bounded_iou", {}, bounded),
    ("bounded_iou", {"beta": 0.5}, lambda a: bounded(a, 0.5)),
    ("extended_iou", {}, extended),
    ("extended_iou", {"smooth_point": 0}, lambda a: extended(a, 0)),
    ("diou", {"inner_ratio": 0.8}, lambda a: diou(a) + a.iou - a.inner_iou(0.8)),
    ("diou", {"power": 3}, lambda a: 1 - a.iou**3 + ((a.dx**2 + a.dy**2) / a.c2) ** 3),
    ("eiou", {}, eiou),
    ("eiou", {"focal": 0.5}, focal(eiou)),
    ("siou", {}, siou),
    ("siou", {"theta": 2}, lambda a: siou(a, 2)),
    ("shape_iou", {}, shape_iou),
    ("shape_iou", {"scale": 1.5, "theta": 3}, lambda a: shape_iou(a, 1.5, 3)),
    ("mpdiou", {}, mpdiou),
    (
        "mpdiou",
        {"image_width": 64, "image_height": 48},
        lambda a: mpdiou(a, torch.tensor(64.0**2 + 48**2)),
    ),
    ("powerful_iou", {}, powerful),
    ("powerful_iou", {"form": "v2"}, lambda a: powerful(a, "v2")),
    (
        "powerful_iou",
        {"form": "v2", "attention_gradient": True},
        lambda a: powerful(a, "v2", through=True),
    ),
    ("wise_iou", {"form": "v1"}, wise),
    ("wise_iou", {"form": "v2"}, lambda a: wise(a, "v2")),
    ("wise_iou", {"form": "v3"}, lambda a: wise(a, "v3")),
    ("wise_iou", {"form": "v1", "inner_ratio": 1.3}, lambda a: wise(a, "v1", 1.3)),
    ("nwd", {}, nwd),
    ("nwd", {"constant": 40}, lambda a: nwd(a, 40)),
]


def random_pairs(n=45):
    """Boxes of 2 to 40 px, a third of the predictions near their targets, many disjoint."""
    generator = torch.Generator().manual_seed(3)
    corner, size = torch.rand(2, 2, n, 2, generator=generator, dtype=torch.float64)
    low, size = corner * 60, 2 + size * 38
    pred, target = torch.cat([low, low + size], -1)
    pred[::3] = target[::3] + 4 * (pred[::3] / 100 - 0.5)
    return pred, target


@pytest.mark.parametrize(
    ("name", "options", "reference"),
    REFERENCES,
    ids=[f"{name}-{options}" for name, options, _ in REFERENCES],
)
def test_value_and_gradient(name, options, reference):
    pred, target = random_pairs()
    ours, theirs = pred.clone().requires_grad_(), pred.clone().requires_grad_()
    loss = losses.get(name, **options)
    expected = torch.stack(
        [
            reference(Two(one.unbind(), goal.unbind()))
            for one, goal in zip(theirs, target, strict=True)
        ]
    )
    # A call would move the running mean away from 1.
    value = loss.plain(ours, target) if loss.depends_on_batch else loss(ours, target)
    # The factor of boxes that do not overlap is up to 1e-6 instead of 0.
    close = 5e-6 if "focal" in options else 1e-9
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=close)
    slopes = [torch.autograd.grad(v.sum(), p)[0] for v, p in ((value, ours), (expected, theirs))]
    torch.testing.assert_close(*slopes, rtol=1e-7, atol=close)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (name, options)
        for name, options, _ in REFERENCES
        if not losses.get(name, **options).stops_gradient
    ],
    ids=str,
)
def test_gradient_matches_finite_differences(name, options):
    pred, target = random_pairs(15)
    pred.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: losses.get(name, **options)(p, target), (pred,))


@pytest.mark.parametrize(
    ("name", "options", "constant"),
    [
        ("eiou", {"focal": 0.5}, "the factor IoU^focal"),
        ("siou", {}, ""),
        ("powerful_iou", {"form": "v2"}, "the attention"),
        ("powerful_iou", {"form": "v2", "attention_gradient": True}, ""),
        ("wise_iou", {"form": "v1"}, "the diagonal c"),
        ("wise_iou", {"form": "v1", "focal": 1}, "the diagonal c and the factor IoU^focal"),
        ("wise_iou", {"form": "v3"}, "the diagonal c and the weight of the pair"),
    ],
)
def test_what_is_held_constant_is_declared(name, options, constant):
    assert losses.get(name, **options).stops_gradient == constant
