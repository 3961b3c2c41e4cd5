"""Every dense detector: torchvision's, but that its losses can be others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.ops import box_iou

import losses
from benchmark.experiment.loss_parts import LossParts
from benchmark.models import MODELS
from losses.base import Activation, Space

DEFAULTS = LossParts({})
"""No loss of an experiment: every place has the model's own."""

THEIR_NAMES = {
    "box": "bbox_regression",
    "classification": "classification",
    "centreness": "bbox_ctrness",
}


def terms(found) -> dict[str, Tensor]:
    return {name: term.reduced() for name, term in found.box.items()} | found.other


def check_terms(case, model, boxes, labels) -> dict[str, Tensor]:
    """Hold ours against torchvision's with the same weights and batch."""
    targets = [
        {"boxes": b, "labels": c + case.first_label} for b, c in zip(boxes, labels, strict=True)
    ]
    with torch.no_grad():
        ours = terms(model.losses(case.batch(), boxes, labels, DEFAULTS))
        theirs = case.torchvisions(model)(case.images_for(model), targets)
    assert {THEIR_NAMES[name] for name in ours} == set(theirs)
    for name, value in ours.items():
        assert value.item() == pytest.approx(theirs[THEIR_NAMES[name]].item(), rel=1e-6, abs=1e-12)
    return ours


def test_with_the_default_losses_every_term_is_torchvisions(case, boxes, labels):
    found = check_terms(case, case.build(), boxes[: case.images], labels[: case.images])
    assert all(value > 0 for value in found.values())


def test_without_any_object_too(small, model, boxes, labels):
    found = check_terms(small, model, [b[:0] for b in boxes], [x[:0] for x in labels])
    assert found["box"] == 0


def test_gradients_are_torchvisions(small, boxes, labels):
    model = small.build()
    theirs = small.torchvisions(model)
    targets = [
        {"boxes": b, "labels": c + small.first_label} for b, c in zip(boxes, labels, strict=True)
    ]
    sum(terms(model.losses(small.batch(), boxes, labels, DEFAULTS)).values()).backward()
    sum(theirs(small.images_for(model), targets).values()).backward()
    largest = max(p.grad.abs().max() for p in theirs.parameters())
    pairs = zip(model.network.named_parameters(), theirs.parameters(), strict=True)
    for (name, one), two in pairs:
        assert one.grad is not None, name
        assert torch.allclose(one.grad, two.grad, rtol=1e-3, atol=1e-5 * largest), name
    parts = [model.get_submodule(name) for name in model.backbone]
    learning = [p for part in parts for p in part.parameters()]
    assert len(learning) > 100
    assert all(p.grad.abs().max() > 0 for p in learning)


def test_a_few_steps_lower_every_loss(small, boxes, labels):
    model = small.build()
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    history = []
    for _ in range(8):
        found = terms(model.losses(small.batch(), boxes, labels, DEFAULTS))
        optimiser.zero_grad()
        sum(found.values()).backward()
        optimiser.step()
        history.append({name: value.item() for name, value in found.items()})
    for name in ("box", "classification"):
        assert history[-1][name] < 0.9 * history[0][name]


@pytest.mark.parametrize("loss", ["l2", "ciou"])
def test_another_box_loss_changes_the_box_term_alone(small, model, boxes, labels, loss):
    with torch.no_grad():
        before = terms(model.losses(small.batch(), boxes, labels, DEFAULTS))
        after = terms(model.losses(small.batch(), boxes, labels, losses.get(loss)))
    assert before.keys() == after.keys()
    for name in before:
        assert torch.allclose(before[name], after[name]) == (name != "box"), name


def test_another_classification_loss_changes_that_term_alone(small, model, boxes, labels):
    softmax = MODELS[small.name].places["classification"] == "softmax"
    names = ("class_focal",) if softmax else ("class_cross_entropy", "quality_focal", "varifocal")
    with torch.no_grad():
        before = terms(model.losses(small.batch(), boxes, labels, DEFAULTS))
        for loss in names:
            parts = LossParts({"classification": losses.get(loss)})
            after = terms(model.losses(small.batch(), boxes, labels, parts))
            for name in before:
                same = torch.allclose(before[name], after[name], rtol=1e-4)
                assert same == (name != "classification"), name
            assert torch.isfinite(after["classification"])


class Recorder(losses.BoxLoss):
    seen: ClassVar[tuple[Tensor, Tensor]]

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        Recorder.seen = (pred.detach(), target.detach())
        return (pred - target).abs().sum(-1)


class InDeltas(Recorder):
    space: ClassVar[Space] = "deltas"


class InBoxes(Recorder):
    space: ClassVar[Space] = "boxes"


@dataclass(frozen=True, kw_only=True)
class ClassRecorder(losses.ClassificationLoss):
    activations: ClassVar[frozenset[Activation]] = frozenset({"sigmoid", "softmax"})
    needs_quality: ClassVar[bool] = True
    seen: ClassVar[dict[str, Tensor]] = {}

    def compute(
        self, logits: Tensor, labels: Tensor, activation: Activation, quality: Tensor | None
    ) -> Tensor:
        assert quality is not None
        ClassRecorder.seen.update(logits=logits, labels=labels, quality=quality)
        return logits.sum(1)


def test_losses_get_boxes_in_their_space_and_the_quality_of_these(small, model, boxes, labels):
    with torch.no_grad():
        model.losses(small.batch(), boxes, labels, InDeltas())
        deltas = InDeltas.seen
        parts = LossParts({"box": InBoxes(), "classification": ClassRecorder()})
        model.losses(small.batch(), boxes, labels, parts)
    found, truth = InBoxes.seen
    rows = {tuple(row) for image in boxes for row in image.tolist()}
    assert {tuple(row) for row in truth.tolist()} == rows
    assert deltas[0].shape == found.shape
    assert not torch.allclose(deltas[0], found)
    assert deltas[1].abs().max() < 50  # in sides of anchors

    seen = ClassRecorder.seen
    positive = seen["labels"] >= 0
    by_box = dict(
        zip(map(tuple, torch.cat(boxes).tolist()), torch.cat(labels).tolist(), strict=True)
    )
    assert seen["labels"][positive].tolist() == [by_box[tuple(row)] for row in truth.tolist()]
    assert torch.allclose(seen["quality"][positive], box_iou(found, truth).diagonal(), atol=1e-6)
    assert (seen["quality"][~positive] == 0).all()
    columns = 4 if small.first_label else 3
    assert seen["logits"].shape == (len(positive), columns)


@pytest.mark.parametrize("loss", sorted(losses.BOX))
def test_losses_are_finite_for_a_batch_without_boxes(small, loss):
    model = small.build()
    boxes, labels = [torch.zeros(0, 4)] * 3, [torch.zeros(0, dtype=torch.int64)] * 3
    found = model.losses(small.batch()[..., :32, :32], boxes, labels, losses.get(loss))
    assert len(found.box["box"].values) == 0
    sum(terms(found).values()).backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


def test_16_bit_computing_changes_the_losses_little(small, model, boxes, labels):
    with torch.no_grad():
        whole = terms(model.losses(small.batch(), boxes, labels, losses.get("giou")))
        with torch.autocast("cpu", torch.bfloat16):
            half = terms(model.losses(small.batch(), boxes, labels, losses.get("giou")))
    for name in whole:
        assert half[name].dtype == torch.float32
        assert half[name].item() == pytest.approx(whole[name].item(), rel=0.1)


def test_predictions_are_torchvisions(small):
    model = small.build(score_threshold=0.002).eval()
    theirs = small.torchvisions(model).eval()
    theirs.nms_thresh = model.network.nms_thresh
    theirs.detections_per_img = model.network.detections_per_img
    with torch.no_grad():
        expected = theirs(small.images_for(model))
    found = model.predict(small.batch())
    assert sum(len(one.boxes) for one in found) > 30
    for one, two in zip(found, expected, strict=True):
        assert torch.equal(one.boxes, two["boxes"])
        assert torch.equal(one.scores, two["scores"])
        assert torch.equal(one.labels, two["labels"] - small.first_label)


@pytest.mark.parametrize("size", [(64, 96), (48, 80)])
def test_predictions_are_sorted_and_inside_the_image(small, size):
    model = small.build(score_threshold=0.0, detections=20).eval()
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(2))
    for found in model.predict(images):
        assert len(found.boxes) == len(found.scores) == len(found.labels) == 20
        assert (found.scores.diff() <= 0).all()
        assert ((found.labels >= 0) & (found.labels < 3)).all()
        assert (found.boxes >= 0).all()
        assert (found.boxes[:, 0::2] <= size[1]).all()
        assert (found.boxes[:, 1::2] <= size[0]).all()


def test_torchvisions_own_modules_are_left_alone(model):
    kind = type(model.network)
    assert kind.__module__.startswith("torchvision.models.detection.")
    assert type(model.network.head).__module__.startswith("torchvision.models.detection.")
    assert not [name for name in vars(model.network.head) if name == "compute_loss"]
    fcos = torchvision.models.detection.fcos
    assert fcos.generalized_box_iou_loss is torchvision.ops.generalized_box_iou_loss


def test_the_backbones_norms_follow_as_fast_as_asked(small):
    model = small.build(norm_momentum=0.3)
    norms = [
        layer
        for name in model.backbone
        for layer in model.get_submodule(name).modules()
        if isinstance(layer, nn.BatchNorm2d)
    ]
    assert len(norms) > 40
    assert {layer.momentum for layer in norms} == {0.3}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score_threshold": -1.0}, "score_threshold must lie in 0..1, got -1"),
        ({"nms_threshold": 2.0}, "nms_threshold must lie in 0..1, got 2"),
        ({"detections": 0}, "detections must be at least 1, got 0"),
        ({"weights": "imagenet"}, "weights: 'imagenet' is now called 'backbone'"),
        ({"weights": "best"}, "weights must be none, backbone"),
    ],
)
def test_options_that_all_have(case, options, message):
    with pytest.raises(ValueError, match=message):
        MODELS[case.name](**options)


@pytest.mark.parametrize("momentum", [0.0, -0.1, 1.5])
def test_momentum_out_of_range(small, momentum):
    with pytest.raises(ValueError, match="norm_momentum must lie above 0 and at most at 1, got"):
        MODELS[small.name](norm_momentum=momentum)


def test_a_file_of_another_number_of_classes_fits_but_for_the_last_layers(small, tmp_path):
    """As published weights do, which are of 91 classes."""
    torch.manual_seed(7)
    other = MODELS[small.name](**small.options).build(5).network.state_dict()
    torch.save(other, tmp_path / "other.pth")
    mine = small.build(weights=str(tmp_path / "other.pth")).network.state_dict()
    assert mine.keys() == other.keys()
    fresh = [name for name in mine if mine[name].shape != other[name].shape]
    assert fresh
    assert all("classification_head" in name for name in fresh)
    for name in mine.keys() - set(fresh):
        if "bbox_reg.bias" not in name:  # set by these tests
            assert torch.equal(mine[name], other[name]), name
