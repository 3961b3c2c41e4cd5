"""Bounded IoU loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ..base import BoxLoss, Space, register_box
from ..options import require
from ._geometry import Pair


@register_box("bounded_iou")
@dataclass(frozen=True, kw_only=True)
class BoundedIoU(BoxLoss):
    """Bounded IoU loss: for each of x, y, w, h, Smooth L1 of 1 - the best IoU it still allows.

    Tychsen-Smith and Petersson, 2018, arXiv:1711.00164, the section "Bounded IoU Loss". With the
    other three numbers perfect, an offset Δx of the centres leaves an IoU of at most
    max(0, (w* - 2|Δx|) / (w* + 2|Δx|)), a width w one of min(w/w*, w*/w); likewise y and h. The
    four losses are added. From 0 to 4 (1 - β/2).

    Helps when boxes overlap: a coordinate's slope does not depend on the other three. Hurts when
    the centres are apart by more than half the target's side: that coordinate has no gradient.

    Attributes:
        beta: where the parabola of Smooth L1 ends, 0 < β <= 1.
    """

    space: ClassVar[Space] = "boxes"
    beta: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.beta <= 1, "beta", "above 0 and at most 1", self.beta)

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        pair = Pair(pred.reshape(-1, 4), target.reshape(-1, 4))
        twice = 2 * pair.offset.abs()
        placed = torch.relu(pair.target - twice) / (pair.target + twice)
        sized = torch.minimum(pair.pred, pair.target) / torch.maximum(pair.pred, pair.target)
        short = 1 - torch.cat((placed, sized))
        each = F.smooth_l1_loss(short, torch.zeros_like(short), reduction="none", beta=self.beta)
        return (each.sum(0) + pair.shortfall).reshape(pred.shape[:-1])
