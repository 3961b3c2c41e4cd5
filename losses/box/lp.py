"""L1, Smooth L1, Huber and L2 losses on encoded boxes.

The value of a box is the sum over its four numbers, not their mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from ..base import BoxLoss, Space, register_box
from ..options import require

MIN_BETA = 1e-5
"""β below which 0.5 x² / β is not safe in float32; the loss is L1 there."""


@register_box("l1")
@dataclass(frozen=True, kw_only=True)
class L1(BoxLoss):
    """L1 loss: sum of |x| over the four deltas, x = prediction - target.

    From 0 up; finite in float32 while every |x| is below 8e37. Helps against outliers, which pull
    no harder than other boxes; hurts near the match, where it pulls as hard as anywhere.
    """

    space: ClassVar[Space] = "deltas"

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(pred, target, reduction="none").sum(-1)


@register_box("smooth_l1")
@dataclass(frozen=True, kw_only=True)
class SmoothL1(BoxLoss):
    """Smooth L1 loss: sum of 0.5 x²/β where |x| < β, else |x| - 0.5 β, over the four deltas.

    Girshick, 2015, arXiv:1504.08083, Eq. 3 is β = 1; Faster R-CNN's public code uses 1/9 for
    its proposals, which is the default here. From 0 up; finite in float32 while every |x| is
    below 8e37.

    Helps where L1 jitters about the match; hurts where the four errors belong together, as in a
    large box that is shifted: it takes each by itself, and all boxes alike whatever their overlap.

    Attributes:
        beta: where the parabola ends, >= 0; below 1e-5 the loss is L1.
    """

    space: ClassVar[Space] = "deltas"
    beta: float = 1 / 9

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.beta >= 0, "beta", ">= 0", self.beta)

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        beta = self.beta if self.beta >= MIN_BETA else 0.0
        return F.smooth_l1_loss(pred, target, reduction="none", beta=beta).sum(-1)


@register_box("huber")
@dataclass(frozen=True, kw_only=True)
class Huber(BoxLoss):
    """Huber loss: sum of 0.5 x² where |x| < δ, else δ (|x| - 0.5 δ), over the four deltas.

    Huber, 1964, "Robust Estimation of a Location Parameter", Eq. 2.3. It is δ times Smooth L1
    with β = δ, so at δ = 1 they are the same, and another δ also changes how much the loss
    weighs beside others. From 0 up; finite in float32 while every |x| is below 8e37 / max(δ, 1).
    Helps and hurts as Smooth L1 does.

    Attributes:
        delta: where the parabola ends, > 0.
    """

    space: ClassVar[Space] = "deltas"
    delta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.delta > 0, "delta", "> 0", self.delta)

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(pred, target, reduction="none", delta=self.delta).sum(-1)


@register_box("l2")
@dataclass(frozen=True, kw_only=True)
class L2(BoxLoss):
    """L2 loss: sum of x² (no factor 0.5) over the four deltas.

    UnitBox (Yu et al., 2016, arXiv:1608.01471), Eq. 1. From 0 up; finite in float32 while every
    |x| is below 9e18. Helps when errors are small and alike; hurts with outliers, whose pull grows
    with the error.
    """

    space: ClassVar[Space] = "deltas"

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(pred, target, reduction="none").sum(-1)
