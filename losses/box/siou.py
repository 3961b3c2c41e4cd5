"""SIoU loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..base import register_box
from ..options import require
from ._geometry import Pair, Slopes
from ._overlap import OverlapLoss, Term

TINY = 1e-12
"""Offset, as a fraction of the pair's scale, that has no direction."""


@register_box("siou")
@dataclass(frozen=True, kw_only=True)
class SIoU(OverlapLoss):
    """SIoU loss: 1 - IoU + (Δ + Ω) / 2, a distance that looks at its direction, and a shape cost.

    Gevorgyan, 2022, arXiv:2205.12740. For an offset (x, y) of the centres and a hull of W x H:

    - angle cost Λ = sin 2φ = 2|x||y| / (x² + y²), where φ is the angle of the offset to an axis;
    - distance cost Δ = 2 - exp(-(2 - Λ) x²/W²) - exp(-(2 - Λ) y²/H²);
    - shape cost Ω = (1 - exp(-|w - w*| / max(w, w*)))^θ + the same of the heights.

    From 0 to 2.1 with θ = 4. The angle cost is 0 for centres that coincide.

    Helps when training should settle on one axis first: of equal offsets, those along an axis
    cost most. Hurts because of that, too: turning the offset to 45° lowers the loss without
    bringing the boxes closer.

    Attributes:
        theta: θ, >= 1: how much the shape cost leaves small differences alone. The paper takes 4
            and advises 2 to 6.
    """

    theta: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.theta >= 1, "theta", ">= 1", self.theta)

    def penalties(self, pair: Pair) -> tuple[Term, ...]:
        return _distance_cost(pair), shape_cost(pair, self.theta)


def shape_cost(pair: Pair, theta: float, weight: Tensor | float = 1.0) -> Term:
    """Ω / 2: half the sum of (1 - exp(-u |w - w*| / max(w, w*)))^θ over both sides.

    Args:
        pair: the boxes.
        theta: θ.
        weight: u, one number or one a side, ``[2, N]``.
    """
    ratio = torch.minimum(pair.pred, pair.target) / torch.maximum(pair.pred, pair.target)
    rest = torch.expm1(-weight * (1 - ratio)).neg()

    def slopes() -> Slopes:
        # d (1 - ratio) / dw is ratio / w beyond the target's side and -ratio / w below it.
        outer = (theta / 2) * rest ** (theta - 1) * (1 - rest) * weight
        return Slopes(pred=outer * ratio / pair.pred * (pair.pred - pair.target).sign())

    return Term((rest**theta).sum(0) / 2, slopes)


def _distance_cost(pair: Pair) -> Term:
    """Δ / 2."""
    # Λ does not change with the offset's length, so a constant may bring that near 1.
    length = pair.offset.detach().abs().amax(0).clamp(min=TINY)
    x, y = (pair.offset.abs() / length).unbind(0)
    square = (x * x + y * y).clamp(min=1)
    angle = 2 * x * y / square
    urge = 2 - angle
    inverse = pair.hull.reciprocal()
    share = pair.offset * inverse
    squares = share * share
    left = torch.exp(-urge * squares)

    def slopes() -> Slopes:
        through_angle = -(squares * left).sum(0) / 2
        turn = 2 * (y * y - x * x) / (square * square * length) * through_angle
        by_angle = torch.stack((y * turn, x * -turn)) * pair.offset.sign()
        by_share = urge * share * left * inverse
        return Slopes(offset=by_share + by_angle, hull=-by_share * share)

    return Term(torch.expm1(-urge * squares).sum(0) / -2, slopes)
