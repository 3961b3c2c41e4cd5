"""Poly-1 loss."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..base import register_mask
from ..options import require
from ._pixels import Pixel, PixelLoss


@register_mask("poly1")
@dataclass(frozen=True, kw_only=True)
class Poly1(PixelLoss):
    """Poly-1 loss: BCE + ε (1 - p_t), mean over valid pixels and classes.

    Leng et al., 2022, arXiv:2204.12511, for two states of a pixel: the first coefficient of
    BCE as a series in 1 - p_t is changed by ε. ε = 0 is BCE.

    From 0 for certain and correct pixels, without a bound. Helps, with ε > 0, when predictions
    stay unsure, as the gradient of undecided pixels grows; hurts calibration.

    Attributes:
        epsilon: ε, >= -1 (below, an undecided pixel would be pushed the wrong way).
    """

    epsilon: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.epsilon >= -1, "epsilon", ">= -1", self.epsilon)

    def value_and_slope(self, pixel: Pixel) -> tuple[Tensor, Tensor]:
        value = pixel.nll + self.epsilon * pixel.miss
        return value, pixel.miss * (1 + self.epsilon - self.epsilon * pixel.miss)
