"""Weighted sums of losses: values, what they declare, schedules, state, refusals."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
import torch
from torch import Tensor

import losses
from losses.base import Space


def masks(classes: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, classes, 6, 7, generator=generator)
    label = torch.randint(0, classes + 1, (3, 1, 6, 7), generator=generator)
    target = torch.cat([label == c for c in range(1, classes + 1)], 1)
    return logits, target, torch.rand(3, 1, 6, 7, generator=generator) < 0.8


def boxes() -> tuple[Tensor, Tensor]:
    corners = 50 * torch.rand(2, 5, 2, 2, generator=torch.Generator().manual_seed(1))
    pred, target = torch.cat([corners.amin(2), corners.amax(2)], -1)
    return pred, target


@dataclass(frozen=True, kw_only=True)
class Counting(losses.MaskLoss):
    """As many times the mean logit as it was called; remembers what it was told."""

    stops_gradient = "the number of calls"
    depends_on_batch = True
    calls: Tensor = field(
        default_factory=lambda: torch.zeros(()), init=False, compare=False, repr=False
    )
    told: list[float] = field(default_factory=list, init=False, compare=False, repr=False)

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        self.calls.add_(1)
        return self.calls * logits.where(valid, 0).mean((1, 2, 3))

    def progress(self, fraction: float) -> None:
        self.told.append(fraction)

    def state_dict(self) -> dict[str, Tensor]:
        return {"calls": self.calls.clone()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.calls.copy_(state["calls"])


@pytest.fixture
def counting(monkeypatch):
    monkeypatch.setitem(losses.MASK, "counting", Counting)


def test_a_sum_adds_up_its_terms():
    data = masks()
    terms = [{"name": "bce", "weight": 0.5}, {"name": "dice", "smooth": 0.1}, {"name": "jaccard"}]
    expected = (
        0.5 * losses.get("bce")(*data)
        + losses.get("dice", smooth=0.1)(*data)
        + losses.get("jaccard")(*data)
    )
    torch.testing.assert_close(losses.get("sum", terms=terms)(*data), expected)


def test_a_sum_of_box_losses():
    terms = [{"name": "giou", "weight": 3}, {"name": "iou", "form": "log", "weight": 0.1}]
    loss = losses.get("box_sum", terms=terms)
    expected = 3 * losses.get("giou")(*boxes()) + 0.1 * losses.get("iou", form="log")(*boxes())
    torch.testing.assert_close(loss(*boxes()), expected)
    assert loss.space == "boxes"
    assert losses.get("box_sum", terms=[{"name": "l1"}, {"name": "smooth_l1"}]).space == "deltas"


def test_gradients_and_types_are_those_of_the_terms():
    logits, target, valid = masks()
    loss = losses.get("sum", terms=[{"name": "bce", "weight": 2}, {"name": "dice"}])
    assert loss(logits.half(), target, valid).dtype == torch.float32
    assert loss(logits.double(), target, valid).dtype == torch.float64
    assert loss(logits[:0], target[:0], valid[:0]).shape == (0,)
    gradients = []
    for one, weight in ((loss, 1), (losses.get("bce"), 2), (losses.get("dice"), 1)):
        z = logits.clone().requires_grad_()
        (weight * one(z, target, valid)).sum().backward()
        gradients.append(z.grad)
    torch.testing.assert_close(gradients[0], gradients[1] + gradients[2])


def test_a_sum_declares_what_its_terms_do(counting):
    plain = losses.get("sum")
    assert plain.zero_at_match
    assert plain.non_negative
    assert not plain.exclusive
    assert not plain.depends_on_batch
    assert plain.stops_gradient == ""
    mixed = losses.get(
        "sum", terms=[{"name": n} for n in ("bce", "boundary", "lovasz_softmax", "counting")]
    )
    assert not mixed.zero_at_match
    assert not mixed.non_negative
    assert mixed.exclusive
    assert mixed.depends_on_batch
    assert mixed.stops_gradient == "the number of calls"
    assert not losses.MASK["sum"].exclusive


def test_a_schedule_moves_the_weights_of_its_term(counting):
    data = masks()
    ramp = {"from": 0.01, "to": 1, "end": 0.5}
    terms = [
        {"name": "boundary", "weight": ramp},
        {"name": "dice", "weight": {"from": 1, "to": 0.01}},
        {"name": "counting"},
    ]
    loss = losses.get("sum", terms=terms)
    boundary, dice = losses.get("boundary")(*data), losses.get("dice")(*data)
    mean = data[0].where(data[2], 0).mean((1, 2, 3))
    for call, (fraction, first, second) in enumerate(
        [(0, 0.01, 1), (0.25, 0.505, 0.7525), (0.5, 1, 0.505), (1, 1, 0.01)], start=1
    ):
        loss.progress(fraction)
        expected = first * boundary + second * dice + call * mean
        torch.testing.assert_close(loss(*data), expected)
    # Told once more when it was built.
    assert loss.losses[2].told == [0, 0, 0.25, 0.5, 1]


def test_before_training_the_weights_are_the_first():
    loss = losses.get("sum", terms=[{"name": "bce", "weight": {"from": 2, "to": 1}}])
    torch.testing.assert_close(loss(*masks()), 2 * losses.get("bce")(*masks()))


def test_the_state_is_that_of_the_terms(counting):
    terms = [{"name": "counting"}, {"name": "bce"}, {"name": "counting"}]
    used, fresh = (losses.get("sum", terms=terms) for _ in range(2))
    used(*masks())
    used.losses[2](*masks())
    state = used.state_dict()
    assert {key: value.item() for key, value in state.items()} == {"0.calls": 1, "2.calls": 2}
    fresh.load_state_dict(state)
    torch.testing.assert_close(fresh(*masks()), used(*masks()))
    assert losses.get("sum").state_dict() == {}


def test_copies_do_not_share_their_weights():
    loss = losses.get("sum", terms=[{"name": "bce", "weight": {"from": 2, "to": 1}}])
    other = copy.deepcopy(loss)
    other.progress(1)
    assert other == loss
    assert (loss.weights.item(), other.weights.item()) == (2, 1)


def test_another_weight_needs_no_other_graph():
    data = masks()
    loss = losses.get("sum", terms=[{"name": "bce", "weight": {"from": 1, "to": 3}}])
    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    compiled(*data)
    with torch._dynamo.config.patch(error_on_recompile=True):
        loss.progress(0.5)
        torch.testing.assert_close(compiled(*data), 2 * losses.get("bce")(*data))


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ([], "terms must be a list of one loss or more"),
        (5, "terms must be a list, each of it a mapping, got 5"),
        (["bce"], "terms must be a list, each of it a mapping"),
        ([{"weight": 1}], r"terms\.0\.name must be the name of a loss, got None"),
        ([{"name": "bce"}, {"name": "dise"}], r"terms\.1: unknown loss 'dise'.*'dice'"),
        ([{"name": "focal", "gama": 1}], r"terms\.0: loss 'focal' has no option 'gama'"),
        ([{"name": "focal", "gamma": -1}], r"terms\.0: loss 'focal': gamma must be >= 0"),
        ([{"name": "bce", "weight": 0}], r"terms\.0: weight must be a number > 0"),
        ([{"name": "sum"}], r"terms\.0: a sum cannot be part of a sum"),
        ([{"name": "bce"}, {"name": "iou"}], r"terms\.1: 'iou' is a box loss"),
    ],
)
def test_what_is_no_sum_is_refused(terms, message):
    with pytest.raises(ValueError, match=message):
        losses.get("sum", terms=terms)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["iou", "dice"], r"terms\.1: 'dice' is a mask loss"),
        (["iou", "l1"], r"terms\.1: 'l1' works on deltas, but the first term, 'iou', on boxes"),
        (["box_sum"], r"terms\.0: a sum cannot be part of a sum"),
    ],
)
def test_box_losses_that_do_not_fit_are_refused(names, message):
    with pytest.raises(ValueError, match=message):
        losses.get("box_sum", terms=[{"name": name} for name in names])


def test_a_box_loss_of_ones_own_can_be_a_term(monkeypatch):
    @dataclass(frozen=True, kw_only=True)
    class Constant(losses.BoxLoss):
        space: ClassVar[Space] = "boxes"

        def compute(self, pred: Tensor, target: Tensor) -> Tensor:
            return 0 * pred.sum(-1) + 7

    monkeypatch.setitem(losses.BOX, "constant", Constant)
    loss = losses.get("box_sum", terms=[{"name": "constant", "weight": 2}])
    assert loss(*boxes()).tolist() == [14] * 5


def test_progress_between_forward_and_backward():
    loss = losses.get(
        "sum", terms=[{"name": "bce"}, {"name": "dice", "weight": {"from": 0, "to": 1}}]
    )
    logits = torch.zeros(1, 1, 4, 4, requires_grad=True)
    target = torch.ones(1, 1, 4, 4)
    value = loss(logits, target, target > 0).sum()
    loss.progress(1.0)
    value.backward()
    # The dice term had weight 0 when the value was taken: BCE's p - y over 16 pixels is left.
    torch.testing.assert_close(logits.grad, torch.full((1, 1, 4, 4), -0.5 / 16))
