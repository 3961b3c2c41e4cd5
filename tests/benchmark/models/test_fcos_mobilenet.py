"""``fcos_mobilenet_v3``: torchvision's FCOS, but for the box loss."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
import torchvision
from torch import Tensor
from torchvision.models.detection import FCOS
from torchvision.models.detection.fcos import FCOSHead

import losses
from benchmark.models.detection.fcos_mobilenet import FCOSMobileNetSpec
from losses.base import Space

CLASSES = 3
BOXES = [
    torch.tensor([[10.0, 12.0, 40.0, 44.0], [50.0, 20.0, 90.0, 90.0]]),
    torch.zeros(0, 4),
    torch.tensor([[0.0, 0.0, 96.0, 96.0]]),
]
LABELS = [torch.tensor([0, 2]), torch.zeros(0, dtype=torch.int64), torch.tensor([1])]


def build(**options: Any):
    torch.manual_seed(0)
    spec = FCOSMobileNetSpec(**{"channels": 32, "convolutions": 1, **options})
    return spec.build(CLASSES)


def batch(height: int = 128, width: int = 128) -> Tensor:
    return torch.randn(3, 3, height, width, generator=torch.Generator().manual_seed(1))


class Recorder(losses.BoxLoss):
    seen: ClassVar[tuple[Tensor, Tensor]]

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        Recorder.seen = (pred.detach(), target.detach())
        return (pred - target).abs().sum(-1)


class InDeltas(Recorder):
    space: ClassVar[Space] = "deltas"


class InBoxes(Recorder):
    space: ClassVar[Space] = "boxes"


def torchvisions_losses(model, images, boxes, labels) -> dict[str, Tensor]:
    """What an FCOS of torchvision with the same weights makes of the batch."""
    head = FCOSHead(32, 1, CLASSES, 1)
    head.load_state_dict(model.network.head.state_dict())
    reference = FCOS(
        model.network.backbone, CLASSES, anchor_generator=model.network.anchor_generator, head=head
    )
    features = list(reference.backbone(images).values())
    sizes = [tuple(images.shape[-2:])] * len(images)
    image_list = torchvision.models.detection.image_list.ImageList(images, sizes)
    anchors = reference.anchor_generator(image_list, features)
    per_level = [f.shape[-2] * f.shape[-1] for f in features]
    targets = [{"boxes": b, "labels": c} for b, c in zip(boxes, labels, strict=True)]
    return reference.compute_loss(targets, head(features), anchors, per_level)


@pytest.mark.parametrize("empty", [False, True], ids=["with boxes", "no boxes at all"])
def test_with_giou_every_term_is_torchvisions(empty):
    model = build()
    boxes = [b[:0] for b in BOXES] if empty else BOXES
    labels = [x[:0] for x in LABELS] if empty else LABELS
    images = batch()
    ours = model.losses(images, boxes, labels, losses.get("giou"))
    theirs = torchvisions_losses(model, images, boxes, labels)
    box = ours.box["box"]
    assert (len(box.values) == 0) == empty
    assert (box.values.sum() / box.normaliser).item() == pytest.approx(
        theirs["bbox_regression"].item(), rel=1e-5
    )
    assert ours.other["classification"].item() == pytest.approx(
        theirs["classification"].item(), rel=1e-5
    )
    assert ours.other["centreness"].item() == pytest.approx(theirs["bbox_ctrness"].item(), rel=1e-5)


def test_gradients_are_torchvisions():
    model = build()
    images = batch()
    found = model.losses(images, BOXES, LABELS, losses.get("giou"))
    box = found.box["box"]
    ours = box.values.sum() / box.normaliser + torch.stack(list(found.other.values())).sum()
    theirs = torch.stack(list(torchvisions_losses(model, images, BOXES, LABELS).values())).sum()
    stem = next(model.parameters())
    one, two = (torch.autograd.grad(loss, stem)[0] for loss in (ours, theirs))
    assert torch.allclose(one, two, rtol=1e-3, atol=1e-6 * two.abs().max().item())


def test_torchvisions_own_modules_are_left_alone():
    fcos = torchvision.models.detection.fcos
    build().losses(batch(), BOXES, LABELS, losses.get("l1"))
    assert fcos.FCOSHead.compute_loss.__module__ == fcos.__name__
    assert fcos.FCOS.compute_loss.__module__ == fcos.__name__
    assert fcos.generalized_box_iou_loss is torchvision.ops.generalized_box_iou_loss
    assert not hasattr(fcos.FCOSHead, "box_loss")


@pytest.mark.parametrize("loss", [InDeltas(), InBoxes()])
def test_the_box_loss_is_called_in_the_space_it_asks_for(loss):
    build().losses(batch(), BOXES, LABELS, loss)
    pred, target = loss.seen
    truth = torch.cat(BOXES)
    if loss.space == "boxes":
        assert all((truth - row).abs().max(1).values.min() < 1e-3 for row in target)
    else:
        # Locations lie inside their boxes, and torchvision's head ends in a ReLU.
        assert (target > 0).all()
        assert (pred >= 0).all()
        assert target.max() < 20


@pytest.mark.parametrize("loss", sorted(losses.BOX))
def test_losses_are_finite_for_a_batch_without_boxes(loss):
    model = build()
    found = model.losses(batch(), [b[:0] for b in BOXES], [x[:0] for x in LABELS], losses.get(loss))
    box = found.box["box"]
    (box.values.sum() / box.normaliser + sum(found.other.values())).backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())
    assert box.normaliser == 1


def test_a_second_batch_may_use_another_loss():
    model = build()
    first = model.losses(batch(), BOXES, LABELS, losses.get("giou")).box["box"].values
    second = model.losses(batch(), BOXES, LABELS, losses.get("l2")).box["box"].values
    assert len(first) == len(second)
    assert not torch.allclose(first, second)


def test_locations_lie_a_stride_apart_where_the_sides_do_not_divide():
    outputs, anchors, per_level = build()._outputs(batch(240, 320))
    assert per_level == [30 * 40, 15 * 20, 8 * 10, 4 * 5]
    assert outputs["cls_logits"].shape[1] == len(anchors[0])
    for level, stride in zip(anchors[0].split(per_level), (8, 16, 32, 64), strict=True):
        centres = (level[:, :2] + level[:, 2:]) / 2
        assert centres[0].tolist() == [0, 0]
        assert centres[:, 0].unique().diff().unique().tolist() == [stride]
        assert centres[:, 1].unique().diff().unique().tolist() == [stride]


@pytest.mark.parametrize("size", [(64, 96), (48, 80)])
def test_predictions_are_sorted_and_inside_the_image(size):
    model = build(score_threshold=0.0, detections=20).eval()
    for found in model.predict(batch(*size)):
        assert len(found.boxes) == len(found.scores) == len(found.labels) == 20
        assert (found.scores.diff() <= 0).all()
        assert ((found.labels >= 0) & (found.labels < CLASSES)).all()
        assert (found.boxes >= 0).all()
        assert (found.boxes[:, 0::2] <= size[1]).all()
        assert (found.boxes[:, 1::2] <= size[0]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 40}, "channels must be a multiple of 32, got 40"),
        ({"convolutions": 0}, "convolutions must be at least 1, got 0"),
        ({"score_threshold": -1.0}, "score_threshold must lie in 0..1, got -1"),
        ({"nms_threshold": 2.0}, "nms_threshold must lie in 0..1, got 2"),
        ({"detections": 0}, "detections must be at least 1, got 0"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
