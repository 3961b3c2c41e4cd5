"""Binary cross entropy: plain, weighted by a number, weighted by the share of the background."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..base import MaskLoss, Scope, register_mask
from ..options import require
from ._pixels import log_likelihood, mean_over_pixels


@register_mask("bce")
@dataclass(frozen=True, kw_only=True)
class BCE(MaskLoss):
    """Binary cross entropy: -[y ln p + (1-y) ln(1-p)], mean over valid pixels and classes."""

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        log_p, _ = log_likelihood(logits, target)
        return mean_over_pixels(-log_p, valid)


@register_mask("weighted_bce")
@dataclass(frozen=True, kw_only=True)
class WeightedBCE(MaskLoss):
    """Weighted BCE: -[β y ln p + (1-y) ln(1-p)], mean over valid pixels and classes.

    Attributes:
        beta: weight of the foreground, > 0; above 1 it raises recall, below 1 precision. The
            background keeps the weight 1, and the mean is not divided by the weights.
    """

    beta: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.beta > 0, "beta", "> 0", self.beta)

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        log_p, _ = log_likelihood(logits, target)
        weight = 1 + (self.beta - 1) * target
        return mean_over_pixels(-weight * log_p, valid)


@register_mask("balanced_bce")
@dataclass(frozen=True, kw_only=True)
class BalancedBCE(MaskLoss):
    """Balanced BCE: -[β y ln p + (1-β)(1-y) ln(1-p)], β = share of background pixels.

    HED (Xie and Tu, 2015, arXiv:1504.06375), Eq. 2, as a mean over valid pixels and classes
    where the paper has a sum. β is counted for each class over valid pixels. A class that has
    no foreground (β = 1) or no background (β = 0) there costs nothing.

    Attributes:
        scope: where β is counted, ``"image"`` (each image has its own, as in the paper) or
            ``"batch"``. The mean is over the pixels of each image in both.
    """

    scope: Scope = "image"

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        log_p, _ = log_likelihood(logits, target)
        pixels = (2, 3) if self.scope == "image" else (0, 2, 3)
        foreground = target.where(valid, 0).sum(pixels, keepdim=True)
        count = valid.sum(pixels, keepdim=True).clamp(min=1)
        beta = 1 - foreground / count
        weight = beta * target + (1 - beta) * (1 - target)
        return mean_over_pixels(-weight * log_p, valid)
