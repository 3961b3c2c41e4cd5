"""CIoU loss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..base import BoxLoss, Space, register_box
from ._geometry import pair

TINY = 1e-7
"""Keeps v / ((1 - IoU) + v) defined where both are 0, as at a perfect match."""


@register_box("ciou")
@dataclass(frozen=True, kw_only=True)
class CIoU(BoxLoss):
    """CIoU loss: DIoU loss + αv, where v compares the aspect ratios.

    Zheng et al., 2020, arXiv:1911.08287, Eq. 8 to 11: v = 4/π² (atan(w*/h*) - atan(w/h))² and
    α = v / ((1 - IoU) + v). α is a constant for the gradient, as in the common implementations.
    The gradient of v is exact: the factor 1 / (w² + h²) of Eq. 12 is kept.

    Attributes:
        gate: take αv only where IoU > 0.5, as in the authors' later form (arXiv:2005.03572).
    """

    space: ClassVar[Space] = "boxes"
    gate: bool = False

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        boxes = pair(pred, target)
        iou, _ = boxes.overlap()
        angle = torch.atan2(*boxes.pred_size.unbind(-1))
        target_angle = torch.atan2(*boxes.target_size.unbind(-1))
        v = (4 / math.pi**2) * (target_angle - angle).square()
        alpha = (v / (1 - iou + v + TINY)).detach()
        if self.gate:
            alpha = alpha * (iou > 0.5)
        return 1 - iou + boxes.centre_distance(boxes.hull()) + alpha * v + boxes.shortfall
