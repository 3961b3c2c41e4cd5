"""EIoU loss."""

from __future__ import annotations

from dataclasses import dataclass

from ..base import register_box
from ._geometry import Pair, Slopes
from ._overlap import OverlapLoss, Term
from .diou import centre_distance


@register_box("eiou")
@dataclass(frozen=True, kw_only=True)
class EIoU(OverlapLoss):
    """EIoU loss: DIoU loss + (difference of widths / hull width)² + the same of the heights.

    Zhang et al., 2021, arXiv:2101.08158, Eq. 6. From 0 to 3.25. With ``focal`` at 0.5 it is
    Focal-EIoU (Eq. 13). ``power`` takes the two differences of sides as one penalty.

    Helps when the sides are wrong: each is compared by itself, where CIoU compares only their
    ratio. Hurts when boxes are far apart: the hull is large there and the differences of sides
    shrink to nothing.
    """

    def penalties(self, pair: Pair) -> tuple[Term, ...]:
        return centre_distance(pair), _side_distance(pair)


def _side_distance(pair: Pair) -> Term:
    inverse = pair.hull.reciprocal()
    share = (pair.pred - pair.target) * inverse

    def slopes() -> Slopes:
        pred = 2 * share * inverse
        return Slopes(pred=pred, hull=-share * pred)

    return Term((share * share).sum(0), slopes)
