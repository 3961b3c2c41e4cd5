"""RetinaNet: anchors, those that are ignored, the mean over images, published weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models.detection import RetinaNet_ResNet50_FPN_Weights
from torchvision.ops import box_iou

import losses
from benchmark.experiment.loss_parts import LossParts
from benchmark.models.detection.retinanet import RetinaNetMobileNetSpec, RetinaNetResNetSpec

SMALL = {"channels": 16, "anchor_size": 2.0}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return RetinaNetMobileNetSpec(**SMALL).build(3)


def test_each_image_counts_alike_whatever_its_objects(model, boxes, labels):
    """Otherwise the first image, with its two objects, would outweigh the third."""
    images = torch.randn(3, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    model.eval()  # so that an image's outputs do not depend on the others
    with torch.no_grad():
        both = model.losses(images, boxes, labels, losses.get("l1"))
        alone = [
            model.losses(images[i : i + 1], [boxes[i]], [labels[i]], losses.get("l1"))
            for i in range(3)
        ]
    for name in ("box", "classification"):
        parts = [one.box["box"].reduced() if name == "box" else one.other[name] for one in alone]
        whole = both.box["box"].reduced() if name == "box" else both.other[name]
        assert whole.item() == pytest.approx(sum(p.item() for p in parts) / 3, rel=1e-4)
    assert len(both.box["box"].values) == len(both.box["box"].normaliser)


class Column(losses.ClassificationLoss):
    """A loss of 1 for each anchor."""

    activations = frozenset({"sigmoid"})

    def compute(self, logits, labels, activation, quality):
        return torch.ones_like(labels, dtype=torch.float32)


def test_anchors_that_are_neither_object_nor_background_do_not_count(model):
    truth = torch.tensor([[20.0, 20.0, 60.0, 60.0]])
    images = torch.zeros(1, 3, 96, 96)
    with torch.no_grad():
        _, levels = model.outputs(images)
        found = model.losses(
            images, [truth], [torch.tensor([0])], LossParts({"classification": Column()})
        )
    overlap = box_iou(truth, torch.cat(levels))[0]
    between = ((overlap >= 0.4) & (overlap < 0.5) & (overlap < overlap.max())).sum()
    positive = ((overlap >= 0.5) | (overlap == overlap.max())).sum()
    assert between > 0
    assert len(found.box["box"].values) == positive
    counted = found.other["classification"] * positive
    assert counted.item() == pytest.approx(len(overlap) - between.item())


def test_anchor_sizes_follow_the_stride():
    model = RetinaNetMobileNetSpec(channels=16, finest_stride=16, anchor_size=3.0).build(2)
    assert model.strides == [16, 32, 64, 128]
    sizes = model.network.anchor_generator.sizes
    assert sizes[0] == (48, 60, 76)
    assert sizes[3] == (384, 483, 609)


def test_published_weights_bring_their_norms_epsilon(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(4)
    plain = RetinaNetResNetSpec().build(3)
    file = RetinaNet_ResNet50_FPN_Weights.COCO_V1.url.rpartition("/")[2]
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(plain.network.state_dict(), tmp_path / "hub" / "checkpoints" / file)
    loaded = RetinaNetResNetSpec(weights="full").build(3)
    for model, eps in ((plain, 1e-5), (loaded, 1e-12)):
        assert {m.eps for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {eps}
    pairs = zip(plain.parameters(), loaded.parameters(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)
    boxes, labels = [torch.tensor([[4.0, 4.0, 50.0, 60.0]])] * 2, [torch.tensor([1])] * 2
    found = loaded.losses(torch.randn(2, 3, 64, 64), boxes, labels, losses.get("l1"))
    (found.box["box"].reduced() + found.other["classification"]).backward()
    assert all(torch.isfinite(p.grad).all() for p in loaded.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 4}, "channels must be at least 8, got 4"),
        ({"anchor_size": 0.1}, r"anchor_size must make a pixel or more .*, got 0\.1"),
        ({"anchor_size": 1e9}, r"anchor_size must .* be at most 64, got 1000000000\.0"),
        ({"weights": "full"}, "weights must be none, backbone or a file"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RetinaNetMobileNetSpec(**options)
