"""Unified focal loss."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from ..base import MaskLoss, register_mask
from ..options import require
from .focal import AsymmetricFocal, Focal
from .tversky import AsymmetricFocalTversky


@register_mask("unified_focal")
@dataclass(frozen=True, kw_only=True)
class UnifiedFocal(MaskLoss):
    """Unified focal loss: λ × asymmetric focal loss + (1-λ) × asymmetric focal Tversky loss.

    Yeung et al., 2022, arXiv:2102.04525, with its λ, δ and γ. One δ and one γ serve both
    parts, which are registered as ``asymmetric_focal`` and ``asymmetric_focal_tversky``. Where
    others average over foreground and background, the first part is half of this one.

    From 0 for certain and correct pixels, without a bound. Helps when the foreground is rare and
    one loss of pixels or regions alone does not do; hurts calibration.

    Attributes:
        mix: λ, share of the pixels' part, 0 to 1; the regions' part has 1 - λ.
        delta: δ, weight of the foreground, 0 to 1.
        gamma: γ, 0 to below 1: how strongly easy background is discounted and foreground that is
            nearly right is emphasised.
        symmetric: treat foreground and background alike: discount easy pixels of both, and
            emphasise both regions.
    """

    mix: float = 0.5
    delta: float = 0.6
    gamma: float = 0.5
    symmetric: bool = False
    pixels: MaskLoss = field(init=False, repr=False, compare=False)
    regions: MaskLoss = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.mix <= 1, "mix", "between 0 and 1", self.mix)
        require(0 <= self.delta <= 1, "delta", "between 0 and 1", self.delta)
        require(0 <= self.gamma < 1, "gamma", ">= 0 and < 1", self.gamma)

        # Built once: a compiler cannot follow the building of a loss.
        if self.symmetric:
            pixels: MaskLoss = Focal(alpha=self.delta, gamma=self.gamma)
        else:
            pixels = AsymmetricFocal(delta=self.delta, gamma=self.gamma)
        object.__setattr__(self, "pixels", pixels)
        regions = AsymmetricFocalTversky(
            delta=self.delta, gamma=self.gamma, symmetric=self.symmetric
        )
        object.__setattr__(self, "regions", regions)

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        pixels = self.pixels.compute(logits, target, valid)
        regions = self.regions.compute(logits, target, valid)
        return self.mix * pixels + (1 - self.mix) * regions
