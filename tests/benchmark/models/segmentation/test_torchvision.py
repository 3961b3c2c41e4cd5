"""torchvision's segmenters behind our interface, held against torchvision's own networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import (
    MobileNet_V3_Large_Weights,
    ResNet50_Weights,
    mobilenet_v3_large,
    resnet50,
    segmentation,
)

from benchmark.models import MODELS
from benchmark.options import UserError
from benchmark.tasks import TASKS
from benchmark.training.batch import Batch
from datasets.sample import IGNORE
from losses import get

NETWORKS: dict[str, Any] = {
    "lraspp_mobilenet_v3": segmentation.lraspp_mobilenet_v3_large,
    "deeplabv3_mobilenet_v3": segmentation.deeplabv3_mobilenet_v3_large,
    "deeplabv3_resnet50": segmentation.deeplabv3_resnet50,
    "fcn_resnet50": segmentation.fcn_resnet50,
}
PUBLISHED: dict[str, Any] = {
    "lraspp_mobilenet_v3": segmentation.LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1,
    "deeplabv3_mobilenet_v3": (
        segmentation.DeepLabV3_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1
    ),
    "deeplabv3_resnet50": segmentation.DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1,
    "fcn_resnet50": segmentation.FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1,
}
WITHOUT_AUXILIARY = {"lraspp_mobilenet_v3"}
"""Networks that torchvision trains and publishes without a second head."""

MOBILE = ["lraspp_mobilenet_v3", "deeplabv3_mobilenet_v3"]
named = pytest.mark.parametrize("name", NETWORKS)


def build(name: str, num_classes: int = 2, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return MODELS[name](**options).build(num_classes)


def theirs(name: str, num_classes: int = 2, seed: int = 0, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    return NETWORKS[name](weights=None, weights_backbone=None, num_classes=num_classes, **options)


def keep(file: str, network: nn.Module, folder: Path) -> None:
    """Put weights where torch looks for what it has downloaded."""
    (folder / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(network.state_dict(), folder / "hub" / "checkpoints" / Path(file).name)


@named
@pytest.mark.parametrize(("num_classes", "size"), [(1, (48, 80)), (5, (64, 32))])
def test_one_logit_a_class_and_pixel(name, num_classes, size):
    with torch.no_grad():
        logits = build(name, num_classes).eval()(torch.randn(2, 3, *size))
    assert logits.shape == (2, num_classes, *size)
    assert logits.dtype == torch.float32


@named
def test_values_are_torchvisions(name):
    images = torch.randn(1, 3, 64, 48)
    with torch.no_grad():
        expected = theirs(name).eval()(images)["out"]
        assert torch.equal(build(name).eval()(images), expected)


@pytest.mark.parametrize("name", MOBILE)
def test_logits_are_float32_under_autocast(name):
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        assert build(name).eval()(torch.randn(1, 3, 32, 32)).dtype == torch.float32


@named
def test_the_gradient_reaches_every_weight(name):
    model = build(name)
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    dead = [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0]
    assert dead == []


@named
def test_the_backbone_is_named(name):
    model = build(name)
    (backbone,) = (model.get_submodule(path) for path in model.backbone)
    outside = sum(p.numel() for p in model.parameters())
    outside -= sum(p.numel() for p in backbone.parameters())
    heads = (v for k, v in theirs(name).named_parameters() if k.startswith("classifier."))
    assert outside == sum(p.numel() for p in heads)


@pytest.mark.parametrize("name", MOBILE)
def test_running_means_follow_the_batches_at_the_pace_asked_for(name):
    images = torch.randn(2, 3, 64, 64)
    model, original = build(name, norm_momentum=0.25).train(), theirs(name).train()
    with torch.no_grad():
        model(images), original(images)
    ours, other = model.network.backbone["0"][1], original.backbone["0"][1]
    assert other.running_mean.abs().max() > 0
    # From 0 both have gone their share of the way to the mean of the batch.
    torch.testing.assert_close(ours.running_mean / 0.25, other.running_mean / 0.01)
    heads = [m for m in model.network.classifier.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {norm.momentum for norm in heads} == {0.1}


@pytest.mark.parametrize("momentum", [0.0, 1.5])
@pytest.mark.parametrize("name", MOBILE)
def test_a_momentum_out_of_range_is_refused(name, momentum):
    with pytest.raises(ValueError, match=f"norm_momentum must lie above 0 .*got {momentum}"):
        MODELS[name](norm_momentum=momentum)


@named
def test_weights_are_checked(name):
    with pytest.raises(ValueError, match="'imagenet' is now called 'backbone'"):
        MODELS[name](weights="imagenet")


@pytest.mark.parametrize(
    ("name", "published", "classifier", "first"),
    [
        ("lraspp_mobilenet_v3", MobileNet_V3_Large_Weights.IMAGENET1K_V2, mobilenet_v3_large,
         ("0.0.weight", "features.0.0.weight")),
        ("deeplabv3_mobilenet_v3", MobileNet_V3_Large_Weights.IMAGENET1K_V2, mobilenet_v3_large,
         ("0.0.weight", "features.0.0.weight")),
        ("deeplabv3_resnet50", ResNet50_Weights.IMAGENET1K_V1, resnet50, ("conv1.weight",) * 2),
        ("fcn_resnet50", ResNet50_Weights.IMAGENET1K_V1, resnet50, ("conv1.weight",) * 2),
    ],
)  # fmt: skip
def test_published_weights_of_the_backbone(
    name, published, classifier, first, tmp_path, monkeypatch
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(7)
    source = classifier(weights=None)
    keep(published.url, source, tmp_path)
    fresh, model = build(name), build(name, weights="backbone")
    own, original = first
    loaded = model.network.backbone.state_dict()[own]
    assert torch.equal(loaded, source.state_dict()[original])
    assert not torch.equal(loaded, fresh.network.backbone.state_dict()[own])
    for left, right in zip(
        model.network.classifier.parameters(), fresh.network.classifier.parameters(), strict=True
    ):
        assert torch.equal(left, right)


@named
def test_published_weights_of_the_whole_network(name, tmp_path, monkeypatch):
    """All but the last layers, which have a channel for the background and 20 for VOC's classes."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    auxiliary = {} if name in WITHOUT_AUXILIARY else {"aux_loss": True}
    source = theirs(name, 21, seed=7, **auxiliary)
    keep(PUBLISHED[name].url, source, tmp_path)
    state, fresh = source.state_dict(), build(name, 3).network.state_dict()
    loaded = build(name, 3, weights="full").network.state_dict()
    kept = {key for key in loaded if not torch.equal(loaded[key], fresh[key])}
    assert all(torch.equal(loaded[key], state[key]) for key in kept)
    other = {key for key in loaded if loaded[key].shape != state[key].shape}
    assert other
    assert all(torch.equal(loaded[key], fresh[key]) for key in other)
    assert all(torch.equal(loaded[key], state[key]) for key in loaded.keys() - other)


def test_a_deeplab_cannot_train_on_single_images():
    model = build("deeplabv3_mobilenet_v3")
    with pytest.raises(UserError, match=r"train.batch_size: .* give at least 2"):
        model(torch.randn(1, 3, 32, 32))


@pytest.mark.parametrize("name", MOBILE)
def test_training_lowers_the_loss_and_ignored_pixels_have_no_part_in_it(name):
    model = build(name).train()
    task = TASKS["segmentation"](get("bce"), 1.0, ["left", "right"])
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    truth = torch.zeros(2, 64, 64, dtype=torch.uint8)
    truth[..., :32] = 1
    truth[..., :16, :] = IGNORE
    images[..., :32] //= 4
    batch = Batch(images, [], [], truth)
    reached = []

    def watch(module: nn.Module, inputs: object, logits: torch.Tensor) -> None:
        logits.register_hook(reached.append)

    model.register_forward_hook(watch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        (loss,) = task.parts(model, batch).values()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    for gradient in reached:
        assert torch.all(gradient[..., :16, :] == 0)
        assert torch.all(gradient[..., 16:, :] != 0)
