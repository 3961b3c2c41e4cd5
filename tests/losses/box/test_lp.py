"""L1, Smooth L1, Huber, L2 and Balanced L1."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

import losses

PRED = torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.5, -0.5, 0.0, 2.0]])
ZERO = torch.zeros(2, 4)


B = math.exp(3) - 1
LIFT = 1.5 / B
AT_HALF = 0.5 / B * (B / 2 + 1) * math.log(B / 2 + 1) - 0.25


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("l1", {}, [10, 3]),
        # 1 + 4 + 9 + 16, and 1/4 + 1/4 + 0 + 4: sums of squares, no factor 1/2.
        ("l2", {}, [30, 4.5]),
        # β = 1: |x| - 1/2 at 1, 2, 3, 4; then 1/8 + 1/8 + 0 + 3/2.
        ("smooth_l1", {"beta": 1}, [8, 1.75]),
        # β = 1/9: |x| - 1/18 wherever x is not 0.
        ("smooth_l1", {}, [10 - 4 / 18, 3 - 3 / 18]),
        # β = 4: x² / 8, and 4 - 2 = 2 at 4.
        ("smooth_l1", {"beta": 4}, [14 / 8 + 2, 4.5 / 8]),
        ("smooth_l1", {"beta": 0}, [10, 3]),
        ("smooth_l1", {"beta": 9e-6}, [10, 3]),
        ("huber", {}, [8, 1.75]),
        # δ = 2: 1/2, then 2 (|x| - 1) = 2, 4, 6; 1/8 + 1/8 + 0 + 2.
        ("huber", {"delta": 2}, [12.5, 2.25]),
        # b = e³ - 1. From 1 on: 1.5 |x| + 1.5/b - 0.5, at 1, 2, 3, 4. Below, at 1/2:
        # 0.5/b (b/2 + 1) ln(b/2 + 1) - 0.25, and at 2 the line.
        ("balanced_l1", {}, [13 + 4 * LIFT, 2 * AT_HALF + 2.5 + LIFT]),
        # α ln(b + 1) = γ at α = 1, γ = ln 2: b = 1. β = 4, at 1, 2, 3: (x + 4) ln(x/4 + 1) - x, and
        # at 4: 4 ln 2 + 4 ln 2 - 4.
        (
            "balanced_l1",
            {"alpha": 1, "gamma": math.log(2), "beta": 4},
            [
                sum((x + 4) * math.log(x / 4 + 1) - x for x in (1, 2, 3, 4)),
                2 * (4.5 * math.log(9 / 8) - 0.5) + 6 * math.log(1.5) - 2,
            ],
        ),
    ],
)
def test_hand_worked(name, options, expected):
    loss = losses.get(name, **options)
    torch.testing.assert_close(loss(PRED, ZERO), torch.tensor(expected, dtype=torch.float32))
    torch.testing.assert_close(loss(ZERO, PRED), torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize("name", ["l1", "l2", "smooth_l1", "huber", "balanced_l1"])
def test_gradient_matches_finite_differences(name):
    # Off the kinks at 0, 1/9 and 1.
    pred = torch.linspace(-1.2, 1.3, 12).double().reshape(3, 4).requires_grad_()
    assert gradcheck(lambda p: losses.get(name)(p, torch.zeros_like(p)), (pred,))


@pytest.mark.parametrize("beta", [0, 1e-30, 1e-8, 9.9e-6])
def test_tiny_beta_is_l1_with_its_gradient(beta):
    slopes: list[torch.Tensor] = []
    for loss in (losses.get("smooth_l1", beta=beta), losses.get("l1")):
        pred = torch.tensor([[0.0, 1e-12, -1e-6, 3.0]], requires_grad=True)
        slopes += torch.autograd.grad(loss(pred, torch.zeros(1, 4)).sum(), pred)
    assert slopes[0].tolist() == slopes[1].tolist() == [[0, 1, -1, 1]]


RANGE = {"l1": 4e37, "smooth_l1": 4e37, "huber": 4e37, "balanced_l1": 2.5e37, "l2": 4e18}


@pytest.mark.parametrize("name", RANGE)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_finite_over_the_stated_range(name, data):
    four = st.lists(st.floats(-RANGE[name], RANGE[name]), min_size=4, max_size=4)
    pred = torch.tensor([data.draw(four)], requires_grad=True)
    value = losses.get(name)(pred, torch.tensor([data.draw(four)]))
    (slope,) = torch.autograd.grad(value.sum(), pred)
    assert value.isfinite().all()
    assert slope.isfinite().all()


def test_huber_is_delta_times_smooth_l1():
    pred = torch.linspace(-5, 5, 400).reshape(100, 4)
    for delta in (0.3, 1.0, 2.5):
        smooth = losses.get("smooth_l1", beta=delta)(pred, torch.zeros_like(pred))
        huber = losses.get("huber", delta=delta)(pred, torch.zeros_like(pred))
        torch.testing.assert_close(huber, delta * smooth)


@pytest.mark.parametrize("beta", [0.5, 1, 3])
def test_balanced_l1_has_the_slope_of_its_definition(beta):
    # α ln(b|x|/β + 1) up to β, γ beyond; so 0 at 0 and no jump at β.
    x = torch.linspace(0, 5, 81, dtype=torch.float64)[:, None].requires_grad_()
    loss = losses.get("balanced_l1", beta=beta)
    value = loss(x.expand(-1, 4), torch.zeros(81, 4, dtype=torch.float64))
    (slope,) = torch.autograd.grad(value.sum() / 4, x)
    expected = 0.5 * torch.log((math.e**3 - 1) * x / beta + 1).clamp(max=3)
    torch.testing.assert_close(slope, expected.detach())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("smooth_l1", {"beta": -1}, "beta must be >= 0, got -1"),
        ("huber", {"delta": 0}, "delta must be > 0, got 0"),
        ("balanced_l1", {"alpha": 0}, "alpha must be > 0, got 0"),
        ("balanced_l1", {"beta": 0}, "beta must be > 0, got 0"),
        (
            "balanced_l1",
            {"alpha": 0.01},
            "gamma must be > 0 and at most 80 times alpha = 0.01, got 1.5",
        ),
    ],
)
def test_options_out_of_range(name, options, message):
    with pytest.raises(ValueError, match=f"loss '{name}': ") as error:
        losses.get(name, **options)
    assert str(error.value).endswith(message)
