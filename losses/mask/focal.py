"""Focal loss and its asymmetric form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..base import register_mask
from ..options import require
from ._pixels import Pixel, PixelLoss, Weight, Weights, state_counts, weighted_sum


def power_of_miss(pixel: Pixel, gamma: float) -> Tensor:
    """(1 - p_t)^γ, with a finite gradient for every γ >= 0."""
    if gamma in (1, 2, 3):  # three that torch.pow is fast at
        return pixel.miss**gamma
    # ln(1 - p_t) = m - nll. Through logarithms, as the power itself has no gradient at p_t = 1
    # for γ < 1, and as it takes several times as long.
    return (gamma * (pixel.margin - pixel.nll)).exp()


TINY = 1e-7
"""Least sum of discounts that is divided by; that of pixels which are all certain is 0."""


@dataclass(frozen=True, kw_only=True)
class Discount:
    """The factor that focal loss puts on a pixel: (1 - p_t)^γ.

    Attributes:
        gamma: γ.
        threshold: from Reduced Focal Loss: 1 where p_t is below it, ((1 - p_t) / threshold)^γ
            elsewhere; None for the plain factor.
    """

    gamma: float
    threshold: float | None = None

    def value_and_slope(self, pixel: Pixel) -> tuple[Tensor, Tensor]:
        """The factor, and its derivative with respect to the margin."""
        value = power_of_miss(pixel, self.gamma)
        slope = value * torch.rsub(pixel.miss, self.gamma, alpha=self.gamma)
        if self.threshold is None:
            return value, slope
        scale, kept = self.threshold**-self.gamma, 1 - pixel.miss < self.threshold
        return (value * scale).masked_fill(kept, 1), (slope * scale).masked_fill(kept, 0)


@register_mask("focal")
@dataclass(frozen=True, kw_only=True)
class Focal(PixelLoss):
    """Focal loss: -[α (1-p)^γ y ln p + (1-α) p^γ (1-y) ln(1-p)], mean over pixels and classes.

    Lin et al., 2017, arXiv:1708.02002, Eq. 5, with the paper's α and γ. The paper divides a sum
    over anchors by the number of positives; for masks the mean over valid pixels is usual.

    From 0 for certain and correct pixels, without a bound. Helps when most pixels are easy, as in
    a large background; hurts calibration, and where labels are noisy, as the wrong ones count most.

    Attributes:
        alpha: weight of the foreground, 0 to 1, the background having 1 - α; None weights both
            by 1 (Eq. 4).
        gamma: how strongly well-classified pixels are discounted, >= 0.
        normaliser: what the sum over an image is divided by: ``"pixels"`` (the valid ones of all
            classes), ``"positives"`` (those of the foreground, at least 1, as in the paper) or
            ``"discounts"`` (the sum of (1 - p_t)^γ: the discounts become weights of a mean,
            arXiv:1909.07829).
        reduced_threshold: None, or p_t below which nothing is discounted, 0 to 1 (Reduced Focal
            Loss, Sergievskiy and Ponamarev, 2019, arXiv:1903.01347, there 0.5).
    """

    version: ClassVar[int] = 2

    alpha: float | None = 0.25
    gamma: float = 2.0
    normaliser: Literal["pixels", "positives", "discounts"] = "pixels"
    reduced_threshold: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range = self.alpha is None or 0 <= self.alpha <= 1
        require(in_range, "alpha", "null or between 0 and 1", self.alpha)
        require(self.gamma >= 0, "gamma", ">= 0", self.gamma)
        threshold = self.reduced_threshold
        in_range = threshold is None or 0 < threshold <= 1
        require(in_range, "reduced_threshold", "null, or > 0 and <= 1", threshold)

    @property
    def discount(self) -> Discount:
        """The factor on each pixel."""
        return Discount(gamma=self.gamma, threshold=self.reduced_threshold)

    def value_and_slope(self, pixel: Pixel) -> tuple[Tensor, Tensor]:
        factor, growth = self.discount.value_and_slope(pixel)
        return factor * pixel.nll, torch.addcmul(growth * pixel.nll, factor, pixel.miss)

    def weights(self, target: Tensor, seen: Tensor | None) -> Weights:
        return None if self.alpha is None else (float(self.alpha), 1.0 - self.alpha)

    def divisor(self, logits: Tensor, target: Tensor, seen: Tensor | None) -> Weight:
        if self.normaliser == "positives":
            return state_counts(target, seen)[0].sum((1, 2)).clamp(min=1)
        if self.normaliser == "discounts":
            return weighted_sum(self.discount, logits, target, seen).clamp(min=TINY)
        return super().divisor(logits, target, seen)


@register_mask("asymmetric_focal")
@dataclass(frozen=True, kw_only=True)
class AsymmetricFocal(PixelLoss):
    """Asymmetric focal loss: -[δ y ln p + (1-δ) p^γ (1-y) ln(1-p)], mean over pixels and classes.

    Yeung et al., 2022, arXiv:2102.04525: only the background's easy pixels are
    discounted. The paper's sum over a pixel's two states has one term, so it is the mean here.

    From 0 for certain and correct pixels, without a bound. Helps when the foreground is rare, of
    which focal loss would discount the part that is learned; hurts precision when δ is large.

    Attributes:
        delta: δ, weight of the foreground, 0 to 1, the background having 1 - δ.
        gamma: how strongly well-classified background is discounted, >= 0.
    """

    delta: float = 0.7
    gamma: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.delta <= 1, "delta", "between 0 and 1", self.delta)
        require(self.gamma >= 0, "gamma", ">= 0", self.gamma)

    def value_and_slope(self, pixel: Pixel) -> tuple[Tensor, Tensor]:
        factor, growth = Discount(gamma=self.gamma).value_and_slope(pixel)
        factor = factor + pixel.target * (1 - factor)
        growth = growth * (1 - pixel.target)
        return factor * pixel.nll, torch.addcmul(growth * pixel.nll, factor, pixel.miss)

    def weights(self, target: Tensor, seen: Tensor | None) -> Weights:
        return float(self.delta), 1.0 - self.delta
