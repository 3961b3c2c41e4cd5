"""Exponential-logarithmic loss."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from ..base import MaskLoss, register_mask
from ..options import require
from ._pixels import Pixel, PixelLoss, Weights, state_counts
from ._power import power, power_slope
from ._regions import Regions
from .region import Dice


@dataclass(frozen=True, kw_only=True)
class ExponentialDice(Dice):
    """(-ln of the Dice overlap)^γ, mean over classes."""

    gamma: float

    def of_regions(self, regions: Regions) -> Tensor:
        return power(super().of_regions(regions), self.gamma)


@dataclass(frozen=True, kw_only=True)
class ExponentialCrossEntropy(PixelLoss):
    """w (-ln p_t)^γ, mean over pixels and classes; w = 1 / √(share of the pixel's state)."""

    gamma: float

    def value_and_slope(self, pixel: Pixel) -> tuple[Tensor, Tensor]:
        slope = power_slope(pixel.nll, self.gamma) * pixel.miss
        return power(pixel.nll, self.gamma), slope

    def weights(self, target: Tensor, seen: Tensor | None) -> Weights:
        foreground, background = state_counts(target, seen)
        count = foreground + background
        return (count / foreground.clamp(min=1)).sqrt(), (count / background.clamp(min=1)).sqrt()


@register_mask("exp_log")
@dataclass(frozen=True, kw_only=True)
class ExponentialLogarithmic(MaskLoss):
    """Exponential-logarithmic loss: λ_D mean (-ln D)^γ_D + λ_C mean w (-ln p_t)^γ_C.

    Wong et al., 2018, arXiv:1809.00076, with its numbers. D is the smoothed Dice
    overlap of a class, w = 1 / √(share of pixels of that state). The paper counts the shares over
    the training set; here each image has its own. Where D or p_t is within 1e-7 of 1 the power
    goes on as a straight line to 0.

    From 0 for certain and correct pixels, without a bound. Helps when some classes are tiny; hurts
    at the end of training, as powers below 1 are steep near 0.

    Attributes:
        weight_dice: λ_D, >= 0.
        weight_cross: λ_C, >= 0.
        gamma_dice: γ_D, > 0; below 1 it emphasises errors that are small already.
        gamma_cross: γ_C, > 0.
        smooth: added to numerator and denominator of D, > 0.
    """

    weight_dice: float = 0.8
    weight_cross: float = 0.2
    gamma_dice: float = 0.3
    gamma_cross: float = 0.3
    smooth: float = 1.0
    dice: ExponentialDice = field(init=False, repr=False, compare=False)
    cross: ExponentialCrossEntropy = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("weight_dice", "weight_cross"):
            require(getattr(self, name) >= 0, name, ">= 0", getattr(self, name))
        for name in ("gamma_dice", "gamma_cross", "smooth"):
            require(getattr(self, name) > 0, name, "> 0", getattr(self, name))

        # Built once: a compiler cannot follow the building of a loss.
        dice = ExponentialDice(gamma=self.gamma_dice, form="log", smooth=self.smooth)
        object.__setattr__(self, "dice", dice)
        object.__setattr__(self, "cross", ExponentialCrossEntropy(gamma=self.gamma_cross))

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        dice = self.dice.compute(logits, target, valid)
        return self.weight_dice * dice + self.weight_cross * self.cross.compute(
            logits, target, valid
        )
