"""IoU loss, linear and logarithmic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..base import BoxLoss, Space, register_box
from ._geometry import pair

LOG_FLOOR = 1e-3
"""IoU below which the logarithm is continued by its tangent."""


@register_box("iou")
@dataclass(frozen=True, kw_only=True)
class IoU(BoxLoss):
    """IoU loss: 1 - IoU, or -ln IoU.

    The logarithmic form is that of UnitBox (Yu et al., 2016, arXiv:1608.01471,
    Algorithm 1). Below an IoU of 0.001 it follows its tangent, so it is finite: 7.9 at IoU 0.

    Boxes that do not touch have IoU 0 wherever they are, so in both forms they get no gradient;
    GIoU, DIoU and CIoU mend this. Flat and inverted predictions get one: see the module
    ``_geometry``.

    Attributes:
        form: ``"linear"`` or ``"log"``.
    """

    space: ClassVar[Space] = "boxes"
    form: Literal["linear", "log"] = "linear"

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        boxes = pair(pred, target)
        iou, _ = boxes.overlap()
        return FORMS[self.form](iou) + boxes.shortfall


def _linear(iou: Tensor) -> Tensor:
    return 1 - iou


def _log(iou: Tensor) -> Tensor:
    tangent = 1 - iou / LOG_FLOOR - math.log(LOG_FLOOR)
    low = iou < LOG_FLOOR
    return torch.where(low, tangent, -torch.where(low, 1, iou).log())


FORMS = {"linear": _linear, "log": _log}
