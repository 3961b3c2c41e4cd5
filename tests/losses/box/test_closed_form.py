"""The closed-form gradients of the IoU family against automatic differentiation."""

from __future__ import annotations

import pytest
import torch

import losses
from losses.box._overlap import OverlapLoss

FAMILY = [name for name, cls in losses.BOX.items() if issubclass(cls, OverlapLoss)]
SHARED = [
    {},
    {"power": 3},
    {"power": 0.5},
    {"inner_ratio": 0.7},
    {"inner_ratio": 1.3, "power": 2.0},
    {"focal": 0.5},
]
OWN = {
    "iou": [{"form": "log"}, {"form": "square"}, {"form": "log", "inner_ratio": 1.2}],
    "ciou": [{"gate": True}],
    "siou": [{"theta": 1.0}, {"theta": 2.5}],
    "shape_iou": [{"scale": 1.5}, {"scale": 0.5, "theta": 1.0, "power": 2}],
    "mpdiou": [{"image_width": 128, "image_height": 100, "power": 2}],
    "powerful_iou": [
        {"form": "v2"},
        {"form": "v2", "attention_gradient": True},
        {"form": "v2", "attention_gradient": True, "power": 2, "inner_ratio": 0.8},
    ],
    "wise_iou": [{"form": "v1"}, {"form": "v1", "focal": 1.0}, {"form": "v2", "power": 2}],
}
HAS_OWN_WEIGHT = {"wise_iou"}
CONFIGURATIONS = [
    pytest.param(losses.get(name, **options), id=f"{name}-{options}")
    for name in FAMILY
    for options in SHARED + OWN.get(name, [])
    if not ("focal" in options and "form" not in options and name in HAS_OWN_WEIGHT)
]
TARGET = [10.0, 20, 50, 60]
ODD = [
    [10, 20, 50, 60],  # the target itself
    [10, 20, 30, 40],  # a corner and two sides shared
    [50, 20, 90, 60],  # side by side
    [20, 30, 30, 40],  # inside
    [20, 30, 40, 50],  # inside, same centre
    [-10, 0, 70, 80],  # around, same centre
    [200, 20, 240, 60],  # shifted along one axis
    [1e4, 1e4, 1e4 + 1, 1e4 + 1],
    [30, 40, 30, 40],  # a point at the centre
    [10, 20, 10, 20],  # a point at a corner
    [30, 25, 30, 55],  # no width
    [50, 60, 10, 20],  # inverted
    [50, 20, 10, 60],  # inverted along one axis
    [300, 200, 250, 150],
    [3000, 60, -1000, 30],
]


def pairs():
    generator = torch.Generator().manual_seed(0)
    corner, size = torch.rand(2, 2, 150, 2, generator=generator, dtype=torch.float64)
    low, size = corner * 100, 2 + size * 78
    pred, target = torch.cat([low, low + size], -1)
    pred[::3] = target[::3] + 4 * (pred[::3] / 180 - 0.5)
    odd = torch.tensor(ODD, dtype=torch.float64)
    plain = torch.tensor(TARGET, dtype=torch.float64).expand_as(odd)
    # Degenerate predictions, targets, and both.
    return torch.cat([pred, odd, plain, odd]), torch.cat([target, plain, odd, odd])


@pytest.mark.parametrize("loss", CONFIGURATIONS)
def test_it_is_the_gradient_of_the_definition(loss):
    pred, target = pairs()
    leaf = pred.clone().requires_grad_()
    expected = loss.plain(leaf, target)
    (slope,) = torch.autograd.grad(expected.sum(), leaf)
    value, gradient = loss.value_and_gradient(pred, target)
    torch.testing.assert_close(value, expected.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient.t(), slope, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", FAMILY)
def test_it_is_used_and_scaled_by_what_comes_after(name):
    pred, target = pairs()
    loss = losses.get(name, **({"form": "v1"} if name == "wise_iou" else {}))
    leaf = pred.clone().requires_grad_()
    weight = torch.linspace(-1, 2, len(pred), dtype=torch.float64)
    (slope,) = torch.autograd.grad((loss(leaf, target) * weight).sum(), leaf)
    _, gradient = loss.value_and_gradient(pred, target)
    torch.testing.assert_close(slope, gradient.t() * weight[:, None])


@pytest.mark.parametrize("name", FAMILY)
def test_many_boxes_give_what_few_do(name):
    # More than fit into one block.
    pred, target = (box.float().repeat(150, 1) for box in pairs())
    loss = losses.get(name, **({"form": "v1"} if name == "wise_iou" else {}))
    leaf = pred.clone().requires_grad_()
    value = loss(leaf, target)
    (slope,) = torch.autograd.grad(value.sum(), leaf)
    few = len(pred) // 150
    part = pred[:few].clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(part, target[:few]).sum(), part)
    assert value.view(150, -1).eq(value[:few]).all()
    assert slope.view(150, few, 4).eq(expected).all()
