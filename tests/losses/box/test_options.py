"""Options of the IoU family and its relatives that are refused."""

from __future__ import annotations

import pytest
import torch

import losses


def pairs(n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes ``[n, 4]`` about 30 px long, and targets shifted against them."""
    low = torch.arange(2.0 * n).view(n, 2) * 7
    pred = torch.cat((low, low + torch.tensor([30.0, 20.0])), 1)
    return pred, pred + torch.arange(1.0, n + 1)[:, None]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("iou", {"power": 0}, "power must be > 0, got 0"),
        ("iou", {"form": "log", "power": 2}, "power must be 1 with the form 'log', got 2"),
        ("iou", {"inner_ratio": -1}, "inner_ratio must be > 0, got -1"),
        ("giou", {"focal": -0.5}, "focal must be >= 0, got -0.5"),
        ("bounded_iou", {"beta": 0}, "beta must be above 0 and at most 1, got 0"),
        ("extended_iou", {"smooth_point": 2}, "smooth_point must be from 0 to 1, got 2"),
        ("siou", {"theta": 0.5}, "theta must be >= 1, got 0.5"),
        ("shape_iou", {"theta": 0.5}, "theta must be >= 1, got 0.5"),
        ("shape_iou", {"scale": -1}, "scale must be >= 0, got -1"),
        ("mpdiou", {"image_width": 0}, "image_width must be > 0, got 0"),
        (
            "mpdiou",
            {"image_width": 640},
            "image_height must be given together with image_width, got None",
        ),
        ("powerful_iou", {"attention": 0}, "attention must be > 0, got 0"),
        (
            "powerful_iou",
            {"form": "v2", "focal": 1},
            "focal must be 0 with the form 'v2', which has an attention of its own, got 1",
        ),
        ("nwd", {"constant": 0}, "constant must be > 0, got 0"),
    ],
)
def test_options_out_of_range(name, options, message):
    with pytest.raises(ValueError, match=f"loss '{name}': ") as error:
        losses.get(name, **options)
    assert str(error.value).endswith(message)


@pytest.mark.parametrize("name", ["bounded_iou", "extended_iou", "nwd", "l1"])
def test_losses_without_iou_have_not_its_options(name):
    with pytest.raises(TypeError, match="has no option 'inner_ratio'"):
        losses.get(name, inner_ratio=0.8)


@pytest.mark.parametrize("power", [0.1, 0.5, 3.0])
@pytest.mark.parametrize("name", ["iou", "giou", "diou", "ciou", "eiou"])
def test_any_power_costs_nothing_at_a_match(name, power):
    _, target = pairs()
    assert losses.get(name, power=power)(target, target).abs().max() < 1e-6


def test_focal_leaves_disjoint_boxes_without_any_loss():
    loss = losses.get("eiou", focal=0.05)
    pred = torch.tensor([[60.0, 20, 90, 60]], requires_grad=True)  # apart in x only
    value = loss(pred, torch.tensor([[10.0, 20, 50, 60]]))
    assert value.item() == 0
    assert not torch.autograd.grad(value.sum(), pred)[0].any()
