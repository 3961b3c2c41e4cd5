"""Every registered loss conforms, and the checks find what is broken."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import segmentation_models_pytorch as smp
import torch
from torch.nn import functional as F
from torchvision import ops

import losses
from losses.adapters import adapt
from losses.base import BoxLoss, MaskLoss, Space
from losses.conformance import CHECKS, check

SLOW = "torch.compile"
MAY_FAIL = [name for name, one in CHECKS.items() if one.level != "hard" and name != "torch.func"]
HARD = [name for name, one in CHECKS.items() if one.level == "hard"]
SHORTER = {"soft_cl_dice": {"iterations": 1}, "hausdorff_erosion": {"erosions": 2}}
"""Options that spare the compiler loops."""


def hard(loss):
    return [f for f in check(loss, skip=[SLOW, *MAY_FAIL]) if f.violated and f.level == "hard"]


def finding(loss, name):
    return CHECKS[name](loss)


def test_every_box_loss_conforms(box_loss):
    found = check(box_loss, skip=[SLOW, *MAY_FAIL])
    assert [one for one in found if one.violated] == []


def test_every_mask_loss_conforms(mask_loss):
    found = check(mask_loss, skip=[SLOW, *MAY_FAIL])
    assert [one for one in found if one.violated] == []


@pytest.mark.parametrize("name", [*losses.BOX, *losses.MASK])
def test_every_loss_compiles(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch.compile itself has to say
        found = finding(losses.get(name, **SHORTER.get(name, {})), SLOW)
    assert not found.violated, found.detail


@pytest.mark.parametrize("name", [*losses.BOX, *losses.MASK])
def test_every_check_runs_on_every_loss(name):
    """Weaknesses are told as such; a check that raises would be one by mistake."""
    found = check(losses.get(name), skip=HARD)
    assert not [one.detail for one in found if "raised" in one.detail]


@dataclass(frozen=True, kw_only=True)
class BrokenBox(BoxLoss):
    space: ClassVar[Space] = "boxes"


def l1(pred, target):
    return (pred - target).abs().sum(-1)


class Reduced(BrokenBox):
    def compute(self, pred, target):
        return l1(pred, target).sum()


class Mean(BrokenBox):
    def compute(self, pred, target):
        return l1(pred, target).mean().expand(len(pred)) if len(pred) else pred.sum(-1)


class Detached(BrokenBox):
    def compute(self, pred, target):
        return l1(pred, target).detach()


class PlainLogIoU(BrokenBox):
    """-ln IoU with nothing done about degenerate boxes."""

    def compute(self, pred, target):
        low = torch.maximum(pred[..., :2], target[..., :2])
        high = torch.minimum(pred[..., 2:], target[..., 2:])
        common = (high - low).clamp(min=0).prod(-1)
        areas = [(box[..., 2:] - box[..., :2]).prod(-1) for box in (pred, target)]
        return -(common / (areas[0] + areas[1] - common)).log()


class NanAtMatch(BrokenBox):
    """The distance itself: its root has no slope at 0."""

    def compute(self, pred, target):
        return ((pred - target) ** 2).sum(-1).sqrt()


class Offset(BrokenBox):
    def compute(self, pred, target):
        return l1(pred, target) + 0.1


class Upside(BrokenBox):
    def compute(self, pred, target):
        return 1e3 - l1(pred, target)


class Wavy(BrokenBox):
    """Falls towards the target on the whole, but not everywhere."""

    def compute(self, pred, target):
        distance = l1(pred, target)
        return distance + 20 * (1 - torch.cos(distance / 5))


class Half(BrokenBox):
    """Computes in the type of the input."""

    def __call__(self, pred, target):
        return self.compute(pred, target)

    def compute(self, pred, target):
        return ((pred - target) ** 2).sum(-1)


class InAutocast(BrokenBox):
    """A matrix product that autocast turns into bfloat16."""

    def __call__(self, pred, target):
        return ((pred.float() - target.float()).abs() @ torch.ones(4, 1))[:, 0]

    def compute(self, pred, target):
        return l1(pred, target)


class TwiceTheGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.abs()

    @staticmethod
    def backward(ctx, slope):
        (x,) = ctx.saved_tensors
        return 2 * slope * x.sign()


class WrongGradient(BrokenBox):
    def compute(self, pred, target):
        return TwiceTheGradient.apply(pred - target).sum(-1)


class StoppedGradient(BrokenBox):
    """Says nothing about the factor that is held constant."""

    def compute(self, pred, target):
        distance = l1(pred, target)
        return distance.detach() * distance


class Uphill(BrokenBox):
    def compute(self, pred, target):
        distance = l1(pred, target)
        return 2 * distance.detach() - distance


class Breaks(BrokenBox):
    """Asks for a number in the middle."""

    def compute(self, pred, target):
        distance = l1(pred, target)
        return distance * 2 if distance.sum().item() > 1e9 else distance


class EmptyRaises(BrokenBox):
    def compute(self, pred, target):
        return l1(pred, target) + 0 * pred.max()


@pytest.mark.parametrize(
    ("cls", "name", "message"),
    [
        (Reduced, "shape", "random boxes: expected [24] values, got shape []"),
        (Detached, "shape", "no gradient reaches the prediction"),
        (Detached, "empty input", "no gradient reaches the prediction"),
        (EmptyRaises, "empty input", "raised RuntimeError"),
        (NanAtMatch, "finite", "of 46 inputs: identical: gradient nan; both zero size"),
        (PlainLogIoU, "finite", "prediction zero size: value inf"),
        (Offset, "zero at the match", "match of 40 px costs 0.1"),
        (Upside, "better costs less", "shift of 0 px: 1e+03; shift of 2 px: 992"),
        (Upside, "range", "negative for "),
        (Wavy, "monotone", "rises in "),
        (Mean, "batch independence", "off by "),
        (Half, "half precision", "float16, random boxes: value inf"),
        (Half, "float32 inside", "torch.float16 gives torch.float16"),
        (InAutocast, "autocast", "off by "),
        (WrongGradient, "gradient is exact", "off by 1 of the largest component"),
        (StoppedGradient, "gradient is exact", "off by 0.5 of the largest component"),
        (Uphill, "gradient points downhill", "24 of 24 steps raise it"),
        (PlainLogIoU, "gradient: disjoint", "largest component nan"),
        (Breaks, "torch.compile", "raised "),
        (Breaks, "torch.func", "raised RuntimeError"),
    ],
)
def test_broken_box_losses_are_found(cls, name, message):
    found = finding(cls(), name)
    assert found.violated
    assert message in found.detail


def test_a_sound_check_stays_quiet_on_a_broken_loss():
    """The one fault of each is found by the checks that it concerns, and by no other."""
    concerned = {
        Offset: {"zero at the match"},
        WrongGradient: {"gradient is exact", "torch.func"},  # such functions cannot be vectorised
        StoppedGradient: {"gradient is exact"},
        EmptyRaises: {"empty input"},
        NanAtMatch: {"finite", "half precision"},  # whose boxes hold a match
        Mean: {"batch independence"},
    }
    for cls, names in concerned.items():
        found = {f.check for f in check(cls(), skip=[SLOW]) if f.violated}
        assert found == names, cls


class OwnRules(BrokenBox):
    """Declares what it does not promise."""

    @property
    def zero_at_match(self):
        return False

    @property
    def non_negative(self):
        return False

    @property
    def stops_gradient(self):
        return "the factor"

    @property
    def depends_on_batch(self):
        return True

    def compute(self, pred, target):
        distance = l1(pred, target)
        return (1 + distance.detach().sum()) * distance - 0.5


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("zero at the match", "a match may cost something; match of 40 px costs 0.5"),
        ("range", "may be negative; -0.5 to "),
        ("gradient is exact", "as constant: the factor; off by 0.5"),
        ("batch independence", "depends on other items; off by "),
    ],
)
def test_what_a_loss_declares_is_measured_and_not_held_against_it(name, detail):
    found = finding(OwnRules(), name)
    assert found.status == "declared"
    assert detail in found.detail


@dataclass(frozen=True, kw_only=True, eq=False)
class Remembers(BrokenBox):
    """Divides by the running mean of what it saw."""

    memory: ClassVar[dict[str, torch.Tensor]] = {"mean": torch.ones(())}

    @property
    def depends_on_batch(self):
        return True

    def state_dict(self):
        return self.memory

    def load_state_dict(self, state):
        self.memory.update(state)

    def compute(self, pred, target):
        distance = l1(pred, target)
        self.memory["mean"] = self.memory["mean"] + distance.detach().sum()
        return distance / self.memory["mean"]


def test_checks_leave_the_memory_of_a_loss_as_it_was():
    list(check(Remembers(), skip=[SLOW]))
    assert Remembers.memory["mean"] == 1


def l2_mask(logits, target, valid):
    return ((torch.sigmoid(logits) - target) ** 2).where(valid, 0).mean((1, 2, 3))


class Blind(MaskLoss):
    """Looks at ignored pixels."""

    def compute(self, logits, target, valid):
        return ((torch.sigmoid(logits) - target) ** 2).mean((1, 2, 3))


class CountsIgnored(MaskLoss):
    """Ignored pixels have no gradient of their own, but weigh on the others."""

    def compute(self, logits, target, valid):
        return l2_mask(logits, target, valid) * (1 + target.mean((1, 2, 3)))


class CostsForNothing(MaskLoss):
    def compute(self, logits, target, valid):
        return l2_mask(logits, target, valid) + (~valid).float().mean((1, 2, 3))


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
        return l2_mask(logits, target, valid).sum()


class HalfMask(MaskLoss):
    """Computes in the type of the input."""

    def __call__(self, logits, target, valid):
        return self.compute(logits, target, valid)

    def compute(self, logits, target, valid):
        p = torch.sigmoid(logits)
        return 1 - (p * target).sum((1, 2, 3)) / (p.sum((1, 2, 3)) ** 2)


class BatchDice(MaskLoss):
    def compute(self, logits, target, valid):
        p = torch.sigmoid(logits)
        dice = 2 * (p * target).sum() / (p + target).sum()
        return (1 - dice).expand(len(logits))


@pytest.mark.parametrize(
    ("cls", "name", "message"),
    [
        (Blind, "ignored pixels", "ignored pixels have a gradient"),
        (CountsIgnored, "ignored pixels", "ignored pixels change the value"),
        (CostsForNothing, "ignored pixels", "wholly ignored cost 1"),
        (NaiveBCE, "finite", "logits right, 40: value nan"),
        (Likelihood, "better costs less", "times the truth"),
        (Likelihood, "zero at the match", "certain and right costs"),
        (Scalar, "shape", "random masks: expected [4] values, got shape []"),
        (HalfMask, "half precision", "float16, 272 × 272 px"),
        (HalfMask, "float32 inside", "torch.float16 gives torch.float16"),
        (BatchDice, "batch independence", "off by "),
        (BatchDice, "finite", "empty target; logits all -65504: value nan"),
    ],
)
def test_broken_mask_losses_are_found(cls, name, message):
    found = finding(cls(), name)
    assert found.violated
    assert found.level == "hard"
    assert message in found.detail


@pytest.mark.parametrize(
    ("thing", "options", "found"),
    [
        (ops.complete_box_iou_loss, {}, {"finite": "zero height: gradient nan"}),
        (
            smp.losses.DiceLoss,
            {"mode": "binary"},
            {"half precision": "nan"},
        ),
        (F.binary_cross_entropy_with_logits, {}, {}),
    ],
)
def test_losses_of_other_projects(thing, options, found):
    kind = "box" if thing is ops.complete_box_iou_loss else "mask"
    broken = {f.check: f.detail for f in hard(adapt(thing, options, kind=kind))}
    assert set(broken) == set(found)
    for name, message in found.items():
        assert message in broken[name]


def test_pooled_batch_of_another_project_is_flagged_softly():
    dice = adapt(smp.losses.DiceLoss, {"mode": "binary"}, kind="mask")
    found = finding(dice, "batch independence")
    assert (found.status, found.level) == ("violated", "soft")
    assert "pools the batch" in found.detail
    mean = adapt(F.binary_cross_entropy_with_logits, {"reduction": "mean"}, kind="mask")
    assert finding(mean, "batch independence").detail == "the mean of its items"


def test_where_gradients_vanish():
    """The plain IoU does not see disjoint boxes; torchvision's GIoU not how a point could grow."""
    for loss, name in (
        (losses.get("iou"), "gradient: disjoint"),
        (adapt(ops.generalized_box_iou_loss), "gradient: zero size"),
    ):
        found = finding(loss, name)
        assert found.violated
        assert found.level == "soft"
    for name in ("disjoint", "far", "enclosed", "enclosing", "zero size", "inverted"):
        assert finding(losses.get("giou"), f"gradient: {name}").status == "ok"


def test_hand_worked_measures():
    """L1 of corners: symmetric, moves with the boxes, grows with them."""
    loss = type("Corners", (BrokenBox,), {"compute": lambda self, p, t: l1(p, t)})()
    assert finding(loss, "symmetry").detail == "changes by 0 of the largest value"
    assert finding(loss, "scale").detail == "changes by 7 of the largest value"  # 8 times as much
    assert finding(loss, "gradient: far").detail == "largest component 1"


def test_checks_apply_to_their_kind():
    deltas, masks = (
        {found.check for found in check(losses.get(name), skip=[SLOW])} for name in ("l1", "bce")
    )
    assert "scale" not in deltas | masks
    assert "gradient: near" in deltas - masks
    assert "ignored pixels" in masks - deltas


def test_something_else_is_refused():
    not_a_loss: Any = losses.get
    with pytest.raises(TypeError, match="expected an instance of BoxLoss or MaskLoss, got"):
        list(check(not_a_loss))
    with pytest.raises(ValueError, match="no check speeed; there are: shape, finite"):
        list(check(losses.get("iou"), skip=["speeed"]))
