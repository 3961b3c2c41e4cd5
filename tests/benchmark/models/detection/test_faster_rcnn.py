"""Faster R-CNN: torchvision's, but for the losses, each of which can be another one."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import pytest
import torch
import torchvision
from torch import Tensor
from torchvision.models.detection import (
    FasterRCNN,
    fasterrcnn_mobilenet_v3_large_fpn,
    fasterrcnn_resnet50_fpn,
)

import losses
from benchmark.experiment.loss_parts import LossParts, Weighted
from benchmark.models import MODELS, rcnn
from benchmark.models.two_stage import Anchors, RegionPool
from losses.base import Space

CLASSES = 3
SIDE = 128
BOXES = [
    torch.tensor([[10.0, 12.0, 40.0, 44.0], [50.0, 20.0, 90.0, 90.0]]),
    torch.zeros(0, 4),
    torch.tensor([[0.0, 0.0, 96.0, 96.0]]),
]
LABELS = [torch.tensor([0, 2]), torch.zeros(0, dtype=torch.int64), torch.tensor([1])]
DEFAULTS = LossParts({})
"""No loss of an experiment: every place has the model's own."""
SMALL = {"channels": 16, "head": 16, "sampled": 32, "proposals_train": 100, "proposals_test": 100}
TORCHVISIONS = {
    "faster_rcnn_mobilenet_v3": fasterrcnn_mobilenet_v3_large_fpn,
    "faster_rcnn_resnet50": fasterrcnn_resnet50_fpn,
}


def build(name: str = "faster_rcnn_mobilenet_v3", **options: Any):
    torch.manual_seed(0)
    return MODELS[name](**{**SMALL, **options}).build(CLASSES)


def batch(height: int = SIDE, width: int = SIDE) -> Tensor:
    return torch.randn(3, 3, height, width, generator=torch.Generator().manual_seed(1))


def learned(model, loss=DEFAULTS, boxes=BOXES, labels=LABELS, images: Tensor | None = None):
    """The losses, the samplers' random stream being the same in every call."""
    torch.manual_seed(5)
    return model.losses(batch() if images is None else images, boxes, labels, loss)


def terms(found) -> dict[str, float]:
    scalars = {name: term.reduced() for name, term in found.box.items()} | found.other
    return {name: value.item() for name, value in scalars.items()}


@pytest.fixture(scope="module", params=sorted(TORCHVISIONS))
def both(request):
    """Ours with torchvision's options, and torchvision's own with the same weights.

    Both look at fewer regions than by default, to save time. Every test lets both see the same
    batches, so the statistics of their norms stay alike.
    """
    torch.manual_seed(0)
    ours = MODELS[request.param](sampled=64, proposals_test=50).build(CLASSES)
    theirs = TORCHVISIONS[request.param](
        weights=None,
        weights_backbone=None,
        num_classes=CLASSES + 1,
        box_batch_size_per_image=64,
        rpn_pre_nms_top_n_test=50,
        rpn_post_nms_top_n_test=50,
        min_size=SIDE,
        max_size=SIDE,
        image_mean=[0, 0, 0],
        image_std=[1, 1, 1],
        _skip_resize=True,  # in training; it would draw from the random stream
    )
    theirs.load_state_dict(ours.network.state_dict())
    return ours, theirs


def torchvisions(theirs, boxes, labels) -> dict[str, Tensor]:
    targets = [{"boxes": b, "labels": c + 1} for b, c in zip(boxes, labels, strict=True)]
    torch.manual_seed(5)
    found = theirs.train()(list(batch()), targets)
    names = {
        "loss_rpn_box_reg": "rpn_box",
        "loss_box_reg": "roi_box",
        "loss_objectness": "objectness",
        "loss_classifier": "classification",
    }
    return {ours: found[name] for name, ours in names.items()}


def test_every_term_and_gradient_is_torchvisions(both):
    ours, theirs = both
    reference = torchvisions(theirs, BOXES, LABELS)
    found = learned(ours.train())
    assert len(found.box["rpn_box"].values) > 0
    assert len(found.box["roi_box"].values) > 0
    expected = {name: pytest.approx(value.item(), rel=1e-6) for name, value in reference.items()}
    assert terms(found) == expected

    total = sum(term.reduced() for term in found.box.values()) + sum(found.other.values())
    first = [next(model.parameters()) for model in (ours, theirs)]
    (one,) = torch.autograd.grad(total, first[0])
    (two,) = torch.autograd.grad(sum(reference.values()), first[1])
    assert torch.allclose(one, two, rtol=1e-3, atol=1e-5 * two.abs().max().item())


def test_without_any_box_it_is_torchvisions_too(both):
    ours, theirs = both
    boxes, labels = [b[:0] for b in BOXES], [c[:0] for c in LABELS]
    reference = torchvisions(theirs, boxes, labels)
    found = learned(ours.train(), boxes=boxes, labels=labels)
    assert len(found.box["rpn_box"].values) == len(found.box["roi_box"].values) == 0
    assert terms(found) == {
        name: pytest.approx(value.item(), rel=1e-6) for name, value in reference.items()
    }


def test_the_detections_are_torchvisions(both):
    ours, theirs = (model.eval() for model in both)
    with torch.no_grad():
        reference = theirs(list(batch()))
    for one, two in zip(ours.predict(batch()), reference, strict=True):
        assert len(one.boxes) > 0
        assert torch.equal(one.boxes, two["boxes"])
        assert torch.equal(one.scores, two["scores"])
        assert torch.equal(one.labels, two["labels"] - 1)
        assert one.masks is None


@pytest.mark.parametrize("name", sorted(TORCHVISIONS))
def test_numbers_of_regions_are_torchvisions_by_default(name):
    theirs = inspect.signature(FasterRCNN.__init__).parameters
    spec: Any = MODELS[name]()
    assert spec.sampled == theirs["box_batch_size_per_image"].default
    for kept in ("pre", "post"):
        assert spec.proposals_train == theirs[f"rpn_{kept}_nms_top_n_train"].default
        assert spec.proposals_test == theirs[f"rpn_{kept}_nms_top_n_test"].default


def test_torchvisions_own_modules_are_left_alone():
    learned(build(), losses.get("giou"))
    detection = torchvision.models.detection
    assert detection.rpn.RegionProposalNetwork.compute_loss.__module__ == detection.rpn.__name__
    assert detection.roi_heads.RoIHeads.forward.__module__ == detection.roi_heads.__name__
    assert detection.roi_heads.fastrcnn_loss.__module__ == detection.roi_heads.__name__
    assert detection.roi_heads.RoIHeads.check_targets.__module__ == detection.roi_heads.__name__


PLACES = {
    "rpn": ("rpn_box", "l1"),
    "roi": ("roi_box", "giou"),
    "objectness": ("objectness", "class_focal"),
    "classification": ("classification", "class_focal"),
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


def test_a_plain_box_loss_stands_at_both_places():
    model = build()
    plain = terms(learned(model, losses.get("giou")))
    giou = losses.get("giou")
    assert plain == terms(learned(model, LossParts({"rpn": giou, "roi": giou})))
    assert plain == terms(learned(model, LossParts({"box": giou})))
    usual = terms(learned(model))
    assert [n for n in usual if usual[n] == plain[n]] == ["objectness", "classification"]


class Recorder(losses.BoxLoss):
    seen: ClassVar[list[tuple[Tensor, Tensor]]] = []

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        Recorder.seen.append((pred.detach(), target.detach()))
        return (pred - target).abs().sum(-1)


class InDeltas(Recorder):
    space: ClassVar[Space] = "deltas"


class InBoxes(Recorder):
    space: ClassVar[Space] = "boxes"


@pytest.mark.parametrize("stage", [0, 1], ids=["rpn", "roi"])
def test_boxes_and_deltas_say_the_same(stage):
    """The truth decoded is the object's box; predictions decoded overlap alike in both spaces."""
    model = build()
    seen = {}
    for loss in (InDeltas(), InBoxes()):
        Recorder.seen.clear()
        learned(model, loss)
        assert len(Recorder.seen) == 2
        seen[loss.space] = Recorder.seen[stage]
    pred, target = seen["boxes"]
    truth = torch.cat(BOXES)
    assert all((truth - row).abs().sum(1).min() == 0 for row in target)
    # Of one row: anchor = a, truth = t: deltas of t are w (t - a) / size, so where the predicted
    # deltas are those of the truth the boxes are too; here by their difference on the centre.
    deltas, wanted = seen["deltas"]
    assert deltas.shape == pred.shape
    weight = [1.0, 10.0][stage]
    centres = (pred[:, :2] + pred[:, 2:] - target[:, :2] - target[:, 2:]) / 2
    size = centres / ((deltas - wanted)[:, :2] / weight)  # of the anchor or proposal
    scale = [1.0, 5.0][stage]
    sides = size * (wanted[:, 2:] / scale).exp()
    assert torch.allclose(sides, target[:, 2:] - target[:, :2], rtol=1e-2)


class NoQuality(losses.ClassificationLoss):
    """Keeps what it was asked with."""

    activations: ClassVar[frozenset[Any]] = frozenset({"sigmoid", "softmax"})
    needs_quality: ClassVar[bool] = True
    seen: ClassVar[dict[str, tuple[Tensor, Tensor, Tensor]]] = {}

    def compute(self, logits, labels, activation, quality):
        NoQuality.seen[activation] = (logits.detach(), labels, quality)
        return logits.sum(1)


def test_classification_losses_get_labels_and_the_fit_of_each_box():
    model = build()
    loss = NoQuality()
    Recorder.seen.clear()
    learned(model, LossParts({"box": InBoxes(), "objectness": loss, "classification": loss}))
    for (pred, target), activation, columns in zip(
        Recorder.seen, ("sigmoid", "softmax"), (1, CLASSES + 1), strict=True
    ):
        logits, labels, quality = NoQuality.seen[activation]
        assert logits.shape == (len(labels), columns)
        objects = labels >= 0
        assert (quality[~objects] == 0).all()
        expected = torchvision.ops.box_iou(pred, target).diagonal()
        assert torch.allclose(quality[objects], expected, atol=1e-6)
    # True boxes are among the regions, so every class of the truth is seen.
    assert NoQuality.seen["sigmoid"][1].unique().tolist() == [-1, 0]
    assert NoQuality.seen["softmax"][1].unique().tolist() == [-1, 0, 1, 2]


@pytest.mark.parametrize("name", ["quality_focal", "varifocal", "class_cross_entropy"])
def test_registered_losses_of_objectness_have_gradients(name):
    model = build()
    found = learned(model, LossParts({"objectness": losses.get(name)}))
    weight = model.network.rpn.head.cls_logits.weight
    (gradient,) = torch.autograd.grad(found.other["objectness"], weight)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().sum() > 0


def test_the_gradient_reaches_every_weight():
    model = build()
    found = learned(model, losses.get("giou"))
    total = sum(term.reduced() for term in found.box.values()) + sum(found.other.values())
    total.backward()
    dead = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []


@pytest.mark.parametrize(
    ("finest", "strides"),
    [(None, [32, 32, 64]), (4, [4, 8, 16, 32, 64]), (8, [8, 16, 32, 64]), (32, [32, 64])],
)
@pytest.mark.parametrize("size", [(128, 128), (80, 112)])
def test_pyramids(finest, strides, size):
    model = build(finest_stride=finest)
    assert model.network.rpn.anchor_generator.strides == strides
    maps = list(model.network.backbone(torch.zeros(2, 3, *size)).values())
    for level, stride in zip(maps, strides, strict=True):
        assert list(level.shape[-2:]) == [-(-side // stride) for side in size]
    boxes = [torch.tensor([[5.0, 5.0, 30.0, 40.0]])] * 2
    labels = [torch.tensor([0])] * 2
    found = learned(model, boxes=boxes, labels=labels, images=torch.randn(2, 3, *size))
    assert all(torch.isfinite(torch.tensor(value)) for value in terms(found).values())
    for detections in model.eval().predict(torch.randn(2, 3, *size)):
        assert (detections.boxes >= 0).all()
        assert (detections.boxes[:, 2] <= size[1]).all()
        assert (detections.boxes[:, 3] <= size[0]).all()


def test_the_resnets_pyramid_may_start_later():
    model = build("faster_rcnn_resnet50", finest_stride=16, anchor_sizes=[16, 32, 64])
    assert model.network.rpn.anchor_generator.strides == [16, 32, 64]
    assert all(torch.isfinite(torch.tensor(value)) for value in terms(learned(model)).values())


def test_anchors_stand_at_the_strides_also_where_the_side_does_not_divide():
    anchors = Anchors([[4], [8]], [1.0], [16, 32])
    maps = [torch.zeros(1, 1, 3, 2), torch.zeros(1, 1, 2, 1, dtype=torch.bfloat16)]
    images = torchvision.models.detection.image_list.ImageList(
        torch.zeros(1, 3, 48, 32), [(48, 32)]
    )
    (found,) = anchors(images, maps)
    assert found.dtype == torch.float32
    centres = ((found[:, :2] + found[:, 2:]) / 2).tolist()
    assert centres == [[0, 0], [16, 0], [0, 16], [16, 16], [0, 32], [16, 32], [0, 0], [0, 32]]


def test_one_size_a_level_or_all():
    one = build(finest_stride=16, sizes_a_level="one", anchor_sizes=[12, 24, 48])
    assert one.network.rpn.anchor_generator.sizes == ((12,), (24,), (48,))
    every = build(finest_stride=16, anchor_sizes=[12, 24])
    assert every.network.rpn.anchor_generator.sizes == ((12, 24),) * 3


def test_options_reach_their_places():
    model = build(
        score_threshold=0.2,
        nms_threshold=0.3,
        detections=7,
        sampled=20,
        proposals_train=11,
        proposals_test=12,
        proposal_threshold=0.1,
        norm_momentum=0.02,
    )
    heads, rpn = model.network.roi_heads, model.network.rpn
    assert (heads.score_thresh, heads.nms_thresh, heads.detections_per_img) == (0.2, 0.3, 7)
    assert heads.fg_bg_sampler.batch_size_per_image == 20
    assert (rpn.pre_nms_top_n(), rpn.post_nms_top_n(), rpn.score_thresh) == (11, 11, 0.1)
    model.eval()
    assert (rpn.pre_nms_top_n(), rpn.post_nms_top_n()) == (12, 12)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {norm.momentum for norm in norms} == {0.02}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 0}, "channels must be at least 1, got 0"),
        ({"head": 0}, "head must be at least 1, got 0"),
        ({"proposals_train": 0}, "proposals_train must be at least 1, got 0"),
        ({"proposals_test": -1}, "proposals_test must be at least 1, got -1"),
        ({"sampled": 3}, "sampled must be at least 4, got 3"),
        ({"proposal_threshold": 1.0}, "proposal_threshold must be in 0..1, below 1, got 1.0"),
        ({"norm_momentum": 0.0}, "norm_momentum must"),
        ({"anchor_sizes": []}, "anchor_sizes must be numbers of at least 1"),
        ({"anchor_sizes": [0, 8]}, "anchor_sizes must be numbers of at least 1"),
        (
            {"sizes_a_level": "one", "finest_stride": 8},
            r"anchor_sizes must be 4, one for each level of the pyramid, got \[32, 64, 128, 256",
        ),
        ({"weights": "imagenet"}, "weights: 'imagenet' is now called 'backbone'"),
        ({"weights": "nowhere.pth"}, "there is no file nowhere.pth"),
        ({"score_threshold": 2.0}, "score_threshold must lie in 0..1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_weights_of_a_run_are_taken_with_another_number_of_classes(tmp_path):
    model = build()
    path = tmp_path / "checkpoint.pt"
    torch.save({"model": model.state_dict()}, path)
    torch.manual_seed(9)
    other = MODELS["faster_rcnn_mobilenet_v3"](**SMALL, weights=str(path)).build(5)
    theirs, ours = model.state_dict(), other.state_dict()
    differ = [name for name in theirs if not torch.equal(theirs[name], ours[name])]
    assert {name.rsplit(".", 2)[0] for name in differ} == {"network.roi_heads.box_predictor"}


def test_published_weights_of_the_backbone_are_taken(tmp_path, monkeypatch):
    # What torchvision downloads, in the place where it keeps it.
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(7)
    published = torchvision.models.mobilenet_v3_large(weights=None).state_dict()
    url = torchvision.models.MobileNet_V3_Large_Weights.IMAGENET1K_V2.url
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(published, tmp_path / "hub" / "checkpoints" / url.rpartition("/")[2])
    model = build(weights="backbone")
    for name in model.backbone:
        for key, value in model.get_submodule(name).state_dict().items():
            assert torch.equal(value, published[f"features.{key}"])


@pytest.mark.parametrize(
    ("name", "epsilon"),
    [("faster_rcnn_resnet50", 1e-12), ("mask_rcnn_resnet50", 1e-12),
     ("faster_rcnn_mobilenet_v3", 1e-5)],
)  # fmt: skip
def test_published_weights_bring_their_norms_epsilon(monkeypatch, name, epsilon):
    monkeypatch.setattr(rcnn, "load_weights", lambda *args, **options: None)
    model = MODELS[name](weights="full").build(CLASSES)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {epsilon}


@pytest.mark.parametrize("broken", [False, True])
def test_a_batch_of_which_no_region_is_left(broken):
    """Neither objects nor proposals, as when weights are no numbers: a loss that says so."""
    model = build(proposal_threshold=0.0 if broken else 0.99)
    if broken:
        for weight in model.parameters():
            torch.nn.init.constant_(weight, torch.nan)
    found = learned(model, boxes=[b[:0] for b in BOXES], labels=[c[:0] for c in LABELS])
    assert len(found.box["roi_box"].values) == 0
    assert terms(found)["classification"] == 0
    total = sum(term.reduced() for term in found.box.values()) + sum(found.other.values())
    total.backward()
    assert torch.isfinite(total) != broken


def test_regions_are_pooled_at_the_strides_also_where_the_side_does_not_divide():
    pool = RegionPool([4, 8], 7)
    theirs = torchvision.ops.MultiScaleRoIAlign(["0", "1"], 7, 2)
    boxes = [torch.tensor([[3.0, 5.0, 20.0, 30.0], [0.0, 0.0, 64.0, 64.0]])]
    maps = {"0": torch.randn(1, 2, 16, 16), "1": torch.randn(1, 2, 8, 8)}
    assert torch.equal(pool(maps, boxes, [(64, 64)]), theirs(maps, boxes, [(64, 64)]))
    assert (pool.scales, pool.map_levels.k_min) == (theirs.scales, theirs.map_levels.k_min)
    assert pool.map_levels.k_max == theirs.map_levels.k_max
    # torchvision takes a map of 2 from an image of 33 for one of stride 16.
    far = {"0": torch.randn(1, 2, 2, 2)}
    again = RegionPool([32], 1)(far, [torch.tensor([[0.0, 0.0, 32.0, 32.0]])], [(33, 33)])
    expected = torchvision.ops.roi_align(far["0"], [torch.tensor([[0.0, 0, 32, 32]])], 1, 1 / 32, 2)
    assert torch.equal(again, expected)


def test_under_autocast_boxes_stay_exact():
    model = build().eval()
    with torch.autocast("cpu", torch.bfloat16):
        found = model.predict(batch())
        model.train()
        loss = learned(model)
    assert all(d.boxes.dtype == d.scores.dtype == torch.float32 for d in found)
    assert all(term.values.dtype == torch.float32 for term in loss.box.values())


def test_a_few_steps_lower_the_loss():
    model = build(finest_stride=16, anchor_sizes=[32, 64, 96])
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    sums = []
    for _ in range(8):
        found = learned(model, losses.get("giou"))
        total = sum(term.reduced() for term in found.box.values()) + sum(found.other.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        sums.append(total.item())
    assert sums[-1] < 0.8 * sums[0]
