"""``lraspp_mobilenet_v3``: torchvision's network behind our interface."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.models import MobileNet_V3_Large_Weights, mobilenet_v3_large
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


def test_published_weights_of_the_backbone_are_taken(tmp_path, monkeypatch):
    # What torchvision downloads, in the place where it keeps it.
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(7)
    published = mobilenet_v3_large(weights=None)
    file = Path(MobileNet_V3_Large_Weights.IMAGENET1K_V2.url).name
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(published.state_dict(), tmp_path / "hub" / "checkpoints" / file)
    for name in ("lraspp_mobilenet_v3", "fcos_mobilenet_v3"):
        torch.manual_seed(8)
        weights = MODELS[name](weights="imagenet").build(2).state_dict()  # type: ignore[call-arg]
        ends = ("backbone.0.0.weight", "backbone.body.0.0.weight")
        (first,) = (w for key, w in weights.items() if key.endswith(ends))
        torch.testing.assert_close(first, published.state_dict()["features.0.0.weight"])
