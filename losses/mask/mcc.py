"""Matthews correlation coefficient loss."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..base import register_mask
from ..options import require
from ._regions import Regions
from .region import RegionLoss


@register_mask("mcc")
@dataclass(frozen=True, kw_only=True)
class MCC(RegionLoss):
    """Matthews correlation loss: 1 - (TP TN - FP FN) / √((TP+FP)(TP+FN)(TN+FP)(TN+FN)).

    Abhishek and Hamarneh, 2021, arXiv:2010.13454, Eq. 3 and 4, with soft counts, mean over
    classes. Foreground and background may change places.

    From 0 for a match over 1 for a prediction that says nothing to 2 for the opposite of the
    target. A class that no pixel or every pixel has costs 1, except for a prediction that is
    right to the last bit. Helps when both true positives and true negatives matter; hurts on
    images without foreground, from which it learns nothing.

    Attributes:
        smooth: added to the product under the root, in pixels to the fourth power, > 0.
    """

    smooth: float = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.smooth > 0, "smooth", "> 0", self.smooth)

    def of_regions(self, regions: Regions) -> Tensor:
        common, neither = regions.common, regions.neither
        covariance = common * neither - regions.false * regions.missed
        background = regions.count - regions.actual
        predictions = (common + regions.false) * (neither + regions.missed)
        # Of 16,384 x 16,384 pixels the four counts multiply to 1e33 at most: within float32.
        spread = (predictions * regions.actual * background + self.smooth).sqrt()
        right = (regions.false == 0) & (regions.missed == 0)
        return (1 - covariance / spread).masked_fill(right, 0)
