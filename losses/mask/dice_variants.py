"""Losses made of Dice: generalised, penalised, log-cosh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..base import register_mask
from ..options import require
from ._regions import Regions
from .region import Dice, OverlapLoss, dice_ratio


@dataclass(frozen=True, kw_only=True)
class GeneralisedOverlap(OverlapLoss):
    """Dice overlap of all classes at once, each weighted by its size.

    Attributes:
        weighting: a class's weight is 1 / (Σ y)² (``"square"``), 1 / Σ y (``"simple"``) or 1
            (``"uniform"``). A class that is absent has the largest weight of those present.
    """

    smooth: float = 0.0
    average: Literal["micro"] = "micro"
    weighting: Literal["square", "simple", "uniform"] = "square"

    def weights(self, regions: Regions) -> Tensor | None:
        given = super().weights(regions)
        if self.weighting == "uniform":
            return given
        present = regions.actual > 0
        exponent = {"square": -2, "simple": -1}[self.weighting]
        weights = regions.actual.where(present, 1) ** exponent
        largest = weights.where(present, 0).amax(1, keepdim=True)
        weights = weights.where(present, largest)
        return weights if given is None else weights * given

    def ratio(self, regions: Regions) -> tuple[Tensor, Tensor]:
        return dice_ratio(regions)


@register_mask("generalised_dice")
@dataclass(frozen=True, kw_only=True)
class GeneralisedDice(GeneralisedOverlap):
    """Generalised Dice loss: 1 - 2 Σ_c w_c Σ p y / Σ_c w_c (Σ p + Σ y), w_c = 1 / (Σ y)².

    Sudre et al., 2017, arXiv:1707.03237. The paper counts the background as a class:
    ``activation: softmax_with_background``. One class without it gives the Dice loss.
    An image without any foreground has no gradient; it costs 1, or 0 if ``smooth`` is above 0. The
    weighted sums are small, so 1e-5 is much already.

    0 for a match to 1. Helps when classes differ much in size; hurts when a tiny class appears in
    some images only, whose gradient then outweighs all others.
    """


@register_mask("penalty_dice")
@dataclass(frozen=True, kw_only=True)
class PenaltyDice(GeneralisedOverlap):
    """Penalty Dice loss: 1 - GD / (1 + k (1 - GD)), GD being the generalised Dice overlap.

    Yang et al., 2019, "Major Vessel Segmentation on X-ray Coronary Angiography using Deep Networks
    with a Novel Penalty Loss Function", MIDL, with its k. k = 0 is the generalised Dice loss.

    0 for a match to 1. Helps when false pixels must cost more near a match; hurts early in
    training, when the overlap is small and the loss nearly flat.

    Attributes:
        k: strength of the penalty, >= 0.
    """

    k: float = 2.5

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.k >= 0, "k", ">= 0", self.k)

    def of_regions(self, regions: Regions) -> Tensor:
        loss = super().of_regions(regions)
        return (1 + self.k) * loss / (1 + self.k * loss)


@register_mask("log_cosh_dice")
@dataclass(frozen=True, kw_only=True)
class LogCoshDice(Dice):
    """Log-cosh Dice loss: ln cosh of the Dice loss, mean over classes.

    Jadon, 2020, arXiv:2006.14822. From 0 for a match to ln cosh 1 = 0.434. Helps where
    the gradient of Dice is unsteady near a match, as this one fades out there; hurts for the same
    reason, as the last errors are hardly learned.
    """

    version: ClassVar[int] = 1

    def of_regions(self, regions: Regions) -> Tensor:
        loss = super().of_regions(regions)
        # cosh x = 1 + 2 sinh²(x/2), which keeps its precision near 0.
        return torch.log1p(2 * torch.sinh(loss / 2).square())
