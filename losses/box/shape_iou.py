"""Shape-IoU loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..base import register_box
from ..options import require
from ._geometry import Pair, Slopes
from ._overlap import OverlapLoss, Term
from .siou import shape_cost


@register_box("shape_iou")
@dataclass(frozen=True, kw_only=True)
class ShapeIoU(OverlapLoss):
    """Shape-IoU loss: DIoU loss and SIoU's shape cost, weighted by the target's own shape.

    Zhang and Zhang, 2023, arXiv:2312.17663: 1 - IoU + (h' x² + w' y²) / c² + Ω / 2, where (x, y)
    is the offset of the centres, c the diagonal of the hull,
    Ω = (1 - exp(-h' |w - w*| / max(w, w*)))^θ + (1 - exp(-w' |h - h*| / max(h, h*)))^θ,
    w' = 2 w*^s / (w*^s + h*^s) and h' = 2 - w'. From 0 to 2.2 with s = 0, else to 3.3.

    Helps when targets are long and thin and s > 0: an error along the short side costs more, as
    it does in IoU. Hurts when s is large: the long side then hardly counts.

    Attributes:
        scale: s, >= 0; the paper takes 0 (no weights), or more for data of small objects.
        theta: θ, >= 1; the paper takes 4.
    """

    scale: float = 0.0
    theta: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.scale >= 0, "scale", ">= 0", self.scale)
        require(self.theta >= 1, "theta", ">= 1", self.theta)

    def penalties(self, pair: Pair) -> tuple[Term, ...]:
        # w^s / (w^s + h^s) is a logistic function of s ln(w / h), which does not overflow.
        stretch = self.scale * (pair.target.log() - pair.target.log().flip(0))
        weight = 2 * torch.sigmoid(-stretch)
        return _weighted_distance(pair, weight), shape_cost(pair, self.theta, weight)


def _weighted_distance(pair: Pair, weight: Tensor) -> Term:
    inverse = (pair.hull * pair.hull).sum(0).reciprocal()
    weighted = weight * pair.offset
    value = (weighted * pair.offset).sum(0) * inverse

    def slopes() -> Slopes:
        twice = 2 * inverse
        return Slopes(offset=weighted * twice, hull=pair.hull * (-value * twice))

    return Term(value, slopes)
