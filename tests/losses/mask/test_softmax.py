"""Cross entropy and focal loss of exclusive classes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

import losses

LN2, LN3, LN6 = (math.log(x) for x in (2, 3, 6))
# With the background's 0 the softmax is 1/6, 2/6, 3/6. Background, class 1, class 2, class 2.
LOGITS = torch.tensor([LN2, LN3]).reshape(1, 2, 1, 1).expand(1, 2, 2, 2)
TARGET = torch.tensor([[0.0, 1, 0, 0], [0, 0, 1, 1]]).reshape(1, 2, 2, 2)


@pytest.mark.parametrize(
    ("name", "options", "seen", "expected"),
    [
        ("cross_entropy", {}, [1, 1, 1, 1], (LN6 + LN3 + 2 * LN2) / 4),
        ("cross_entropy", {}, [0, 1, 1, 0], (LN3 + LN2) / 2),
        (
            "cross_entropy",
            {"class_weights": [1, 2, 4]},
            [1, 1, 1, 1],
            (LN6 + 2 * LN3 + 8 * LN2) / 11,
        ),
        (
            "cross_entropy",
            {"class_weights": [1, 2, 4], "normaliser": "pixels"},
            [1, 1, 1, 0],
            (LN6 + 2 * LN3 + 4 * LN2) / 3,
        ),
        # A third of 0.3 goes to each of the three choices.
        (
            "cross_entropy",
            {"smoothing": 0.3},
            [0, 1, 0, 0],
            0.7 * LN3 + 0.1 * (LN6 + LN3 + LN2),
        ),
        # (1-p_t)² = 25/36, 4/9, 1/4, 1/4; α = 1/4 on the classes, 3/4 on the background.
        (
            "softmax_focal",
            {},
            [1, 1, 1, 1],
            (25 / 48 * LN6 + LN3 / 9 + LN2 / 8) / 4,
        ),
        ("softmax_focal", {"alpha": None, "gamma": 0.5}, [0, 1, 0, 0], math.sqrt(2 / 3) * LN3),
    ],
)
def test_hand_worked(name, options, seen, expected):
    valid = torch.tensor(seen, dtype=torch.bool).reshape(1, 1, 2, 2)
    value = losses.get(name, **options)(LOGITS, TARGET, valid)
    torch.testing.assert_close(value, torch.tensor([expected]))


def random_masks(n=3, classes=4, size=6):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(n, classes, size, size, generator=generator, dtype=torch.float64) * 3
    index = torch.randint(0, classes + 1, (n, size, size), generator=generator)
    target = F.one_hot(index, classes + 1).movedim(3, 1)[:, 1:].double()
    valid = torch.rand(n, 1, size, size, generator=generator) < 0.7
    return logits, target, valid, index


def with_background(logits):
    return torch.cat([torch.zeros_like(logits[:, :1]), logits], 1)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"smoothing": 0.2}, {"label_smoothing": 0.2}),
        (
            {"class_weights": [0.5, 1, 2, 0, 3], "smoothing": 0.1},
            {"weight": torch.tensor([0.5, 1, 2, 0, 3]).double(), "label_smoothing": 0.1},
        ),
    ],
)
def test_same_value_and_gradient_as_torch(ours, theirs: dict[str, Any]):
    logits, target, valid, index = random_masks()
    leaves = [logits.clone().requires_grad_() for _ in range(2)]
    value = losses.get("cross_entropy", **ours)(leaves[0], target, valid)
    labels = index.where(valid[:, 0], -100)
    states = with_background(leaves[1])
    expected = torch.stack(
        [F.cross_entropy(states[i : i + 1], labels[i : i + 1], **theirs) for i in range(3)]
    )
    torch.testing.assert_close(value, expected)
    gradients = [
        torch.autograd.grad(v.sum(), x)[0] for v, x in zip((value, expected), leaves, strict=True)
    ]
    torch.testing.assert_close(*gradients)


def test_cross_entropy_is_divergence_plus_entropy_of_the_target():
    logits, target, _, _ = random_masks()
    everything = torch.ones(3, 1, 6, 6, dtype=torch.bool)
    smoothing = 0.2
    soft = torch.cat([1 - target.sum(1, keepdim=True), target], 1)
    soft = (1 - smoothing) * soft + smoothing / 5
    log_p = with_background(logits).log_softmax(1)
    divergence = F.kl_div(log_p, soft, reduction="none").sum(1)
    entropy = -(soft * soft.log()).sum(1)
    value = losses.get("cross_entropy", smoothing=smoothing)(logits, target, everything)
    torch.testing.assert_close(value, (divergence + entropy).mean((1, 2)))
    hard = losses.get("cross_entropy")(logits, target, everything)
    nll = -(log_p * torch.cat([1 - target.sum(1, keepdim=True), target], 1)).sum(1)
    torch.testing.assert_close(hard, nll.mean((1, 2)))


@pytest.mark.parametrize(
    ("softmax", "sigmoid"), [("cross_entropy", "bce"), ("softmax_focal", "focal")]
)
def test_of_one_class_softmax_is_sigmoid(softmax, sigmoid):
    logits, target, valid, _ = random_masks(classes=1)
    expected = losses.get(sigmoid)(logits, target, valid)
    torch.testing.assert_close(losses.get(softmax)(logits, target, valid), expected)


def test_without_discount_softmax_focal_is_cross_entropy():
    masks = random_masks()[:3]
    expected = losses.get("cross_entropy")(*masks)
    value = losses.get("softmax_focal", gamma=0, alpha=None)(*masks)
    torch.testing.assert_close(value, expected)


def test_softmax_focal_is_that_of_kornia():
    kornia = pytest.importorskip("kornia.losses")
    logits, target, _, index = random_masks()
    everything = torch.ones(3, 1, 6, 6, dtype=torch.bool)
    value = losses.get("softmax_focal")(logits, target, everything).mean()
    expected = kornia.focal_loss(with_background(logits), index, 0.25, 2.0, "mean")
    torch.testing.assert_close(value, expected * 5)  # its mean is over the five choices, too


@pytest.mark.parametrize("level", [1e4, -1e4, 65504.0, 200.0])
def test_saturated_logits(level):
    logits = torch.tensor([level, 0.0, -level]).reshape(1, 3, 1, 1).requires_grad_()
    for chosen in range(4):
        target = torch.eye(4)[chosen, 1:].reshape(1, 3, 1, 1)
        for name in ("cross_entropy", "softmax_focal"):
            loss = losses.get(name)(logits, target, torch.ones(1, 1, 1, 1, dtype=torch.bool))
            (slope,) = torch.autograd.grad(loss.sum(), logits)
            assert loss.isfinite()
            assert slope.isfinite().all()


def test_wrong_number_of_class_weights_is_refused():
    masks = random_masks()[:3]
    with pytest.raises(ValueError, match=r"class_weights must have 5 numbers, .* got 2"):
        losses.get("cross_entropy", class_weights=[1, 2])(*masks)
    with pytest.raises(ValueError, match="class_weights must be >= 0 and not all 0"):
        losses.get("cross_entropy", class_weights=[0, 0])
