"""Mask R-CNN: torchvision's, but for the losses, that of masks too."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torchvision.models.detection import (
    MaskRCNN,
    MaskRCNN_ResNet50_FPN_Weights,
    fasterrcnn_mobilenet_v3_large_fpn,
    maskrcnn_resnet50_fpn,
)
from torchvision.ops import roi_align

import losses
from benchmark.experiment.loss_parts import LossParts, Weighted
from benchmark.models import MODELS, InstanceModel
from benchmark.models.instance.mask_rcnn import _pasted

CLASSES = 3
SIDE = 128
BOXES = [
    torch.tensor([[10.0, 12.0, 40.0, 44.0], [50.0, 20.0, 90.0, 90.0]]),
    torch.zeros(0, 4),
    torch.tensor([[0.0, 0.0, 96.0, 96.0]]),
]
LABELS = [torch.tensor([0, 2]), torch.zeros(0, dtype=torch.int64), torch.tensor([1])]
DEFAULTS = LossParts({})
SMALL = {
    "channels": 16,
    "head": 16,
    "mask_channels": 16,
    "mask_convolutions": 1,
    "sampled": 32,
    "proposals_train": 100,
    "proposals_test": 100,
}


def ellipses(boxes: Tensor) -> Tensor:
    """uint8 ``[n, SIDE, SIDE]``: the ellipse in each box."""
    grid = torch.arange(SIDE) + 0.5
    x1, y1, x2, y2 = boxes[:, :, None, None].unbind(1)
    across = (2 * grid[None, None, :] - x1 - x2) / (x2 - x1)
    down = (2 * grid[None, :, None] - y1 - y2) / (y2 - y1)
    return (across**2 + down**2 <= 1).to(torch.uint8)


MASKS = [ellipses(boxes) for boxes in BOXES]


def build(**options: Any):
    torch.manual_seed(0)
    return MODELS["mask_rcnn_mobilenet_v3"](**{**SMALL, **options}).build(CLASSES)


def batch() -> Tensor:
    return torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def learned(model, loss=DEFAULTS, empty: bool = False):
    """The losses, the samplers' random stream being the same in every call."""
    torch.manual_seed(5)
    truth = [[t[:0] for t in part] if empty else part for part in (BOXES, LABELS, MASKS)]
    return model.losses(batch(), truth[0], truth[1], loss, truth[2])


def terms(found) -> dict[str, float]:
    reduced = {name: term.reduced() for name, term in {**found.box, **found.mask}.items()}
    return {name: value.item() for name, value in {**reduced, **found.other}.items()}


def total(found) -> Tensor:
    reduced = [term.reduced() for term in {**found.box, **found.mask}.values()]
    return torch.stack([*reduced, *found.other.values()]).sum()


def mobilenet_of_torchvision(**options: Any) -> MaskRCNN:
    """torchvision has the backbone for boxes alone; its own class makes a Mask R-CNN of it."""
    boxes = fasterrcnn_mobilenet_v3_large_fpn(weights=None, weights_backbone=None)
    anchors = boxes.rpn.anchor_generator
    return MaskRCNN(boxes.backbone, rpn_anchor_generator=anchors, **options)


def resnet_of_torchvision(**options: Any) -> MaskRCNN:
    return maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, **options)


TORCHVISIONS = {
    "mask_rcnn_mobilenet_v3": mobilenet_of_torchvision,
    "mask_rcnn_resnet50": resnet_of_torchvision,
}


@pytest.fixture(scope="module", params=sorted(TORCHVISIONS))
def both(request):
    """Ours with torchvision's options, and torchvision's own with the same weights.

    Both look at fewer regions than by default, to save time. Every test lets both see the same
    batches, so the statistics of their norms stay alike.
    """
    torch.manual_seed(0)
    ours = MODELS[request.param](sampled=32, proposals_test=30, detections=5).build(CLASSES)
    theirs = TORCHVISIONS[request.param](
        num_classes=CLASSES + 1,
        box_batch_size_per_image=32,
        box_detections_per_img=5,
        rpn_pre_nms_top_n_test=30,
        rpn_post_nms_top_n_test=30,
        min_size=SIDE,
        max_size=SIDE,
        image_mean=[0, 0, 0],
        image_std=[1, 1, 1],
        _skip_resize=True,  # in training; it would draw from the random stream
    )
    theirs.load_state_dict(ours.network.state_dict())
    return ours, theirs


@pytest.mark.parametrize("empty", [False, True], ids=["with objects", "no object at all"])
def test_every_term_is_torchvisions(both, empty):
    ours, theirs = both
    targets = [
        {"boxes": b, "labels": c + 1, "masks": m}
        for b, c, m in zip(BOXES, LABELS, MASKS, strict=True)
    ]
    if empty:
        targets = [{key: value[:0] for key, value in target.items()} for target in targets]
    torch.manual_seed(5)
    reference = theirs.train()(list(batch()), targets)
    found = learned(ours.train(), empty=empty)
    assert (len(found.mask["mask"].values) == 0) == empty
    names = {
        "rpn_box": "loss_rpn_box_reg",
        "roi_box": "loss_box_reg",
        "objectness": "loss_objectness",
        "classification": "loss_classifier",
        "mask": "loss_mask",
    }
    assert terms(found) == {
        name: pytest.approx(reference[theirs].item(), rel=1e-6) for name, theirs in names.items()
    }


def test_the_detections_and_their_masks_are_torchvisions(both):
    ours, theirs = (model.eval() for model in both)
    with torch.no_grad():
        reference = theirs(list(batch()))
    for one, two in zip(ours.predict(batch()), reference, strict=True):
        assert len(one.boxes) > 0
        assert torch.equal(one.boxes, two["boxes"])
        assert torch.equal(one.scores, two["scores"])
        assert torch.equal(one.labels, two["labels"] - 1)
        assert one.masks.dtype == torch.bool
        assert one.masks.shape == (len(one.boxes), SIDE, SIDE)
        assert torch.equal(one.masks, two["masks"][:, 0] > 0.5)


def test_an_image_without_detections_has_no_masks():
    assert isinstance(build(), InstanceModel)
    for found in build(score_threshold=1.0).eval().predict(batch()):
        assert found.boxes.shape == (0, 4)
        assert found.masks.shape == (0, SIDE, SIDE)
        assert found.masks.dtype == torch.bool


def test_masks_are_pasted_into_their_boxes():
    """A certain left half: in the box, left of its middle, also where the box leaves the image."""
    probabilities = torch.zeros(20, 1, 28, 28)
    probabilities[..., :14] = 1.0
    boxes = torch.tensor([[20.0, 8.0, 48.0, 36.0]]).repeat(20, 1)
    boxes[19] = torch.tensor([40.0, 8.0, 96.0, 36.0])
    masks = _pasted(probabilities, boxes, (48, 64))
    assert masks.shape == (20, 48, 64)
    assert torch.equal(masks[:19], masks[:1].expand(19, -1, -1))
    ys, xs = masks[0].nonzero().T
    assert (ys.min() - 8).abs() <= 1
    assert (ys.max() - 35).abs() <= 1
    assert (xs.min() - 20).abs() <= 1
    assert (xs.max() - 33).abs() <= 1
    _, xs = masks[19].nonzero().T
    assert (xs.min() - 40).abs() <= 2
    assert xs.max() == 63


PLACES = {
    "rpn": ("rpn_box", "l1"),
    "roi": ("roi_box", "giou"),
    "objectness": ("objectness", "class_focal"),
    "classification": ("classification", "class_focal"),
    "mask": ("mask", "dice"),
}


@pytest.mark.parametrize("place", sorted(PLACES))
def test_the_loss_of_one_place_changes_its_term_alone(place):
    term, name = PLACES[place]
    model = build()
    usual = terms(learned(model))
    changed = terms(learned(model, LossParts({place: losses.get(name)})))
    assert [n for n in usual if usual[n] != changed[n]] == [term]
    doubled = terms(learned(model, LossParts({place: Weighted(losses.get(name), 2.0)})))
    assert doubled[term] == pytest.approx(2 * changed[term])


def test_a_plain_box_loss_leaves_the_masks_alone():
    model = build()
    usual, plain = terms(learned(model)), terms(learned(model, losses.get("giou")))
    assert [n for n in usual if usual[n] != plain[n]] == ["rpn_box", "roi_box"]


class Recorder(losses.MaskLoss):
    seen: ClassVar[list[Tensor]] = []

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        Recorder.seen[:] = [logits.detach(), target, valid]
        return logits.mean((1, 2, 3))


def test_a_named_loss_gets_one_binary_mask_a_region():
    model = build()
    found = learned(model, LossParts({"mask": Recorder()}))
    logits, target, valid = Recorder.seen
    assert (
        logits.shape == target.shape == valid.shape == (len(found.mask["mask"].values), 1, 28, 28)
    )
    assert valid.all()
    assert target.unique().tolist() == [0, 1]


def test_the_target_is_what_the_object_covers_of_the_region():
    """Of the regions, true boxes are some: there the mask is the ellipse that fills it."""
    model = build()
    learned(model, LossParts({"mask": Recorder()}))
    share = Recorder.seen[1].mean((1, 2, 3))
    assert ((share - torch.pi / 4).abs() < 0.02).sum() >= sum(len(b) for b in BOXES)
    box = BOXES[2]
    rois = torch.cat([torch.zeros(1, 1), box], 1)
    expected = roi_align(MASKS[2][:, None].float(), rois, (28, 28), 1.0)[:, 0] >= 0.5
    assert any(torch.equal(mask[0] == 1, expected[0]) for mask in Recorder.seen[1])


def test_binary_targets_make_the_models_own_loss_that_of_the_register():
    soft, binary = build(), build(mask_targets="binary")
    named = LossParts({"mask": losses.get("bce")})
    one, two = (terms(learned(model, named)) for model in (soft, binary))
    assert one["mask"] == two["mask"]
    assert terms(learned(binary))["mask"] == pytest.approx(one["mask"], rel=1e-6)
    assert terms(learned(soft))["mask"] != pytest.approx(one["mask"], rel=1e-6)


def test_the_mask_is_learned_from_the_channel_of_its_class():
    model = build()
    found = learned(model)
    weight = model.network.roi_heads.mask_predictor.mask_fcn_logits.weight
    (gradient,) = torch.autograd.grad(found.mask["mask"].reduced(), weight)
    assert (gradient[0] == 0).all()  # the background has a channel, as in torchvision
    assert all(gradient[label + 1].abs().sum() > 0 for label in torch.cat(LABELS).tolist())


def test_the_gradient_reaches_every_weight():
    model = build()
    total(learned(model, losses.get("giou"))).backward()
    dead = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []


def test_without_objects_there_are_gradients_all_the_same():
    model = build()
    value = total(learned(model, losses.get("giou"), empty=True))
    value.backward()
    assert torch.isfinite(value)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("broken", [False, True])
def test_a_batch_of_which_no_region_is_left(broken):
    model = build(proposal_threshold=0.0 if broken else 0.99)
    if broken:
        for weight in model.parameters():
            torch.nn.init.constant_(weight, torch.nan)
    found = learned(model, empty=True)
    assert len(found.mask["mask"].values) == len(found.box["roi_box"].values) == 0
    value = total(found)
    value.backward()
    assert torch.isfinite(value) != broken


def test_masks_are_float32_under_autocast():
    model = build()
    with torch.autocast("cpu", torch.bfloat16):
        found = learned(model, LossParts({"mask": losses.get("dice")}))
        detections = model.eval().predict(batch())
    assert found.mask["mask"].values.dtype == torch.float32
    assert all(d.masks.dtype == torch.bool for d in detections)


def former_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As in torchvision's published file, which is older than some of its modules' names."""
    names = [
        (r"(inner_blocks|layer_blocks)\.(\d)\.0\.", r"\1.\2."),
        (r"rpn\.head\.conv\.0\.0\.", "rpn.head.conv."),
        (r"mask_head\.(\d)\.0\.", lambda found: f"mask_head.mask_fcn{int(found[1]) + 1}."),
    ]
    renamed = {}
    for name, value in state.items():
        for pattern, former in names:
            name = re.sub(pattern, former, name)
        if not name.endswith("num_batches_tracked"):
            renamed[name] = value
    return renamed


def test_published_weights_are_taken_but_for_the_classes(tmp_path, monkeypatch):
    # What torchvision downloads, in the place where it keeps it.
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(7)
    theirs = resnet_of_torchvision(num_classes=91).state_dict()
    url = MaskRCNN_ResNet50_FPN_Weights.COCO_V1.url
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(former_names(theirs), tmp_path / "hub" / "checkpoints" / url.rpartition("/")[2])
    torch.manual_seed(0)
    ours = MODELS["mask_rcnn_resnet50"](weights="full").build(CLASSES).network.state_dict()
    differ = {name.rpartition(".")[0] for name in ours if not torch.equal(ours[name], theirs[name])}
    assert differ == {
        "roi_heads.box_predictor.cls_score",
        "roi_heads.box_predictor.bbox_pred",
        "roi_heads.mask_predictor.mask_fcn_logits",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask_channels": 0}, "mask_channels must be at least 1, got 0"),
        ({"mask_convolutions": 0}, "mask_convolutions must be at least 1, got 0"),
        ({"weights": "full"}, "weights must be none, backbone or a file"),
        ({"channels": 0}, "channels must be at least 1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_a_few_steps_lower_the_loss():
    model = build(finest_stride=16, anchor_sizes=[32, 64, 96])
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    loss = LossParts({"box": losses.get("giou"), "mask": losses.get("dice")})
    sums = []
    for _ in range(8):
        found = learned(model, loss)
        optimizer.zero_grad()
        total(found).backward()
        optimizer.step()
        sums.append((total(found).item(), found.mask["mask"].reduced().item()))
    assert sums[-1][0] < 0.8 * sums[0][0]
    assert sums[-1][1] < 0.9 * sums[0][1]
