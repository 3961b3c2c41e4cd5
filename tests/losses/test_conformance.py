"""Every registered loss conforms, and the checks find what is broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch

import losses
from losses.base import BoxLoss, MaskLoss, Space
from losses.conformance import BOX_CHECKS, MASK_CHECKS, check


def problems(loss):
    return {finding.check: finding.problem for finding in check(loss) if finding.problem}


def test_every_box_loss_conforms(box_loss):
    findings = list(check(box_loss))
    assert [f for f in findings if f.problem] == []
    assert len(findings) == len(BOX_CHECKS)


def test_every_mask_loss_conforms(mask_loss):
    findings = list(check(mask_loss))
    assert [f for f in findings if f.problem] == []
    assert len(findings) == len(MASK_CHECKS)


@dataclass(frozen=True, kw_only=True)
class BrokenBox(BoxLoss):
    space: ClassVar[Space] = "boxes"


class Reduced(BrokenBox):
    def compute(self, pred, target):
        return (pred - target).abs().sum()


class Mean(BrokenBox):
    def compute(self, pred, target):
        return (pred - target).abs().mean().expand(len(pred)) if len(pred) else pred.sum(-1)


class Detached(BrokenBox):
    def compute(self, pred, target):
        return (pred - target).abs().sum(-1).detach()


class PlainLogIoU(BrokenBox):
    """-ln IoU with nothing done about degenerate boxes."""

    def compute(self, pred, target):
        low = torch.maximum(pred[..., :2], target[..., :2])
        high = torch.minimum(pred[..., 2:], target[..., 2:])
        common = (high - low).clamp(min=0).prod(-1)
        areas = [(box[..., 2:] - box[..., :2]).prod(-1) for box in (pred, target)]
        return -(common / (areas[0] + areas[1] - common)).log()


class Offset(BrokenBox):
    def compute(self, pred, target):
        return (pred - target).abs().sum(-1) + 0.1


class Upside(BrokenBox):
    def compute(self, pred, target):
        return 1e3 - (pred - target).abs().sum(-1)


class Half(BrokenBox):
    """Computes in the type of the input."""

    def __call__(self, pred, target):
        return self.compute(pred, target)

    def compute(self, pred, target):
        return (pred - target).abs().sum(-1)


@pytest.mark.parametrize(
    ("cls", "name", "message"),
    [
        (Reduced, "box_values_have_shape_and_type", "expected [3] values"),
        (Detached, "box_empty_input_backpropagates", "raised RuntimeError"),
        (PlainLogIoU, "box_degenerate_is_finite", "zero size: the loss is not finite"),
        (PlainLogIoU, "box_target_may_be_degenerate", "not finite"),
        (Offset, "box_match_costs_nothing", "identical boxes cost [0.1"),
        (Upside, "box_better_costs_less", "shifts of 0, 2, 8, 20 px cost"),
        (Upside, "box_degenerate_is_finite", "the loss is negative"),
        (Half, "box_values_have_shape_and_type", "float16 boxes give torch.float16"),
        (Mean, "box_pairs_are_independent", "pair 0"),
    ],
)
def test_broken_box_losses_are_found(cls, name, message):
    assert message in problems(cls())[name]


class Blind(MaskLoss):
    """Looks at ignored pixels."""

    def compute(self, logits, target, valid):
        return ((torch.sigmoid(logits) - target) ** 2).mean((1, 2, 3))


class NaiveBCE(MaskLoss):
    """Takes the logarithm of a saturated probability."""

    def compute(self, logits, target, valid):
        p = torch.sigmoid(logits)
        loss = -(target * p.log() + (1 - target) * (1 - p).log())
        return (loss * valid).sum((1, 2, 3))


class Likelihood(MaskLoss):
    """Rewards wrong logits."""

    def compute(self, logits, target, valid):
        return (logits * (2 * target - 1)).where(valid, 0).sum((1, 2, 3))


class Scalar(MaskLoss):
    def compute(self, logits, target, valid):
        return logits.sum()


class HalfMask(MaskLoss):
    """Computes in the type of the input."""

    def __call__(self, logits, target, valid):
        return self.compute(logits, target, valid)

    def compute(self, logits, target, valid):
        return torch.sigmoid(logits).sum((1, 2, 3))


@pytest.mark.parametrize(
    ("cls", "name", "message"),
    [
        (Blind, "mask_ignored_pixels_do_not_matter", "ignored pixels have a gradient"),
        (Blind, "mask_degenerate_is_finite", "all ignored: costs"),
        (NaiveBCE, "mask_degenerate_is_finite", "not finite"),
        (Likelihood, "mask_better_costs_less", "times the truth cost"),
        (Likelihood, "mask_match_costs_nothing", "perfect masks cost"),
        (Scalar, "mask_empty_input_backpropagates", "expected [0] values"),
        (HalfMask, "mask_values_have_shape_and_type", "float16 logits give torch.float16"),
    ],
)
def test_broken_mask_losses_are_found(cls, name, message):
    assert message in problems(cls())[name]


def test_something_else_is_refused():
    not_a_loss: Any = losses.get
    with pytest.raises(TypeError, match="expected an instance of BoxLoss or MaskLoss, got"):
        list(check(not_a_loss))


@pytest.fixture
def compiler():
    torch.compiler.reset()
    yield lambda loss: torch.compile(loss, backend="eager", fullgraph=True)
    torch.compiler.reset()


def test_box_losses_trace_and_vectorise(box_loss, compiler):
    pred = torch.tensor([[1.0, 2.0, 6.0, 7.0], [30.0, 30.0, 40.0, 50.0]])
    target = torch.tensor([[2.0, 2.0, 5.0, 9.0], [1.0, 1.0, 4.0, 5.0]])
    leaf = pred.clone().requires_grad_()
    value = box_loss(leaf, target)
    (slope,) = torch.autograd.grad(value.sum(), leaf)
    gradient = torch.func.vmap(torch.func.grad(box_loss))(pred, target)
    torch.testing.assert_close(gradient, slope)
    torch.testing.assert_close(compiler(box_loss)(pred, target), value.detach())


def test_mask_losses_trace_and_vectorise(mask_loss, compiler):
    logits = torch.linspace(-2, 2, 96).reshape(3, 1, 2, 4, 4)
    target = (logits.sin() > 0).float()
    valid = torch.ones(3, 1, 1, 4, 4, dtype=torch.bool)
    value = torch.stack([mask_loss(*image) for image in zip(logits, target, valid, strict=True)])
    torch.testing.assert_close(torch.func.vmap(mask_loss)(logits, target, valid), value)
    torch.testing.assert_close(compiler(mask_loss)(logits[0], target[0], valid[0]), value[0])
