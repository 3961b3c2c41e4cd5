"""Losses that add up over pixels, each class by itself."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torchvision
from torch.autograd import gradcheck
from torch.nn import functional as F

import losses

LN3 = math.log(3)
# Probabilities 3/4, 1/4, 1/2, 3/4; the first two are foreground, the last is not.
LOGITS = torch.tensor([LN3, -LN3, 0, LN3]).reshape(1, 1, 2, 2)
TARGET = torch.tensor([1.0, 1, 0, 0]).reshape(1, 1, 2, 2)
VALID = torch.tensor([True, True, True, True]).reshape(1, 1, 2, 2)
# -ln of the probability of the true state: of 3/4, 1/4, 1/2 and 1/4.
A, B, C, D = (-math.log(p) for p in (3 / 4, 1 / 4, 1 / 2, 1 / 4))

SUM = A + B + C + D


@pytest.mark.parametrize(
    ("name", "options", "valid", "expected"),
    [
        ("bce", {}, [1, 1, 1, 1], (A + B + C + D) / 4),
        ("bce", {}, [1, 0, 0, 1], (A + D) / 2),
        ("weighted_bce", {"beta": 3}, [1, 1, 1, 1], (3 * A + 3 * B + C + D) / 4),
        ("weighted_bce", {}, [1, 1, 1, 1], (2 * A + 2 * B + C + D) / 4),
        # Half of the four pixels are background: β = 1/2.
        ("balanced_bce", {}, [1, 1, 1, 1], (A + B + C + D) / 8),
        # Two of three: β = 2/3 on the foreground, 1/3 on the background.
        ("balanced_bce", {}, [1, 0, 1, 1], (2 / 3 * A + C / 3 + D / 3) / 3),
        # No background: β = 0.
        ("balanced_bce", {}, [1, 1, 0, 0], 0),
        # (1 - p_t)² = 1/16, 9/16, 1/4, 9/16; α = 1/4 on the foreground, 3/4 on the background.
        ("focal", {}, [1, 1, 1, 1], (A / 64 + 9 * B / 64 + 3 * C / 16 + 27 * D / 64) / 4),
        ("focal", {"alpha": None, "gamma": 1}, [1, 1, 1, 1], (A + 3 * B + 2 * C + 3 * D) / 16),
        ("focal", {"alpha": 1, "gamma": 0}, [1, 1, 1, 1], (A + B) / 4),
        # Two foreground pixels; the discounts add up to 23/16.
        ("focal", {"alpha": None, "gamma": 0, "normaliser": "positives"}, [1] * 4, SUM / 2),
        ("focal", {"normaliser": "positives"}, [0, 0, 1, 1], 3 * C / 16 + 27 * D / 64),
        (
            "focal",
            {"alpha": None, "normaliser": "discounts"},
            [1, 1, 1, 1],
            (A / 16 + 9 * B / 16 + C / 4 + 9 * D / 16) / (23 / 16),
        ),
        # p_t of 3/4 is discounted by (1/4 / 1/2)², the others are at or below the threshold.
        (
            "focal",
            {"alpha": None, "reduced_threshold": 0.5},
            [1, 1, 1, 1],
            (A / 4 + B + C + D) / 4,
        ),
        # Smoothed by 1/10: the wrong state's logarithms are D, A, C, A.
        ("bce", {"smoothing": 0.1}, [1, 1, 1, 1], (0.9 * SUM + 0.1 * (D + A + C + A)) / 4),
        ("asymmetric_focal", {}, [1] * 4, (0.7 * (A + B) + 0.3 * (C / 4 + 9 * D / 16)) / 4),
        ("poly1", {"epsilon": 2}, [1, 1, 1, 1], SUM / 4 + 2 * (9 / 4) / 4),
        # The two hardest have p_t = 1/4, the third 1/2.
        ("topk_bce", {"fraction": 0.5}, [1, 1, 1, 1], D),
        ("topk_bce", {"fraction": 0.99}, [1, 1, 1, 1], (2 * D + C) / 3),
        ("topk_bce", {"fraction": 0.1}, [1, 0, 1, 0], C),
        # Mean squared errors: (1/16 + 9/16) / 2 of the foreground, (4/16 + 9/16) / 2 of the rest.
        ("sensitivity_specificity", {"ratio": 0.25}, [1] * 4, 5 / 64 + 39 / 128),
        ("sensitivity_specificity", {"ratio": 0.25}, [1, 1, 0, 0], 5 / 64),
    ],
)
def test_hand_worked(name, options, valid, expected):
    mask = torch.tensor(valid, dtype=torch.bool).reshape(1, 1, 2, 2)
    value = losses.get(name, **options)(LOGITS, TARGET, mask)
    torch.testing.assert_close(value, torch.tensor([expected], dtype=torch.float32))


def random_masks(n=3, classes=2, size=5, spread=4.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    shape = (n, classes, size, size)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64) * spread
    share = torch.tensor([0.2, 0.5, 0.1])[:n].reshape(-1, 1, 1, 1)
    target = torch.rand(shape, generator=generator) < share
    valid = torch.rand(n, 1, size, size, generator=generator) < 0.8
    return logits.to(dtype), target.to(dtype), valid


def mean(loss, valid):
    """Mean over the valid pixels and classes of each image, one image at a time."""
    return torch.stack([image[:, seen[0]].mean() for image, seen in zip(loss, valid, strict=True)])


def bce(logits, target, **options):
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none", **options)


REFERENCES: dict[str, tuple[dict[str, Any], Any]] = {
    "bce": ({}, bce),
    "weighted_bce": ({"beta": 4}, lambda x, y: bce(x, y, pos_weight=torch.tensor(4.0))),
    "focal": ({}, torchvision.ops.sigmoid_focal_loss),
    "focal unweighted": (
        {"alpha": None, "gamma": 1.5},
        lambda x, y: torchvision.ops.sigmoid_focal_loss(x, y, alpha=-1, gamma=1.5),
    ),
}


@pytest.mark.parametrize("case", REFERENCES)
def test_same_value_and_gradient_as_the_reference(case):
    options, reference = REFERENCES[case]
    logits, target, valid = random_masks()
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    value = losses.get(case.split()[0], **options)(ours, target, valid)
    expected = mean(reference(theirs, target), valid)
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
    gradients = [
        torch.autograd.grad(*x)[0] for x in ((value.sum(), ours), (expected.sum(), theirs))
    ]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scope", ["image", "batch"])
def test_balanced_bce_counts_the_background_in_its_scope(scope):
    logits, target, valid = random_masks()
    expected = torch.zeros_like(logits)
    for i in range(len(logits)):
        for c in range(logits.shape[1]):
            counted = target[i : i + 1] if scope == "image" else target
            seen = valid[i : i + 1] if scope == "image" else valid
            beta = 1 - counted[:, c][seen[:, 0]].mean()
            weight = torch.where(target[i, c] == 1, beta, 1 - beta)
            expected[i, c] = weight * bce(logits[i, c], target[i, c])
    value = losses.get("balanced_bce", scope=scope)(logits, target, valid)
    torch.testing.assert_close(value, mean(expected, valid))


def test_balanced_bce_of_background_alone_differs_by_scope():
    target = torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)])
    logits, valid = torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2, dtype=torch.bool)
    image = losses.get("balanced_bce", scope="image")(logits, target, valid)
    batch = losses.get("balanced_bce", scope="batch")(logits, target, valid)
    assert image.tolist() == [0, 0]
    torch.testing.assert_close(batch, torch.full((2,), math.log(2) / 2))


@pytest.mark.parametrize(
    ("name", "options", "factor"),
    [
        ("weighted_bce", {"beta": 1}, 1.0),
        ("focal", {"gamma": 0, "alpha": 0.5}, 0.5),
        ("focal", {"gamma": 0, "alpha": None}, 1.0),
        ("asymmetric_focal", {"gamma": 0, "delta": 0.5}, 0.5),
        ("poly1", {"epsilon": 0}, 1.0),
        ("topk_bce", {"fraction": 1}, 1.0),
    ],
)
def test_reduces_to_bce(name, options, factor):
    masks = random_masks()
    expected = losses.get("bce")(*masks) * factor
    torch.testing.assert_close(losses.get(name, **options)(*masks), expected)


@pytest.mark.parametrize("gamma", [0.1, 0.5, 1, 2, 5])
def test_focal_gradient(gamma):
    logits, target, valid = random_masks(2, 1, 3, dtype=torch.float64)
    loss = losses.get("focal", gamma=gamma)
    assert gradcheck(lambda x: loss(x, target, valid), (logits.requires_grad_(),))
    for level in (1e4, -1e4, 100.0, -100.0, 0.0):
        flat = torch.full((1, 1, 3, 3), level, requires_grad=True)
        (slope,) = torch.autograd.grad(loss(flat, target[:1].float(), valid[:1]).sum(), flat)
        assert slope.isfinite().all()


def test_saturated_logits_keep_their_loss_and_gradient():
    logits = torch.full((1, 1, 1, 2), 1e4, requires_grad=True)
    target = torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2)
    value = losses.get("bce")(logits, target, torch.ones(1, 1, 1, 2, dtype=torch.bool))
    (slope,) = torch.autograd.grad(value.sum(), logits)
    assert value.item() == 5e3
    assert slope.flatten().tolist() == [0.5, 0]


def test_bce_is_that_of_the_sigmoid_and_that_of_two_exclusive_states():
    logits, target, _ = random_masks(dtype=torch.float64)
    everything = torch.ones(3, 1, 5, 5, dtype=torch.bool)
    value = losses.get("bce")(logits, target, everything).mean()
    torch.testing.assert_close(value, F.binary_cross_entropy(torch.sigmoid(logits), target))
    states = torch.stack([torch.zeros_like(logits), logits], 1)
    torch.testing.assert_close(value, F.nll_loss(states.log_softmax(1), target.long()))


def test_top_k_of_the_batch_takes_the_hardest_of_all_images():
    logits = torch.tensor([[3.0, 0, 0, 0], [2, 1, 0, 0]]).reshape(2, 1, 2, 2)
    target, valid = torch.zeros_like(logits), torch.ones(2, 1, 2, 2, dtype=torch.bool)
    hard = F.softplus(torch.tensor([3.0, 2.0, 1.0]))
    image, batch = (
        losses.get("topk_bce", fraction=0.25, scope=scope)(logits, target, valid)
        for scope in ("image", "batch")
    )
    torch.testing.assert_close(image, hard[:2])
    torch.testing.assert_close(batch, hard[:2].mean().expand(2))


def test_focal_options_are_those_of_segmentation_models():
    smp = pytest.importorskip("segmentation_models_pytorch.losses")
    logits, target, _ = random_masks(classes=1)
    everything = torch.ones(3, 1, 5, 5, dtype=torch.bool)
    pairs = [
        ({"normaliser": "discounts"}, {"normalized": True, "reduction": "sum"}),
        ({"reduced_threshold": 0.5}, {"reduced_threshold": 0.5}),
        ({"reduced_threshold": 0.3, "gamma": 1.5}, {"reduced_threshold": 0.3, "gamma": 1.5}),
    ]
    for ours, theirs in pairs:
        loss = losses.get("focal", alpha=0.25, **ours)
        expected = smp.FocalLoss("binary", alpha=0.25, **theirs)
        for i in range(3):
            image = slice(i, i + 1)
            value = loss(logits[image], target[image], everything[image])
            torch.testing.assert_close(value[0], expected(logits[image], target[image]))


def test_asymmetric_focal_is_focal_on_background_and_bce_on_foreground():
    logits, _, valid = random_masks()
    loss = losses.get("asymmetric_focal", gamma=3, delta=0.6)
    nothing, everything = torch.zeros_like(logits), torch.ones_like(logits)
    focal = losses.get("focal", gamma=3, alpha=0.6)(logits, nothing, valid)
    torch.testing.assert_close(loss(logits, nothing, valid), focal)
    plain = losses.get("bce")(logits, everything, valid)
    torch.testing.assert_close(loss(logits, everything, valid), 0.6 * plain)
