"""Tversky loss and its relatives: overlaps that weigh misses and false alarms apart."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..base import register_mask
from ..options import require
from ._power import power
from ._regions import Regions
from .region import OverlapLoss, RegionLoss, one_minus_overlap


@dataclass(frozen=True, kw_only=True)
class TverskyOverlap(OverlapLoss):
    """What losses of the Tversky index share.

    Attributes:
        alpha: weight of false positives, >= 0.
        beta: weight of false negatives, >= 0.
    """

    alpha: float = 0.3
    beta: float = 0.7

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.alpha >= 0, "alpha", ">= 0", self.alpha)
        require(self.beta >= 0, "beta", ">= 0", self.beta)
        require(self.alpha + self.beta > 0, "beta", "> 0 where alpha is 0", self.beta)

    def ratio(self, regions: Regions) -> tuple[Tensor, Tensor]:
        error = self.alpha * regions.false + self.beta * regions.missed
        return error, regions.common + error


@register_mask("tversky")
@dataclass(frozen=True, kw_only=True)
class Tversky(TverskyOverlap):
    """Tversky loss: 1 - TP / (TP + α FP + β FN), mean over classes.

    Salehi et al., 2017, arXiv:1706.05721, with soft counts: TP = Σ p y, FP = Σ p (1-y),
    FN = Σ (1-p) y, and the paper's best α and β. α = β = 0.5 is the Dice loss (with half its
    smoothing), α = β = 1 the Jaccard loss.

    0 for a match to 1. Helps when missed foreground is worse than false alarms, or the other way
    round; hurts the overlap itself, as the best threshold moves away from 0.5.
    """


@register_mask("focal_tversky")
@dataclass(frozen=True, kw_only=True)
class FocalTversky(TverskyOverlap):
    """Focal Tversky loss: (1 - TI)^(1/γ), TI = TP / (TP + α FP + β FN), mean over classes.

    Abraham and Khan, 2018, arXiv:1810.07842, with its numbers; the paper's letters α and β
    change places, and here they are those of the Tversky loss. Others raise to γ itself: their γ
    is 1/γ of this one. Below a loss of 1e-7 the power goes on as a straight line to 0.

    0 for a match to 1. Helps when some regions stay small and hard, as γ > 1 keeps the gradient
    of losses near 0 up; hurts at the end of training, where that gradient is steep.

    Attributes:
        gamma: γ, > 0; above 1 it emphasises good overlaps, below 1 bad ones.
    """

    gamma: float = 4 / 3

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.gamma > 0, "gamma", "> 0", self.gamma)

    def of_regions(self, regions: Regions) -> Tensor:
        return power(super().of_regions(regions), 1 / self.gamma)


@register_mask("asymmetric_similarity")
@dataclass(frozen=True, kw_only=True)
class AsymmetricSimilarity(OverlapLoss):
    """Asymmetric similarity loss: 1 - (1+β²) TP / ((1+β²) TP + β² FN + FP), mean over classes.

    Hashemi et al., 2018, arXiv:1803.11078: 1 - F_β of soft counts. It is the Tversky loss
    with α = 1/(1+β²) and β²/(1+β²); β = 1 is the Dice loss.

    0 for a match to 1. Helps when recall is worth β times as much as precision; hurts precision.

    Attributes:
        beta: β, >= 0; above 1 recall counts more. The paper's best is 1.5.
    """

    beta: float = 1.5

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.beta >= 0, "beta", ">= 0", self.beta)

    def ratio(self, regions: Regions) -> tuple[Tensor, Tensor]:
        error = self.beta**2 * regions.missed + regions.false
        return error, (1 + self.beta**2) * regions.common + error


@register_mask("asymmetric_focal_tversky")
@dataclass(frozen=True, kw_only=True)
class AsymmetricFocalTversky(RegionLoss):
    """Asymmetric focal Tversky loss: mean of 1 - TI_b and (1 - TI_f)^(1-γ), over classes.

    Yeung et al., 2022, arXiv:2102.04525, as the mean of its two terms. TI is
    TP / (TP + δ FN + (1-δ) FP), of a class for TI_f and of its complement for TI_b.

    0 for a match to 1. Helps when the foreground is rare; hurts at the end of training, as the
    power is steep near 0 (below 1e-7 it is a straight line).

    Attributes:
        delta: δ, weight of what is missed, 0 to 1, false alarms having 1 - δ.
        gamma: γ, 0 to below 1; above 0 it emphasises foreground that is nearly right.
        smooth: added to numerator and denominator of both, >= 0.
        symmetric: raise both terms to 1 - γ.
    """

    delta: float = 0.7
    gamma: float = 0.75
    smooth: float = 1e-7
    symmetric: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.delta <= 1, "delta", "between 0 and 1", self.delta)
        require(0 <= self.gamma < 1, "gamma", ">= 0 and < 1", self.gamma)
        require(self.smooth >= 0, "smooth", ">= 0", self.smooth)

    def of_regions(self, regions: Regions) -> Tensor:
        exponent = 1 - self.gamma
        of_background = self._index_loss(regions.complement)
        of_background = power(of_background, exponent) if self.symmetric else of_background
        return (of_background + power(self._index_loss(regions), exponent)) / 2

    def _index_loss(self, regions: Regions) -> Tensor:
        error = self.delta * regions.missed + (1 - self.delta) * regions.false
        return one_minus_overlap(error, regions.common + error, self.smooth)
