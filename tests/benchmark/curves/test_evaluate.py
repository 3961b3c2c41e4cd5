from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
import torch

from benchmark.curves.evaluate import box_loss, mask_loss
from benchmark.experiment.loss_spec import NamedLoss, load_loss
from benchmark.options import UserError
from losses import BoxLoss

TARGET = np.array([50.0, 40.0, 20.0, 10.0])


def box(loss: BoxLoss) -> NamedLoss:
    return NamedLoss(label="mine", loss=loss, kind="box", registered=False)


def test_a_loss_of_boxes_gets_corners_and_its_gradient_is_that_of_centre_and_size():
    # 4 px to the right of 20: IoU = 16 / 24. In cx: intersection falls by 10 a pixel, so
    # dIoU = -10 / 240 - 160 * 10 / 240**2, and the loss rises by as much.
    pred = np.array([[54.0, 40.0, 20.0, 10.0]])
    value, gradient = box_loss(load_loss("iou"), pred, TARGET)
    assert value == pytest.approx([1 / 3])
    assert gradient[0, 0] == pytest.approx(10 / 240 + 1600 / 240**2)


def test_a_loss_of_deltas_gets_offsets_relative_to_the_target():
    # (6/20, -1/10, ln 2, ln 1/2); dL1/dcx = 1/20, dcy = -1/10, dw = 1/w = 1/40, dh = -1/5.
    pred = np.array([[56.0, 39.0, 40.0, 5.0]])
    value, gradient = box_loss(load_loss("l1"), pred, TARGET)
    assert value == pytest.approx([0.3 + 0.1 + 2 * math.log(2)])
    assert gradient[0] == pytest.approx([1 / 20, -1 / 10, 1 / 40, -1 / 5])


def test_the_gradient_of_bce_in_the_logit_is_p_minus_y_over_the_pixels():
    logits = np.array([[[0.0, math.log(3)]]])
    target = np.array([[[1.0, 0.0]]])
    value, gradient = mask_loss(load_loss("bce"), logits, target)
    assert value == pytest.approx([(math.log(2) + math.log(4)) / 2])
    assert gradient[0, 0] == pytest.approx([(0.5 - 1) / 2, 0.75 / 2])


@dataclass(frozen=True, kw_only=True)
class Remembering(BoxLoss):
    """Distance of the first corners, times one more than the number of earlier boxes."""

    space: ClassVar = "boxes"
    seen: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """No options to check."""

    @property
    def depends_on_batch(self) -> bool:
        return True

    def compute(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(pred))
        return (pred - target)[:, 0].abs() * sum(self.seen)


def test_a_loss_that_depends_on_its_batch_meets_each_prediction_first_and_alone():
    loss = Remembering()
    pred = TARGET + np.array([[1.0, 0, 0, 0], [2.0, 0, 0, 0], [3.0, 0, 0, 0]])
    value, gradient = box_loss(box(loss), pred, TARGET)
    assert value == pytest.approx([1, 2, 3])
    assert gradient[:, 0] == pytest.approx([1, 1, 1])
    assert loss.seen == []


class Broken(Remembering):
    def compute(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("size mismatch")


class Detached(Remembering):
    def compute(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (pred - target)[:, 0].detach()


@pytest.mark.parametrize(
    ("loss", "reason"), [(Broken(), "size mismatch"), (Detached(), "does not require grad")]
)
def test_a_loss_that_fails_is_named_with_its_reason(loss, reason):
    with pytest.raises(UserError, match=f"loss 'mine' failed.*{reason}"):
        box_loss(box(loss), TARGET[None], TARGET)
