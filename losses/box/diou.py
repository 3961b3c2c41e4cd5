"""DIoU loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..base import BoxLoss, Space, register_box
from ._geometry import pair


@register_box("diou")
@dataclass(frozen=True, kw_only=True)
class DIoU(BoxLoss):
    """DIoU loss: 1 - IoU + (distance of the centres / diagonal of the enclosing box)².

    Zheng et al., 2020, arXiv:1911.08287, Eq. 6 and 7.
    """

    space: ClassVar[Space] = "boxes"

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        boxes = pair(pred, target)
        iou, _ = boxes.overlap()
        return 1 - iou + boxes.centre_distance(boxes.hull()) + boxes.shortfall
