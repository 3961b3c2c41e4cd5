"""``lraspp_mobilenet_v3``: torchvision's network behind our interface."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from benchmark.models import MODELS


def build(num_classes: int = 2):
    torch.manual_seed(0)
    return MODELS["lraspp_mobilenet_v3"]().build(num_classes)


@pytest.mark.parametrize("size", [(64, 64), (240, 320), (48, 80)])
def test_one_logit_a_class_and_pixel(size):
    logits = build(3).eval()(torch.randn(2, 3, *size))
    assert logits.shape == (2, 3, *size)
    assert logits.dtype == torch.float32


def test_it_is_torchvisions_network():
    torch.manual_seed(0)
    theirs = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=2).eval()
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(build().eval()(images), theirs(images)["out"])


def test_logits_are_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert build().eval()(torch.randn(1, 3, 32, 32)).dtype == torch.float32


def test_the_gradient_reaches_every_weight():
    model = build()
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    dead = [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0]
    assert dead == []
