"""Losses of other projects are called as ours are and compute what they compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn
from torch.nn import functional as F
from torchvision import ops

from losses import BoxLoss, get
from losses.adapters import AdapterError, adapt

PRED = torch.tensor([[1.0, 2.0, 6.0, 7.0], [30.0, 30.0, 40.0, 50.0]])
TARGET = torch.tensor([[2.0, 2.0, 5.0, 9.0], [1.0, 1.0, 4.0, 5.0]])
MASKS = torch.zeros(2, 1, 4, 5)
MASKS[0, :, :2, :3] = 1
LOGITS = torch.linspace(-2, 2, 40).reshape(2, 1, 4, 5)
VALID = torch.ones(2, 1, 4, 5, dtype=torch.bool)


class Reduced(nn.Module):
    """Mean over everything, as a class with an option."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, pred, target):
        return self.factor * (pred - target).abs().mean()


def test_function_with_reduction_is_asked_for_single_values():
    loss = adapt(ops.generalized_box_iou_loss)
    value = loss(PRED, TARGET)
    torch.testing.assert_close(value, ops.generalized_box_iou_loss(PRED, TARGET))
    assert not loss.reduces


def test_four_values_a_pair_are_summed():
    loss = adapt(F.l1_loss, kind="box", space="deltas")
    assert loss(PRED, TARGET).tolist() == [1 + 0 + 1 + 2, 29 + 29 + 36 + 45]
    assert loss.space == "deltas"


def test_reducing_box_loss_is_called_pair_by_pair():
    loss = adapt(Reduced, {"factor": 2}, kind="box")
    assert loss.reduces
    assert loss(PRED, TARGET).tolist() == [2 * 4 / 4, 2 * 139 / 4]
    assert loss.original(PRED, TARGET).item() == 2 * 143 / 8


def test_reducing_mask_loss_is_called_image_by_image():
    loss = adapt(smp.losses.DiceLoss, {"mode": "binary"}, kind="mask")
    value = loss(LOGITS, MASKS, VALID)
    p = LOGITS[0].sigmoid()
    dice = 2 * (p * MASKS[0]).sum() / (p.sum() + MASKS[0].sum())
    torch.testing.assert_close(value[0], 1 - dice)
    assert value.shape == (2,)
    assert loss.original(LOGITS, MASKS) != value.mean()


def test_pixel_values_are_averaged_over_each_image():
    loss = adapt(ops.sigmoid_focal_loss, {"alpha": 0.3}, kind="mask")
    want = get("focal", alpha=0.3)(LOGITS, MASKS, VALID)
    torch.testing.assert_close(loss(LOGITS, MASKS, VALID), want)


def test_instance_of_a_module_is_used_as_it_is():
    loss = adapt(nn.BCEWithLogitsLoss(reduction="sum"), kind="mask")
    want = 20 * get("bce")(LOGITS, MASKS, VALID)
    torch.testing.assert_close(loss(LOGITS, MASKS, VALID), want)


def test_a_given_reduction_is_kept():
    assert adapt(F.l1_loss, {"reduction": "mean"}, kind="box")(PRED, TARGET).tolist() == [1, 34.75]


def test_flattening_loss_that_cannot_be_left_unreduced_is_called_image_by_image():
    loss = adapt(smp.losses.FocalLoss, {"mode": "binary", "alpha": 0.25}, kind="mask")
    assert loss.reduces
    torch.testing.assert_close(loss(LOGITS, MASKS, VALID), get("focal")(LOGITS, MASKS, VALID))


def test_probabilities():
    loss = adapt(F.binary_cross_entropy, inputs="probabilities", kind="mask")
    torch.testing.assert_close(loss(LOGITS, MASKS, VALID), get("bce")(LOGITS, MASKS, VALID))


@pytest.mark.parametrize("layout", ["index", "one_hot"])
def test_softmax_of_one_class_beside_the_background_is_the_sigmoid(layout):
    """With the background's logit at 0, softmax over (0, z) gives sigmoid(z)."""
    loss = adapt(F.cross_entropy, layout=layout, kind="mask")
    assert loss.exclusive
    torch.testing.assert_close(loss(LOGITS, MASKS, VALID), get("bce")(LOGITS, MASKS, VALID))


def test_softmax_probabilities():
    def likelihood(p, target):
        assert p.shape == target.shape
        torch.testing.assert_close(p.sum(1), torch.ones_like(p[:, 0]))
        return F.binary_cross_entropy(p, target, reduction="none")

    loss = adapt(likelihood, layout="one_hot", inputs="probabilities", kind="mask")
    torch.testing.assert_close(loss(LOGITS, MASKS, VALID), get("bce")(LOGITS, MASKS, VALID))


def test_foreground_layout_drops_the_class():
    def hinge(scores, target):
        assert target.shape == scores[:, 0].shape
        assert target.dtype == torch.int64
        return (scores[:, 0] - target).abs()

    loss = adapt(hinge, layout="foreground", kind="mask")
    torch.testing.assert_close(loss(LOGITS, MASKS, VALID), (LOGITS - MASKS).abs().mean((1, 2, 3)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_not_mended(dtype):
    def area(pred, target):
        return (pred[:, 2] - pred[:, 0]) * (pred[:, 3] - pred[:, 1])

    value = adapt(area, kind="box")(torch.tensor([[0, 0, 640, 640]], dtype=dtype), PRED[:1])
    assert value.dtype == dtype
    assert value.isinf().all() == (dtype == torch.float16)


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_no_items_give_no_values_but_a_graph(kind):
    loss = adapt(Reduced, kind=kind)
    pred = torch.zeros((0, 4) if kind == "box" else (0, 1, 4, 5), requires_grad=True)
    rest = () if kind == "box" else (torch.ones(0, 1, 4, 5, dtype=torch.bool),)
    value = loss(pred, pred.detach(), *rest)
    assert value.shape == (0,)
    value.sum().backward()
    assert pred.grad.shape == pred.shape


def test_kind_is_found_by_calling():
    def only_boxes(pred, target):
        _, _, _, _ = pred.unbind(-1)
        return (pred - target).abs().sum(-1)

    assert isinstance(adapt(only_boxes), BoxLoss)
    with pytest.raises(AdapterError, match="could be a box loss or a mask loss"):
        adapt(F.l1_loss)


@dataclass(frozen=True, kw_only=True)
class Mine(BoxLoss):
    space: ClassVar = "boxes"
    factor: float = 1.0

    def compute(self, pred, target):
        return self.factor * (pred - target).abs().sum(-1)


def test_losses_of_this_project_are_used_as_they_are():
    loss = get("giou")
    assert adapt(loss) is loss
    assert adapt(Mine, {"factor": 3.0}) == Mine(factor=3.0)


@pytest.mark.parametrize(
    ("thing", "options", "kind", "message"),
    [
        (3, {}, None, "is no loss but a int"),
        (Reduced(), {"factor": 2}, "box", "is made already and takes no options, got factor"),
        (Reduced, {"fator": 2}, "box", "cannot be made: TypeError"),
        (Mine, {"factor": "x"}, None, "cannot be made: ValueError: factor must be a finite number"),
        (Mine, {}, "mask", "is a box loss, not a mask loss"),
        (get("dice"), {}, "box", "is a mask loss, not a box loss"),
        (BoxLoss, {}, None, "cannot be made: TypeError"),
        (lambda pred: pred, {}, "box", "called as a box loss: TypeError"),
        (lambda pred, target: 0.5, {}, "box", "returns a float, not a tensor"),
        (lambda pred, target: pred[:2], {}, "box", "3 boxes give a tensor of shape [2, 4]"),
        (lambda pred, target: pred[:, 0, 0, :2].T, {}, "mask", "3 images give a tensor"),
    ],
)
def test_what_is_no_loss_is_refused(thing, options, kind, message):
    with pytest.raises(AdapterError) as error:
        adapt(thing, options, kind=kind)
    assert message in str(error.value)
