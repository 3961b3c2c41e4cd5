"""Options of the IoU family and its relatives that are refused."""

from __future__ import annotations

import pytest

import losses


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
