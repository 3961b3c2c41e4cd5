"""CIoU loss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from ..base import register_box
from ._geometry import Pair, Slopes
from ._overlap import OverlapLoss, Term
from .diou import centre_distance

TINY = 1e-7
"""Keeps v / ((1 - IoU) + v) defined where both are 0, as at a perfect match."""

PER_ANGLE = 2 / math.pi
"""v is the square of an angle measured in right angles."""


@register_box("ciou")
@dataclass(frozen=True, kw_only=True)
class CIoU(OverlapLoss):
    """CIoU loss: DIoU loss + αv, where v compares the aspect ratios.

    Zheng et al., 2020, arXiv:1911.08287, Eq. 8 to 11: v = 4/π² (atan(w*/h*) - atan(w/h))² and
    α = v / ((1 - IoU) + v). From 0 to 2.5. α is a constant for the gradient, as in the common
    implementations. The gradient of v is exact: the factor 1 / (w² + h²) of Eq. 12 is kept.

    Helps when the shape is what is wrong, late in training; hurts when boxes of one aspect ratio
    differ in size: v is 0 there and adds nothing (EIoU compares the sides themselves).

    Attributes:
        gate: take αv only where IoU > 0.5, as in the authors' later form (arXiv:2005.03572).
    """

    version: ClassVar[int] = 2
    gate: bool = False

    @property
    def stops_gradient(self) -> str:
        return " and ".join(filter(None, ["the weight α of v", super().stops_gradient]))

    def penalties(self, pair: Pair) -> tuple[Term, ...]:
        return centre_distance(pair), self._aspect(pair)

    def _aspect(self, pair: Pair) -> Term:
        # One angle between the two diagonals instead of the difference of two: half the cost, and
        # exactly 0 for equal boxes.
        w, h = pair.pred.unbind(0)
        target_w, target_h = pair.target.unbind(0)
        angle = torch.atan((target_w * h - w * target_h) / (target_h * h + target_w * w))
        v = PER_ANGLE**2 * angle.square()
        alpha = (v / (pair.excess + v + TINY)).detach()
        if self.gate:
            alpha = alpha * (pair.iou > 0.5)

        def slopes() -> Slopes:
            # d angle / dw = -h / (w² + h²), d angle / dh = w / (w² + h²)
            turn = 2 * PER_ANGLE**2 * (alpha * angle) / pair.pred.square().sum(0)
            return Slopes(pred=torch.stack((-h * turn, w * turn)))

        return Term(alpha * v, slopes)
