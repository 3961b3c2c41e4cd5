"""Wise-IoU: the running mean, by hand."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch

import losses


def pairs(n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes ``[n, 4]`` about 30 px long, and targets shifted against them."""
    low = torch.arange(2.0 * n).view(n, 2) * 7
    pred = torch.cat((low, low + torch.tensor([30.0, 20.0])), 1)
    return pred, pred + torch.arange(1.0, n + 1)[:, None]


# 1 - IoU = 6/7; centres 50 apart in square, hull 15 x 15, so d²/c² = 50/450.
FIRST = [0.0, 0, 10, 10], [5.0, 5, 15, 15]
# 1 - IoU = 1; d²/c² = 64/104.
SECOND = [0.0, 0, 2, 2], [8.0, 0, 10, 2]


def step(loss, *pairs):
    """One call that wants a gradient."""
    pred = torch.tensor([pred for pred, _ in pairs], dtype=torch.float64).reshape(-1, 4)
    target = torch.tensor([target for _, target in pairs], dtype=torch.float64).reshape(-1, 4)
    value = loss(pred.requires_grad_(), target)
    value.sum().backward()
    return value.tolist()


def mean(loss):
    return loss.state_dict()["mean"].item()


def v2(beta):
    return math.sqrt(beta)


def v3(beta):
    return beta / (3 * 1.9 ** (beta - 3))


@pytest.mark.parametrize(("form", "weight"), [("v2", v2), ("v3", v3)])
def test_two_steps(form, weight):
    loss = losses.get("wise_iou", form=form, momentum=0.5)
    assert mean(loss) == 1
    # The mean goes half the way from 1 to 6/7, to 13/14, so β = 6/7 · 14/13 = 12/13.
    assert step(loss, FIRST) == pytest.approx([weight(12 / 13) * 6 / 7 * math.exp(1 / 9)])
    assert mean(loss) == pytest.approx(13 / 14)
    # This step's mean is (6/7 + 1) / 2 = 13/14, so the running one stays; β is 12/13 and 14/13.
    assert step(loss, FIRST, SECOND) == pytest.approx(
        [
            weight(12 / 13) * 6 / 7 * math.exp(1 / 9),
            weight(14 / 13) * math.exp(64 / 104),
        ]
    )
    assert mean(loss) == pytest.approx(13 / 14)


def test_weight_of_version_3_is_largest_at_one_over_ln_alpha():
    loss = losses.get("wise_iou", form="v3")
    # With the mean at 1, β is 1 - IoU; a smaller mean spreads β.
    loss.load_state_dict({"mean": torch.tensor(0.1)})
    share = torch.linspace(0.01, 1, 500)
    pred = torch.tensor([[0.0, 0, 1, 1]]).repeat(500, 1)
    pred[:, 2] = 1 - share  # IoU is the width, 1 - share
    target = torch.tensor([[0.0, 0, 1, 1]]).expand(500, 4)
    distance = (share / 2) ** 2 / 2
    weight = loss(pred, target) / (share * torch.exp(distance))
    best = share[weight.argmax()] / 0.1
    assert best.item() == pytest.approx(1 / math.log(1.9), abs=0.02)


def test_default_momentum_halves_in_7000_steps():
    assert (1 - losses.get("wise_iou").momentum) ** 7000 == pytest.approx(0.5)


def test_only_steps_change_the_mean():
    loss = losses.get("wise_iou", momentum=0.5)
    pred, target = torch.tensor([FIRST[0]]), torch.tensor([FIRST[1]])
    loss(pred, target)
    with torch.no_grad():
        loss(pred.requires_grad_(), target)
    torch.func.grad(lambda p: loss(p, target).sum())(pred.detach())
    assert step(loss) == []  # no pair at all
    assert mean(loss) == 1
    step(loss, FIRST)
    assert mean(loss) < 1


def test_state_goes_over_to_another_loss():
    old, new = (losses.get("wise_iou", momentum=0.5) for _ in range(2))
    step(old, FIRST)
    new.load_state_dict(old.state_dict())
    assert step(new, FIRST, SECOND) == step(old, FIRST, SECOND)
    assert mean(new) == mean(old)


def test_saved_state_does_not_change_with_the_next_step():
    loss = losses.get("wise_iou", momentum=0.5)
    step(loss, FIRST)
    saved = loss.state_dict()
    before = saved["mean"].item()
    step(loss, FIRST)
    assert saved["mean"].item() == before != mean(loss)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_have_a_mean_of_their_own(copied):
    loss = losses.get("wise_iou", momentum=0.5)
    step(loss, FIRST)
    other = copied(loss)
    assert other == loss
    assert mean(other) == mean(loss)
    step(other, FIRST)
    assert mean(other) != mean(loss)


def test_version_1_has_no_state():
    loss = losses.get("wise_iou", form="v1")
    step(loss, FIRST)
    loss.load_state_dict(loss.state_dict())
    assert loss.state_dict() == {}
    assert not loss.depends_on_batch
    assert losses.get("wise_iou", form="v2").depends_on_batch


def test_mean_is_no_option_and_not_shown():
    assert "mean" not in repr(losses.get("wise_iou"))
    with pytest.raises(TypeError):
        losses.get("wise_iou", _mean=None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "v4"}, "form must be one of 'v1', 'v2', 'v3', got 'v4'"),
        ({"gamma": 0}, "gamma must be > 0, got 0"),
        ({"alpha": 1}, "alpha must be > 1, got 1"),
        ({"delta": 0}, "delta must be > 0, got 0"),
        ({"momentum": 0}, "momentum must be above 0 and at most 1, got 0"),
        ({"momentum": 1.5}, "momentum must be above 0 and at most 1, got 1.5"),
        ({"focal": 0.5}, "focal must be 0 with the form 'v3', which has a weight, got 0.5"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=r"loss 'wise_iou': ") as error:
        losses.get("wise_iou", **options)
    assert str(error.value).endswith(message)


def test_boxes_in_more_dimensions_count_once():
    pred, target = pairs(6)
    flat, deep = (losses.get("wise_iou", momentum=0.5) for _ in range(2))
    flat(pred.clone().requires_grad_(), target)
    deep(pred.view(2, 3, 4).clone().requires_grad_(), target.view(2, 3, 4))
    assert flat.state_dict()["mean"].item() == pytest.approx(deep.state_dict()["mean"].item())


def test_a_batch_that_is_not_finite_leaves_nothing_behind():
    loss = losses.get("wise_iou", momentum=0.5)
    pred, target = pairs(4)
    loss(torch.full_like(pred, torch.nan).requires_grad_(), target)
    assert loss.state_dict()["mean"].item() == 1


def test_perfect_matches_alone_are_finite():
    loss = losses.get("wise_iou", momentum=1.0)
    _, target = pairs(4)
    pred = target.clone().requires_grad_()
    value = loss(pred, target)
    value.sum().backward()
    assert not value.any()
    assert pred.grad.isfinite().all()
