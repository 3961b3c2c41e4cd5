"""Losses of classes: values of the papers and of torch, extremes, and what every one promises."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

import losses
from losses.base import ClassificationLoss

EVERY = [
    pytest.param(losses.get(name), activation, id=f"{name} {activation}")
    for name, cls in losses.CLASSIFICATION.items()
    for activation in sorted(cls.activations)
]
LABELS = torch.tensor([0, -1, 2, 1, -1])


def example(activation: str, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    columns = 3 if activation == "sigmoid" else 4
    return 2 * torch.randn(5, columns, generator=generator, dtype=torch.float64).to(dtype)


QUALITY = torch.tensor([0.8, 0.3, 0.0, 1.0, 0.5])


def one_hot(labels: Tensor, classes: int) -> Tensor:
    return F.one_hot(labels + 1, classes + 1)[:, 1:].float()


def test_the_names():
    assert set(losses.CLASSIFICATION) == {
        "class_cross_entropy",
        "class_focal",
        "quality_focal",
        "varifocal",
    }
    assert not set(losses.CLASSIFICATION) & {*losses.BOX, *losses.MASK}
    with pytest.raises(ValueError, match="two losses are registered as 'varifocal'"):
        losses.register_box("varifocal")(losses.BOX["giou"])
    with pytest.raises(ValueError, match="two losses are registered as 'giou'"):
        losses.register_classification("giou")(losses.CLASSIFICATION["varifocal"])


def test_cross_entropy_is_torchs():
    loss = losses.get("class_cross_entropy")
    logits = example("softmax")
    expected = F.cross_entropy(logits, LABELS + 1, reduction="none")
    assert torch.equal(loss(logits, LABELS, "softmax"), expected)
    logits = example("sigmoid")
    target = one_hot(LABELS, 3)
    expected = F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(1)
    assert torch.equal(loss(logits, LABELS, "sigmoid"), expected)


@pytest.mark.parametrize("alpha", [None, 0.25, 0.9])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 3.0])
def test_focal_of_sigmoids_is_torchvisions(alpha, gamma):
    logits = example("sigmoid").requires_grad_()
    found = losses.get("class_focal", alpha=alpha, gamma=gamma)(logits, LABELS, "sigmoid")
    expected = sigmoid_focal_loss(
        logits, one_hot(LABELS, 3), alpha=-1 if alpha is None else alpha, gamma=gamma
    ).sum(1)
    assert torch.allclose(found, expected, rtol=1e-6)
    slopes = [torch.autograd.grad(value.sum(), logits)[0] for value in (found, expected)]
    assert torch.allclose(*slopes, rtol=1e-4, atol=1e-7)


def test_focal_of_a_softmax_by_hand():
    # Probabilities 1/2 of the background, 1/4 of each class.
    logits = torch.tensor([[2.0, 1.0, 1.0]]).log().expand(2, 3)
    found = losses.get("class_focal")(logits, torch.tensor([1, -1]), "softmax")
    expected = [0.25 * (3 / 4) ** 2 * math.log(4), 0.75 * (1 / 2) ** 2 * math.log(2)]
    assert found.tolist() == pytest.approx(expected, rel=1e-6)
    plain = losses.get("class_focal", alpha=None, gamma=0.0)(
        logits, torch.tensor([1, -1]), "softmax"
    )
    assert plain.tolist() == pytest.approx([math.log(4), math.log(2)], rel=1e-6)


def test_quality_focal_by_hand():
    # p = 3/4 where y = 1/2, p = 1/4 where y = 0.
    logits = torch.tensor([[3.0, 1 / 3]]).log()
    found = losses.get("quality_focal")(logits, torch.tensor([0]), "sigmoid", torch.tensor([0.5]))
    first = (1 / 4) ** 2 * -(0.5 * math.log(1 / 4) + 0.5 * math.log(3 / 4))
    second = (1 / 4) ** 2 * -math.log(3 / 4)
    assert found.item() == pytest.approx(first + second, rel=1e-6)


def test_quality_focal_without_discount_is_cross_entropy_against_the_quality():
    logits = example("sigmoid")
    target = one_hot(LABELS, 3) * QUALITY[:, None]
    expected = F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(1)
    found = losses.get("quality_focal", beta=0)(logits, LABELS, "sigmoid", QUALITY)
    assert torch.allclose(found, expected)


def test_quality_focal_is_least_where_the_score_is_the_quality():
    logits = torch.linspace(-4, 4, 401)[:, None]
    labels, quality = torch.zeros(401, dtype=torch.int64), torch.full((401,), 0.7)
    values = losses.get("quality_focal")(logits, labels, "sigmoid", quality)
    assert logits[values.argmin()].sigmoid().item() == pytest.approx(0.7, abs=0.01)
    assert values.min() < 1e-5


def test_varifocal_by_hand():
    # An object with q = 0.8 and p = 3/4; for the other class p = 1/4 and no discount but p².
    logits = torch.tensor([[3.0, 1 / 3]]).log()
    found = losses.get("varifocal")(logits, torch.tensor([0]), "sigmoid", torch.tensor([0.8]))
    first = -0.8 * (0.8 * math.log(3 / 4) + 0.2 * math.log(1 / 4))
    second = -0.75 * (1 / 4) ** 2 * math.log(3 / 4)
    assert found.item() == pytest.approx(first + second, rel=1e-6)


def test_varifocal_takes_an_object_whose_box_misses_it_for_background():
    logits = example("sigmoid")
    loss = losses.get("varifocal", alpha=0.5, gamma=1.5)
    none = loss(logits, torch.full((5,), -1), "sigmoid", QUALITY)
    assert torch.equal(loss(logits, LABELS, "sigmoid", torch.zeros(5)), none)
    p = logits.sigmoid()
    assert torch.allclose(none, (-0.5 * p**1.5 * (1 - p).log()).sum(1))


@pytest.mark.parametrize(("loss", "activation"), EVERY)
def test_one_value_a_box_which_no_other_box_changes(loss, activation):
    logits = example(activation)
    found = loss(logits, LABELS, activation, QUALITY)
    assert found.shape == (5,)
    assert (found >= 0).all()
    for i in range(5):
        alone = loss(logits[i : i + 1], LABELS[i : i + 1], activation, QUALITY[i : i + 1])
        assert alone.item() == pytest.approx(found[i].item(), rel=1e-6)
    assert loss(logits[:0], LABELS[:0], activation, QUALITY[:0]).shape == (0,)


@pytest.mark.parametrize(("loss", "activation"), EVERY)
def test_the_gradient_is_that_of_the_value(loss, activation):
    logits = example(activation, torch.float64).requires_grad_()
    quality = QUALITY.double()
    assert torch.autograd.gradcheck(lambda x: loss(x, LABELS, activation, quality), logits)


@pytest.mark.parametrize(("loss", "activation"), EVERY)
def test_right_costs_less_than_wrong(loss, activation):
    columns = 3 if activation == "sigmoid" else 4
    target = one_hot(LABELS, 3) if activation == "sigmoid" else F.one_hot(LABELS + 1, 4).float()
    right, wrong = 8 * (2 * target - 1), 8 * (1 - 2 * target)
    ones = torch.ones(5)
    low, middle, high = (
        loss(logits, LABELS, activation, ones) for logits in (right, torch.zeros(5, columns), wrong)
    )
    assert (low < middle).all()
    assert (middle < high).all()
    if loss.zero_at_match:
        assert (loss(1e4 * (2 * target - 1), LABELS, activation, ones) < 1e-6).all()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("class_cross_entropy", {}),
        *(("class_focal", {"gamma": gamma}) for gamma in (0.0, 0.3, 1.0, 2.0, 5.0)),
        *(("quality_focal", {"beta": beta}) for beta in (0.0, 1.0, 2.0)),
        *(("varifocal", {"gamma": gamma}) for gamma in (0.0, 0.3, 1.0, 2.0, 5.0)),
    ],
)
def test_extreme_logits_stay_finite(name, options):
    loss = losses.get(name, **options)
    extremes = [-1e30, -1e4, -90.0, -1e-30, 0.0, 17.0, 90.0, 1e4, 1e30]
    for activation in sorted(loss.activations):
        columns = 2 if activation == "sigmoid" else 3
        logits = torch.cartesian_prod(*[torch.tensor(extremes)] * columns).requires_grad_()
        for label in (-1, 0, 1):
            labels = torch.full((len(logits),), label)
            for quality in (0.0, 0.5, 1.0):
                values = loss(logits, labels, activation, torch.full((len(logits),), quality))
                (slope,) = torch.autograd.grad(values.sum(), logits)
                assert torch.isfinite(values).all()
                assert torch.isfinite(slope).all()


@settings(max_examples=50, deadline=None)
@given(
    logits=st.lists(st.floats(-30, 30), min_size=3, max_size=3),
    label=st.integers(-1, 2),
    shift=st.floats(-20, 20),
)
def test_of_a_softmax_only_differences_count(logits, label, shift):
    row = torch.tensor([[0.0, *logits]], dtype=torch.float64)
    for name in ("class_cross_entropy", "class_focal"):
        loss = losses.get(name)
        one, two = (loss(x, torch.tensor([label]), "softmax") for x in (row, row + shift))
        assert one.item() == pytest.approx(two.item(), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("loss", "activation"), EVERY)
def test_float32_inside_also_of_16_bit_logits(loss, activation):
    logits = example(activation).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(logits, LABELS, activation, QUALITY.bfloat16())
    assert found.dtype == torch.float32
    assert torch.equal(found, loss(logits.float(), LABELS, activation, QUALITY.bfloat16().float()))
    doubled = loss(logits.double(), LABELS, activation, QUALITY)
    assert doubled.dtype == torch.float64


@pytest.mark.parametrize("name", ["quality_focal", "varifocal"])
def test_no_gradient_flows_into_the_quality(name):
    logits, quality = example("sigmoid").requires_grad_(), QUALITY.clone().requires_grad_()
    losses.get(name)(logits, LABELS, "sigmoid", quality).sum().backward()
    assert quality.grad is None
    assert logits.grad is not None


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("class_focal", (torch.zeros(5, 3, 1), LABELS, "sigmoid"), "logits must be [N, K] and"),
        ("class_focal", (torch.zeros(4, 3), LABELS, "sigmoid"), "got [4, 3] and [5]"),
        ("class_focal", (torch.zeros(5, 3), LABELS, "tanh"), "must be sigmoid or softmax, got"),
        ("varifocal", (torch.zeros(5, 4), LABELS, "softmax"), "must be sigmoid, got 'softmax'"),
        (
            "varifocal",
            (torch.zeros(5, 3), LABELS, "sigmoid"),
            "quality must be [5], the shape of labels",
        ),
        (
            "quality_focal",
            (torch.zeros(5, 3), LABELS, "sigmoid", torch.zeros(4)),
            "quality must be [5], the shape of labels",
        ),
    ],
)
def test_what_does_not_fit_is_refused(name, arguments, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        losses.get(name)(*arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("class_focal", {"alpha": 2.0}, "alpha must be null or between 0 and 1, got 2.0"),
        ("class_focal", {"gamma": -1.0}, "gamma must be >= 0, got -1.0"),
        ("quality_focal", {"beta": 0.5}, "beta must be 0 or >= 1, got 0.5"),
        ("varifocal", {"alpha": -1}, "alpha must be >= 0, got -1"),
        ("varifocal", {"gamma": "x"}, "gamma must be a finite number, got 'x'"),
    ],
)
def test_options_out_of_range_are_refused(name, options, message):
    with pytest.raises(ValueError, match=f"^loss '{name}': ") as caught:
        losses.get(name, **options)
    assert message in str(caught.value)


def test_every_one_says_what_it_is_for():
    for name, cls in losses.CLASSIFICATION.items():
        assert issubclass(cls, ClassificationLoss)
        summary = (cls.__doc__ or "").splitlines()[0]
        assert 10 < len(summary) <= 100, name
        assert summary.endswith("."), name
        assert cls.activations
        assert cls.activations <= {"sigmoid", "softmax"}
