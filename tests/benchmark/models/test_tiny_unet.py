"""``tiny_unet``: shapes, gradients, learning."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from benchmark.models.segmentation.tiny_unet import TinyUNetSpec


def build(num_classes: int = 2, width: int = 4):
    torch.manual_seed(0)
    return TinyUNetSpec(width=width).build(num_classes)


@pytest.mark.parametrize("size", [(64, 64), (240, 320), (48, 80), (32, 32)])
@pytest.mark.parametrize("num_classes", [1, 3])
def test_one_logit_a_class_and_pixel(size, num_classes):
    logits = build(num_classes)(torch.randn(2, 3, *size))
    assert logits.shape == (2, num_classes, *size)
    assert logits.dtype == torch.float32


def test_logits_are_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert build()(torch.randn(2, 3, 32, 32)).dtype == torch.float32


def test_the_gradient_reaches_every_weight():
    model = build()
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    dead = [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0]
    assert dead == []


def test_the_skip_connections_carry_detail():
    """A changed pixel changes the logits near it most: the output is not the coarse path alone."""
    model = build().eval()
    image = torch.zeros(1, 3, 64, 64)
    dotted = image.clone()
    dotted[..., 20, 40] = 20.0
    with torch.no_grad():
        change = (model(dotted) - model(image)).abs().amax((0, 1))
    y, x = divmod(int(change.argmax()), 64)
    assert abs(y - 20) <= 8
    assert abs(x - 40) <= 8


def test_the_default_is_small():
    assert sum(p.numel() for p in TinyUNetSpec().build(20).parameters()) < 300_000


def test_a_width_too_small_is_refused():
    with pytest.raises(ValueError, match="width must be at least 4, got 3"):
        build(width=3)


def test_it_learns_four_images_by_heart(shapes_splits):
    split = shapes_splits["val"]
    images = torch.stack([torch.tensor(split.image(i)) for i in range(4)])
    images = images.permute(0, 3, 1, 2) / 128 - 1
    masks = torch.stack([torch.tensor(split.semantic(i)) for i in range(4)])
    target = (masks > 0)[:, None].float()
    model = build(num_classes=1, width=8)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model(images), target).backward()
        optimizer.step()
    found = model.eval()(images) > 0
    both, either = (found & (target > 0)).sum(), (found | (target > 0)).sum()
    assert 0.05 < target.mean() < 0.5
    assert both / either > 0.75
