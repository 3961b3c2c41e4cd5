"""Binary cross entropy: plain, weighted by a number, weighted by the share of the background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..base import Scope, register_mask
from ..options import require
from ._pixels import Pixel, PixelLoss, Weights, state_counts


@dataclass(frozen=True, kw_only=True)
class CrossEntropyOfPixels(PixelLoss):
    """-ln p_t of each pixel; subclasses weigh it."""

    def value_and_slope(self, pixel: Pixel) -> tuple[Tensor, Tensor]:
        return pixel.nll, pixel.miss


@register_mask("bce")
@dataclass(frozen=True, kw_only=True)
class BCE(PixelLoss):
    """Binary cross entropy: -[y ln p + (1-y) ln(1-p)], mean over valid pixels and classes.

    From 0 for certain and correct pixels, without a bound. Helps when foreground and background
    are about as frequent, and wherever calibrated probabilities are wanted; hurts when the
    foreground is rare, as the many easy background pixels then outweigh it.

    Attributes:
        smoothing: s, 0 to below 0.5: targets become s and 1-s in place of 0 and 1 (label
            smoothing, Szegedy et al., 2016, arXiv:1512.00567, Sec. 7). Then no prediction costs
            nothing; the least cost is the entropy of the smoothed target.
    """

    version: ClassVar[int] = 2

    smoothing: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.smoothing < 0.5, "smoothing", ">= 0 and < 0.5", self.smoothing)

    @property
    def zero_at_match(self) -> bool:
        return self.smoothing == 0

    def value_and_slope(self, pixel: Pixel) -> tuple[Tensor, Tensor]:
        if self.smoothing == 0:
            return pixel.nll, pixel.miss
        # Of the smoothed target the true state has 1-s and the other s; their two logarithms
        # differ by the margin.
        return pixel.nll - self.smoothing * pixel.margin, pixel.miss - self.smoothing


@register_mask("weighted_bce")
@dataclass(frozen=True, kw_only=True)
class WeightedBCE(CrossEntropyOfPixels):
    """Weighted BCE: -[β y ln p + (1-y) ln(1-p)], mean over valid pixels and classes.

    From 0, without a bound. Helps when missed foreground is worse than false alarms (β > 1) or the
    other way round; hurts when the weight is large, as few pixels then make the gradient and
    predictions come out too large.

    Attributes:
        beta: weight of the foreground, > 0; above 1 it raises recall, below 1 precision. The
            background keeps the weight 1, and the mean is not divided by the weights.
    """

    version: ClassVar[int] = 2

    beta: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.beta > 0, "beta", "> 0", self.beta)

    def weights(self, target: Tensor, seen: Tensor | None) -> Weights:
        return float(self.beta), 1.0


@register_mask("balanced_bce")
@dataclass(frozen=True, kw_only=True)
class BalancedBCE(CrossEntropyOfPixels):
    """Balanced BCE: -[β y ln p + (1-β)(1-y) ln(1-p)], β = share of background pixels.

    HED (Xie and Tu, 2015, arXiv:1504.06375), Eq. 2, as a mean over valid pixels and classes
    where the paper has a sum. β is counted for each class over valid pixels. A class that has
    no foreground (β = 1) or no background (β = 0) there costs nothing.

    From 0, without a bound. Helps when the foreground is thin or rare (edges, cracks); hurts on
    images without foreground, from which nothing is learned, and it thickens what it finds.

    Attributes:
        scope: where β is counted, ``"image"`` (each image has its own, as in the paper) or
            ``"batch"``. The mean is over the pixels of each image in both.
    """

    version: ClassVar[int] = 2

    scope: Scope = "image"

    @property
    def depends_on_batch(self) -> bool:
        return self.scope == "batch"

    def weights(self, target: Tensor, seen: Tensor | None) -> Weights:
        foreground, background = state_counts(target, seen)
        if self.scope == "batch":
            foreground, background = (
                x.sum(0, keepdim=True).expand_as(x) for x in (foreground, background)
            )
        share = background / (foreground + background).clamp(min=1)
        return share, 1 - share
