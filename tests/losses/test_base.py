"""The registers, building by name, options and the shapes that a loss accepts."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, fields
from typing import Any

import pytest
import torch

import losses
from losses.base import BoxLoss, MaskLoss
from losses.box.ciou import CIoU


def test_all_losses_are_found_without_a_list():
    assert {"smooth_l1", "l1", "l2", "iou", "giou", "diou", "ciou"} <= set(losses.BOX)
    assert {"bce", "weighted_bce", "balanced_bce", "focal", "dice", "jaccard"} <= set(losses.MASK)
    assert not set(losses.BOX) & set(losses.MASK)


def test_every_loss_declares_what_it_is():
    every: dict[str, Any] = {**losses.BOX, **losses.MASK}
    for name, cls in every.items():
        summary = (cls.__doc__ or "").splitlines()[0]
        assert 10 < len(summary) < 100, name
        assert summary.endswith("."), name
        assert cls.version >= 1
    assert {cls.space for cls in losses.BOX.values()} == {"boxes", "deltas"}


def test_get_builds_with_options():
    assert losses.get("ciou", gate=True) == CIoU(gate=True)
    assert losses.get("ciou") == CIoU(gate=False)


def test_options_are_fixed_once_built():
    with pytest.raises(FrozenInstanceError):
        losses.get("ciou").gate = True


def test_unknown_name_gives_the_closest_and_all():
    with pytest.raises(ValueError, match=r"unknown loss 'cious' \(did you mean '\w*iou'\?\).*giou"):
        losses.get("cious")
    with pytest.raises(ValueError, match=r"unknown loss 'xyzzy'; the losses are: \w+, .*giou"):
        losses.get("xyzzy")


def test_unknown_option_gives_those_allowed():
    with pytest.raises(TypeError, match=r"loss 'focal' has no option 'gama'.*alpha, gamma"):
        losses.get("focal", gama=2)
    with pytest.raises(TypeError, match=r"loss 'l1' has no option 'beta'; .* none"):
        losses.get("l1", beta=2)
    with pytest.raises(TypeError, match=r"options are: inner_ratio, .*, momentum$"):
        losses.get("wise_iou", _mean=0)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("smooth_l1", {"beta": -1}, "loss 'smooth_l1': beta must be >= 0, got -1"),
        ("smooth_l1", {"beta": "x"}, "beta must be a finite number, got 'x'"),
        ("smooth_l1", {"beta": float("nan")}, "beta must be a finite number, got nan"),
        ("smooth_l1", {"beta": True}, "beta must be a finite number, got True"),
        ("iou", {"form": "cubic"}, "form must be one of 'linear', 'log', 'square', got 'cubic'"),
        ("ciou", {"gate": 1}, "gate must be true or false, got 1"),
        ("weighted_bce", {"beta": 0}, "beta must be > 0, got 0"),
        ("balanced_bce", {"scope": "epoch"}, "scope must be one of 'image', 'batch', got 'epoch'"),
        ("focal", {"gamma": -0.5}, "gamma must be >= 0, got -0.5"),
        ("focal", {"alpha": 1.5}, "alpha must be null or between 0 and 1, got 1.5"),
        ("focal", {"alpha": "a"}, "alpha must be a finite number or null, got 'a'"),
        ("dice", {"smooth": -1}, "smooth must be >= 0, got -1"),
        ("jaccard", {"smooth": float("inf")}, "smooth must be a finite number, got inf"),
        ("dice", {"smooth_in": "top"}, "smooth_in must be one of 'both', 'denominator', got 'top'"),
        ("dice", {"squared": "yes"}, "squared must be true or false, got 'yes'"),
    ],
)
def test_option_out_of_range(name, options, message):
    with pytest.raises(ValueError, match=r"^loss '\w+': ") as caught:
        losses.get(name, **options)
    assert message in str(caught.value)


@pytest.fixture
def _registers():
    """The registers, put back as they were afterwards."""
    box, mask = dict(losses.BOX), dict(losses.MASK)
    yield
    losses.BOX.clear()
    losses.BOX.update(box)
    losses.MASK.clear()
    losses.MASK.update(mask)


@pytest.mark.usefixtures("_registers")
def test_own_losses_register_with_typed_options():
    @losses.register_box("own_box")
    @dataclass(frozen=True, kw_only=True)
    class OwnBox(BoxLoss):
        """Own."""

        space = "deltas"
        count: int = 3
        tag: str = "a"

        def compute(self, pred, target):
            return self.count * (pred - target).abs().amax(-1)

    @losses.register_mask("own_mask")
    @dataclass(frozen=True, kw_only=True)
    class OwnMask(MaskLoss):
        """Own."""

        def compute(self, logits, target, valid):
            return logits.sum((1, 2, 3))

    assert losses.get("own_box", count=2)(torch.ones(1, 4), torch.zeros(1, 4)).tolist() == [2]
    assert isinstance(losses.get("own_mask"), OwnMask)
    with pytest.raises(ValueError, match=r"count must be a whole number, got 2\.5"):
        losses.get("own_box", count=2.5)
    with pytest.raises(ValueError, match="tag must be text, got 1"):
        losses.get("own_box", tag=1)


@pytest.mark.usefixtures("_registers")
def test_a_name_is_taken_once_in_either_register():
    with pytest.raises(ValueError, match="two losses are registered as 'dice'"):
        losses.register_box("dice")(CIoU)
    with pytest.raises(ValueError, match="two losses are registered as 'giou'"):
        losses.register_mask("giou")(losses.MASK["dice"])


@pytest.mark.parametrize(
    ("pred", "target"), [((2, 4), (3, 4)), ((2, 5), (2, 5)), ((4,), (1, 4)), ((), ())]
)
def test_box_shapes_are_checked(pred, target):
    with pytest.raises(ValueError, match=r"pred and target must both be \[N, 4\], got \["):
        losses.get("giou")(torch.zeros(pred), torch.zeros(target))


def test_mask_shapes_are_checked():
    bce = losses.get("bce")
    image, valid = torch.zeros(2, 3, 4, 4), torch.ones(2, 1, 4, 4, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"logits and target must both be \[N, C, H, W\]"):
        bce(image, image[:, :1], valid)
    with pytest.raises(ValueError, match=r"logits and target must both be \[N, C, H, W\]"):
        bce(image[0], image[0], valid)
    with pytest.raises(ValueError, match=r"valid must be bool \[2, 1, 4, 4\], got torch.float32"):
        bce(image, image, valid.float())
    with pytest.raises(ValueError, match=r"valid must be bool .*, got torch.bool \[2, 3, 4, 4\]"):
        bce(image, image, valid.expand(2, 3, 4, 4))


def test_autocast_is_off_inside_a_loss():
    class Box(BoxLoss):
        """Own."""

        space = "boxes"

        def compute(self, pred, target):
            return ((pred - target) @ torch.eye(4)).sum(-1)

    class Mask(MaskLoss):
        """Own."""

        def compute(self, logits, target, valid):
            return (logits @ torch.eye(4)).sum((1, 2, 3))

    boxes, image = torch.full((1, 4), 1.001), torch.full((1, 1, 4, 4), 1.001)
    with torch.autocast("cpu", torch.bfloat16):
        box = Box()(boxes, 0 * boxes)
        mask = Mask()(image, image, torch.ones(1, 1, 4, 4, dtype=torch.bool))
    torch.testing.assert_close(box, torch.tensor([4.004]))
    torch.testing.assert_close(mask, torch.tensor([16.016]))


def test_float64_stays_float64(box_loss):
    boxes = torch.tensor([[1.0, 2.0, 5.0, 9.0]], dtype=torch.float64)
    assert box_loss(boxes + 1, boxes).dtype == torch.float64


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float64])
def test_mask_target_of_any_type(mask_loss, dtype):
    logits = torch.linspace(-2, 2, 16).reshape(1, 1, 4, 4)
    valid = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    expected = mask_loss(logits, (logits > 0).float(), valid)
    assert mask_loss(logits, (logits > 0).to(dtype), valid).equal(expected)
    assert mask_loss(logits.double(), logits > 0, valid).dtype == torch.float64


def test_no_option_is_called_as_a_key_of_an_entry():
    """An experiment file could not set it."""
    for name, cls in {**losses.BOX, **losses.MASK}.items():
        options = {field.name for field in fields(cls) if field.init}
        assert not options & {"name", "label", "weight", "sum", "kind"}, name
