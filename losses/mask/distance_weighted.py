"""Cross entropy and Dice with pixels weighted by their distance to the target's boundary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..base import MaskLoss, register_mask
from ..options import require
from ._distance import distance_across
from ._means import mean_over_valid


@register_mask("distance_weighted_bce")
@dataclass(frozen=True, kw_only=True)
class DistanceWeightedBCE(MaskLoss):
    """Distance-weighted BCE: -(1 + Φ) [y ln p + (1-y) ln(1-p)], Φ falling off from the boundary.

    Caliva et al., 2019, arXiv:1908.03679, Sec. 2 ("distance map loss penalty term"), for each
    class by itself; the mean over valid pixels and classes, not divided by the weights. From 0
    up. Φ is the reversed distance to the target's boundary: 1 on both sides of it, falling with
    the distance to 0 at the farthest pixel of either side. Φ is 0 for a class that is absent or
    fills the image. An ignored pixel counts as background for the distances.

    Helps when errors sit along boundaries; hurts where labels are unsure there, as it weights
    these up.
    """

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        loss = F.softplus(logits * (1 - 2 * target))
        weight = 1 + _nearness((target > 0.5) & valid, logits.dtype)
        return mean_over_valid(weight * loss, valid).mean(1)


@register_mask("distance_weighted_dice")
@dataclass(frozen=True, kw_only=True)
class DistanceWeightedDice(MaskLoss):
    """Distance-weighted Dice: 1 - 2 Σ w p y / Σ w (p + y), w falling off from the boundary.

    The weights w = 1 + Φ are those of ``distance_weighted_bce``. For each class by itself; the
    mean over classes. From 0 to 1. An image without a valid pixel costs 0.

    Attributes:
        weighted: ``"both"`` weights numerator and denominator, so that the perfect prediction
            costs 0. ``"overlap"`` weights the numerator only, as in SegLossOdyssey's
            DistBinaryDiceLoss; the loss then lies between -1 and 1 and goes below 0 where the
            prediction is good.
        smooth: added to the numerator and the denominator, > 0.

    Helps when both small regions and their boundaries matter; hurts as any Dice does in images
    without the class, where single false pixels decide.
    """

    weighted: Literal["both", "overlap"] = "both"
    smooth: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.smooth > 0, "smooth", "> 0", self.smooth)

    @property
    def zero_at_match(self) -> bool:
        return self.weighted == "both"

    @property
    def non_negative(self) -> bool:
        return self.weighted == "both"

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        p = logits.sigmoid().where(valid, 0)
        y = target.where(valid, 0)
        weight = 1 + _nearness(y > 0.5, logits.dtype)
        total = (p + y) * weight if self.weighted == "both" else p + y
        overlap = (2 * weight * p * y).sum((2, 3)) + self.smooth
        return (1 - overlap / (total.sum((2, 3)) + self.smooth)).mean(1)


def _nearness(inside: Tensor, dtype: torch.dtype) -> Tensor:
    """Φ ``[N, C, H, W]``: 1 next to the boundary, 0 at the pixels of each side farthest from it.

    Where one side is nowhere deeper than one pixel, all of it is next to the boundary.
    """
    distance = distance_across(inside, dtype)
    deepest_inside = distance.where(inside, 0).amax((2, 3), keepdim=True)
    deepest_outside = distance.where(~inside, 0).amax((2, 3), keepdim=True)
    deepest = torch.where(inside, deepest_inside, deepest_outside)
    falling = (deepest - distance) / (deepest - 1).where(deepest > 1, 1)
    return falling.where(deepest > 1, (distance > 0).to(dtype))
