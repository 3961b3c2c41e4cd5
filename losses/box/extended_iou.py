"""Extended IoU loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ..base import BoxLoss, Space, register_box
from ..options import require
from ._geometry import Pair


@register_box("extended_iou")
@dataclass(frozen=True, kw_only=True)
class ExtendedIoU(BoxLoss):
    """Extended IoU loss: Smooth L1 of 1 - IoU with an intersection that goes on below 0.

    Peng and Yu, 2021, "A Systematic IoU-Related Method: Beyond Simplified Regression for Better
    Localization", IEEE TIP (doi:10.1109/TIP.2021.3077144); mmdetection calls it EIoU, which is
    not the EIoU of Zhang et al. For boxes that do not overlap, the intersection is minus an area
    that grows with the gap. From the hull's upper left corner, the intersection begins at (a, c)
    and ends at (b, d); its area is bd + min(a, b) min(c, d) - a max(c, d) - max(a, b) c, which is
    (b - a)(d - c) where the boxes overlap. From 0 to 2 - s/2, where s is the smooth point.

    Helps when boxes do not overlap yet, without a penalty beside the overlap; hurts when the
    data are mirrored: the value of disjoint boxes depends on which corner is called the first.

    Attributes:
        smooth_point: loss below which it is a parabola, 0 to 1; 0 for none.
    """

    space: ClassVar[Space] = "boxes"
    smooth_point: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.smooth_point <= 1, "smooth_point", "from 0 to 1", self.smooth_point)

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        pair = Pair(pred.reshape(-1, 4), target.reshape(-1, 4))
        low = pair.offset - (pair.pred - pair.target) / 2  # the target's low corner is at 0
        hull = low.clamp(max=0)
        begin = low.clamp(min=0) - hull
        end = torch.minimum(low + pair.pred, pair.target) - hull
        (a, c), (b, d) = begin.unbind(0), end.unbind(0)
        least, most = torch.minimum(begin, end), torch.maximum(begin, end)
        common = b * d + least[0] * least[1] - a * most[1] - most[0] * c
        areas = pair.pred_area + pair.target_area
        excess = (areas - 2 * common) / (areas - common)
        zero = torch.zeros_like(excess)
        value = F.smooth_l1_loss(excess, zero, reduction="none", beta=self.smooth_point)
        return (value + pair.shortfall).reshape(pred.shape[:-1])
