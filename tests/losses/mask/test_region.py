"""Dice and Jaccard losses."""

from __future__ import annotations

import math

import pytest
import torch

import losses

LN3 = math.log(3)
# Probabilities 3/4, 1/4, 1/2, 3/4 beside the targets 1, 1, 0, 0:
# Σ p y = 1, Σ p = 9/4, Σ y = 2, Σ p² = 9/16 + 1/16 + 4/16 + 9/16 = 23/16.
LOGITS = torch.tensor([LN3, -LN3, 0, LN3]).reshape(1, 1, 2, 2)
TARGET = torch.tensor([1.0, 1, 0, 0]).reshape(1, 1, 2, 2)


def everything(like):
    return torch.ones_like(like[:, :1], dtype=torch.bool)


@pytest.mark.parametrize(
    ("name", "options", "overlap"),
    [
        ("dice", {"smooth": 0}, 2 / (17 / 4)),
        ("dice", {}, 3 / (21 / 4)),
        ("dice", {"smooth_in": "denominator"}, 2 / (21 / 4)),
        ("dice", {"smooth": 0, "squared": True}, 2 / (55 / 16)),
        ("jaccard", {"smooth": 0}, 1 / (13 / 4)),
        ("jaccard", {}, 2 / (17 / 4)),
        ("jaccard", {"smooth_in": "denominator"}, 1 / (17 / 4)),
        ("jaccard", {"smooth": 0, "squared": True}, 1 / (39 / 16)),
    ],
)
def test_hand_worked(name, options, overlap):
    value = losses.get(name, **options)(LOGITS, TARGET, everything(TARGET))
    torch.testing.assert_close(value, torch.tensor([1 - overlap]))


@pytest.mark.parametrize("name", ["dice", "jaccard"])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 0),
        ({"smooth": 1e-5}, 0),
        ({"smooth_in": "denominator"}, 1),
        ({"smooth": 0}, 1),
    ],
)
def test_empty_prediction_of_an_empty_target(name, options, expected):
    logits = torch.full((1, 1, 4, 4), -200.0, requires_grad=True)
    target = torch.zeros(1, 1, 4, 4)
    value = losses.get(name, **options)(logits, target, everything(target))
    (slope,) = torch.autograd.grad(value.sum(), logits)
    assert value.item() == expected
    assert slope.isfinite().all()


@pytest.mark.parametrize("name", ["dice", "jaccard"])
def test_unsmoothed_empty_target_costs_one_whatever_is_predicted(name):
    target = torch.zeros(3, 1, 4, 4)
    logits = torch.tensor([-200.0, -8.0, 8.0]).reshape(3, 1, 1, 1).expand(3, 1, 4, 4)
    value = losses.get(name, smooth=0)(logits, target, everything(target))
    assert value.tolist() == [1, 1, 1]


def random_masks(n=4, classes=3, size=6):
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(n, classes, size, size, generator=generator, dtype=torch.float64) * 3
    target = (torch.rand(logits.shape, generator=generator) < 0.3).double()
    valid = torch.rand(n, 1, size, size, generator=generator) < 0.7
    return logits, target, valid


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("scope", ["image", "batch"])
def test_iou_is_dice_over_two_minus_dice(squared, scope):
    logits, target, valid = random_masks(classes=1)
    options = {"smooth": 0, "squared": squared, "scope": scope}
    dice = 1 - losses.get("dice", **options)(logits, target, valid)
    jaccard = 1 - losses.get("jaccard", **options)(logits, target, valid)
    torch.testing.assert_close(jaccard, dice / (2 - dice))


def plain_overlap(name, p, y, smooth, squared):
    """The overlap of two flat lists, in plain Python."""
    common = sum(a * b for a, b in zip(p, y, strict=True))
    power = 2 if squared else 1
    total = sum(a**power for a in p) + sum(y)
    above, below = (2 * common, total) if name == "dice" else (common, total - common)
    return (above + smooth) / (below + smooth)


@pytest.mark.parametrize("name", ["dice", "jaccard"])
@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("scope", ["image", "batch"])
def test_classes_are_averaged_within_the_scope(name, squared, scope):
    logits, target, valid = random_masks()
    groups = [slice(i, i + 1) for i in range(4)] if scope == "image" else [slice(0, 4)] * 4
    expected = []
    for group in groups:
        overlaps = []
        for c in range(3):
            seen = valid[group, 0]
            p = torch.sigmoid(logits[group, c][seen]).tolist()
            overlaps.append(plain_overlap(name, p, target[group, c][seen].tolist(), 0.5, squared))
        expected.append(1 - sum(overlaps) / 3)
    loss = losses.get(name, smooth=0.5, squared=squared, scope=scope)
    torch.testing.assert_close(loss(logits, target, valid), torch.tensor(expected).double())


@pytest.mark.parametrize("name", ["dice", "jaccard"])
def test_scope_decides_whether_the_batch_matters(name):
    masks = random_masks()
    alone = torch.cat([losses.get(name)(*(x[i : i + 1] for x in masks)) for i in range(4)])
    torch.testing.assert_close(losses.get(name)(*masks), alone)
    batch = losses.get(name, scope="batch")(*masks)
    assert (batch == batch[0]).all()
    assert not torch.allclose(batch, alone, atol=1e-4)


@pytest.mark.parametrize("name", ["dice", "jaccard", "balanced_bce"])
def test_for_one_image_both_scopes_agree(name):
    one = [x[:1] for x in random_masks()]
    image, batch = (losses.get(name, scope=scope)(*one) for scope in ("image", "batch"))
    torch.testing.assert_close(image, batch)


@pytest.mark.parametrize("smooth_in", ["both", "denominator"])
def test_all_ignored_images_cost_nothing(smooth_in):
    logits, target, valid = random_masks()
    valid[1] = False
    value = losses.get("dice", smooth_in=smooth_in)(logits, target, valid)
    assert value[1] == 0
    assert (value[[0, 2, 3]] > 0.1).all()
