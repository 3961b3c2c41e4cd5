"""GIoU loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..base import register_box
from ._geometry import Pair, Slopes
from ._overlap import OverlapLoss, Term


@register_box("giou")
@dataclass(frozen=True, kw_only=True)
class GIoU(OverlapLoss):
    """GIoU loss: 1 - IoU + share of the smallest enclosing box that neither box covers.

    Rezatofighi et al., 2019, arXiv:1902.09630, Algorithm 1 and 2. From 0 for a perfect match to
    2 for boxes that are far apart.

    Helps when boxes do not overlap yet: the gradient draws them together, first by growing the
    prediction. Hurts, as IoU does, when one box holds the other: the penalty is 0 there, so where
    the inner one lies makes no difference.
    """

    version: ClassVar[int] = 2

    def penalties(self, pair: Pair) -> tuple[Term, ...]:
        inverse = pair.hull_area.reciprocal()

        def slopes() -> Slopes:
            covered = pair.union * inverse
            return Slopes(overlap_area=inverse, pred_area=-inverse, hull_area=covered * inverse)

        return (Term((pair.hull_area - pair.union) * inverse, slopes),)
