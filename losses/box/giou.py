"""GIoU loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..base import BoxLoss, Space, register_box
from ._geometry import area, pair


@register_box("giou")
@dataclass(frozen=True, kw_only=True)
class GIoU(BoxLoss):
    """GIoU loss: 1 - IoU + share of the smallest enclosing box that neither box covers.

    Rezatofighi et al., 2019, arXiv:1902.09630, Algorithm 1 and 2. From 0 for a perfect match to
    2 for boxes that are far apart, where the gradient draws the boxes together.
    """

    space: ClassVar[Space] = "boxes"

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        boxes = pair(pred, target)
        iou, union = boxes.overlap()
        hull = area(boxes.hull())
        return 1 - iou + (hull - union) / hull + boxes.shortfall
