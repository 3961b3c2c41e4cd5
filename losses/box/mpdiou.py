"""MPDIoU loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from ..base import register_box
from ..options import require
from ._geometry import Pair, Slopes
from ._overlap import OverlapLoss, Term

MOST_DIAGONALS = 1e9
"""Size of a pair in diagonals of the image, beyond which it makes no further difference; without
this, its square would leave float32."""


@register_box("mpdiou")
@dataclass(frozen=True, kw_only=True)
class MPDIoU(OverlapLoss):
    """MPDIoU loss: 1 - IoU + (d1² + d2²) / (image width² + image height²).

    Ma and Xu, 2023, arXiv:2307.07662, Algorithm 1: d1 and d2 are the distances of the upper left
    and of the lower right corners. A loss sees boxes and no image, so the size of the image is an
    option. Without it, the squared diagonal of the hull takes its place, which is NOT the paper's
    loss: it makes the penalty as large as DIoU's, and independent of scale. From 0 to 3; within
    the image, if that is given.

    Helps when one simple penalty should cover place and size together, and never vanish but at
    the match. Hurts, in the paper's form, when objects are small: their distances are nothing
    beside the image's diagonal and the loss is that of IoU.

    Attributes:
        image_width, image_height: size of the network's input in pixels, > 0; both or none.
    """

    image_width: float | None = None
    image_height: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("image_width", "image_height"):
            size = getattr(self, name)
            require(size is None or size > 0, name, "> 0", size)
        both = (self.image_width is None) == (self.image_height is None)
        require(both, "image_height", "given together with image_width", self.image_height)

    def penalties(self, pair: Pair) -> tuple[Term, ...]:
        change = pair.pred - pair.target
        distance = (2 * pair.offset * pair.offset + change * change / 2).sum(0)
        inverse = self._per_square_diagonal(pair)
        value = distance * inverse

        def slopes() -> Slopes:
            offset, pred = 4 * pair.offset * inverse, change * inverse
            if self.image_width is not None:
                return Slopes(offset=offset, pred=pred)
            return Slopes(offset=offset, pred=pred, hull=pair.hull * (-2 * value * inverse))

        return (Term(value, slopes),)

    def _per_square_diagonal(self, pair: Pair) -> Tensor:
        if self.image_width is None or self.image_height is None:
            return (pair.hull * pair.hull).sum(0).reciprocal()
        diagonal = math.hypot(self.image_width, self.image_height)
        return (pair.scale / diagonal).clamp(max=MOST_DIAGONALS) ** 2
