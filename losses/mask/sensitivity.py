"""Sensitivity-specificity loss."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..base import register_mask
from ..options import require
from ._pixels import Pixel, PixelLoss, Weight, Weights, state_counts


@register_mask("sensitivity_specificity")
@dataclass(frozen=True, kw_only=True)
class SensitivitySpecificity(PixelLoss):
    """Sensitivity-specificity loss: r Σ (y-p)² y / Σ y + (1-r) Σ (y-p)² (1-y) / Σ (1-y).

    Brosch et al., 2015, "Deep Convolutional Encoder Networks for Multiple Sclerosis Lesion
    Segmentation", MICCAI, mean over classes: the mean squared errors of foreground and
    of background. A state that no pixel of an image has costs nothing there.

    From 0 for certain and correct pixels to 1. Helps when the foreground is rare, each state having
    its fixed share; hurts precision for larger r, and pixels that are certain but wrong have next
    to no gradient.

    Attributes:
        ratio: r, weight of the foreground, 0 to 1.
    """

    ratio: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.ratio <= 1, "ratio", "between 0 and 1", self.ratio)

    def value_and_slope(self, pixel: Pixel) -> tuple[Tensor, Tensor]:
        square = pixel.miss.square()
        return square, square * (2 - 2 * pixel.miss)

    def weights(self, target: Tensor, seen: Tensor | None) -> Weights:
        foreground, background = state_counts(target, seen)
        return self.ratio / foreground.clamp(min=1), (1 - self.ratio) / background.clamp(min=1)

    def divisor(self, logits: Tensor, target: Tensor, seen: Tensor | None) -> Weight:
        return float(target.shape[1])
