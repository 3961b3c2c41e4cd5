"""DIoU loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..base import register_box
from ._geometry import Pair, Slopes
from ._overlap import OverlapLoss, Term


@register_box("diou")
@dataclass(frozen=True, kw_only=True)
class DIoU(OverlapLoss):
    """DIoU loss: 1 - IoU + (distance of the centres / diagonal of the enclosing box)².

    Zheng et al., 2020, arXiv:1911.08287, Eq. 6 and 7. From 0 to 2.

    Helps when boxes are apart or one holds the other: centres are drawn together at once. Hurts
    when the shape is what is wrong: like IoU, it says nothing of it once the centres agree.
    """

    version: ClassVar[int] = 2

    def penalties(self, pair: Pair) -> tuple[Term, ...]:
        return (centre_distance(pair),)


def centre_distance(pair: Pair) -> Term:
    """Squared distance of the centres over the squared diagonal of the enclosing box."""
    inverse = pair.hull.square().sum(0).reciprocal()
    value = pair.offset.square().sum(0) * inverse

    def slopes() -> Slopes:
        twice = inverse + inverse
        return Slopes(offset=pair.offset * twice, hull=pair.hull * (-value * twice))

    return Term(value, slopes)
