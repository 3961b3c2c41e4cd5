"""L1, Smooth L1 and L2."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

import losses

PRED = torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.5, -0.5, 0.0, 2.0]])
ZERO = torch.zeros(2, 4)


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
    ],
)
def test_hand_worked(name, options, expected):
    loss = losses.get(name, **options)
    torch.testing.assert_close(loss(PRED, ZERO), torch.tensor(expected, dtype=torch.float32))
    torch.testing.assert_close(loss(ZERO, PRED), torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize("name", ["l1", "l2", "smooth_l1"])
def test_gradient_matches_finite_differences(name):
    pred = torch.linspace(-1, 1, 12).double().reshape(3, 4).requires_grad_()
    assert gradcheck(lambda p: losses.get(name)(p, torch.zeros_like(p)), (pred,))


@pytest.mark.parametrize("beta", [0, 1e-30, 1e-8, 9.9e-6])
def test_tiny_beta_is_l1_with_its_gradient(beta):
    slopes: list[torch.Tensor] = []
    for loss in (losses.get("smooth_l1", beta=beta), losses.get("l1")):
        pred = torch.tensor([[0.0, 1e-12, -1e-6, 3.0]], requires_grad=True)
        slopes += torch.autograd.grad(loss(pred, torch.zeros(1, 4)).sum(), pred)
    assert slopes[0].tolist() == slopes[1].tolist() == [[0, 1, -1, 1]]


RANGE = {"l1": 4e37, "smooth_l1": 4e37, "l2": 4e18}


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
