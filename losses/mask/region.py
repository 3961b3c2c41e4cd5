"""Dice and Jaccard losses: overlap of whole regions instead of single pixels."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..base import MaskLoss, Scope, register_mask
from ..options import require

TINY = 1e-7
"""Smallest denominator; only reached without smoothing, where target and prediction are empty."""


@dataclass(frozen=True, kw_only=True)
class RegionLoss(MaskLoss):
    """1 - overlap, averaged over classes; subclasses say what the overlap is.

    An image without a valid pixel costs 0. A class that is absent from the target counts like
    any other: with smoothing in both parts it costs next to nothing if nothing is predicted.

    Attributes:
        smooth: added to the overlap's numerator and denominator, >= 0. With 0, an empty target
            costs 1 and has no gradient.
        smooth_in: ``"both"``, or ``"denominator"`` only, so that an empty prediction of an empty
            target costs 1 and not 0. In the second form a perfect match costs a little as well,
            ``smooth`` / (denominator + ``smooth``): meant for a small ``smooth`` such as 1e-3.
        squared: square the probabilities in the denominator.
        scope: ``"image"`` compares each image by itself. ``"batch"`` compares the regions of the
            whole batch as one; every image then has the same value, the batch's.
    """

    smooth: float = 1.0
    smooth_in: Literal["both", "denominator"] = "both"
    squared: bool = False
    scope: Scope = "image"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.smooth >= 0, "smooth", ">= 0", self.smooth)

    @abstractmethod
    def ratio(self, common: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        """Numerator and denominator of the overlap, before smoothing.

        Args:
            common: Σ p y, of shape ``[N, C]``, or ``[1, C]`` for a batch.
            total: Σ p + Σ y (with ``squared``, Σ p² + Σ y²), the same shape.
        """

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        pixels = (2, 3) if self.scope == "image" else (0, 2, 3)
        p = torch.sigmoid(logits).where(valid, 0)
        y = target.where(valid, 0)
        common = _sum(p * y, pixels)
        total = _sum(p.square() + y.square() if self.squared else p + y, pixels)
        above, below = self.ratio(common, total)
        if self.smooth_in == "both":
            above = above + self.smooth
        loss = 1 - above / (below + self.smooth).clamp(min=TINY)
        anything = _sum(valid, pixels) > 0
        return loss.where(anything, 0).mean(1).expand(len(logits))


@register_mask("dice")
@dataclass(frozen=True, kw_only=True)
class Dice(RegionLoss):
    """Dice loss: 1 - 2 Σ p y / (Σ p + Σ y), mean over classes.

    The denominator is that of Drozdzal et al., 2016, arXiv:1608.04117; with ``squared`` it is
    Σ p² + Σ y², that of V-Net (Milletari et al., 2016, arXiv:1606.04797, Sec. 3).
    """

    def ratio(self, common: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        return 2 * common, total


@register_mask("jaccard")
@dataclass(frozen=True, kw_only=True)
class Jaccard(RegionLoss):
    """Jaccard loss (soft IoU): 1 - Σ p y / (Σ p + Σ y - Σ p y), mean over classes.

    Rahman and Wang, 2016, "Optimizing Intersection-Over-Union in Deep Neural Networks for Image
    Segmentation", ISVC, Sec. 3. Without smoothing it is 1 - D / (2 - D), D being Dice's overlap.
    """

    def ratio(self, common: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        return common, total - common


def _sum(x: Tensor, pixels: tuple[int, ...]) -> Tensor:
    """Sum over ``pixels``, ``[N, C]`` or ``[1, C]``."""
    return x.sum(pixels, keepdim=True)[:, :, 0, 0]
