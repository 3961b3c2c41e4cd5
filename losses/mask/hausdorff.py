"""Losses that estimate the Hausdorff distance, by distance maps and by erosion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..base import MaskLoss, register_mask
from ..options import require
from ._distance import distance_across
from ._means import mean_over_valid

SMALLEST_RANGE = 1e-3
"""Below this an eroded error is not stretched to 0..1, so that its gradient stays finite."""


@register_mask("hausdorff")
@dataclass(frozen=True, kw_only=True)
class Hausdorff(MaskLoss):
    """Hausdorff loss by distance maps: (p - y)² (d_y^α + d_p^α), mean over pixels and classes.

    Karimi and Salcudean, 2019, arXiv:1904.10030, Eq. 8 and 9, for each class by itself; the mean
    over valid pixels and classes. From 0 up. d_y and d_p are each pixel's distance, in pixels, to
    the other side of the boundary of the target and of the prediction p > 1/2; a mask that is
    empty or full has no boundary and a map of zeros. The maps are constants for the gradient,
    which is exact, as they change only where a p crosses 1/2. An ignored pixel counts as
    background. With α = 2 the values grow with the square of the image's side: combine it with
    a small weight.

    Attributes:
        alpha: exponent of the distance, > 0.
        sides: ``"two"`` adds both maps (Eq. 8), ``"one"`` takes that of the target only (Eq. 9),
            which saves half of the time.
        log: ln(1 + the mean of each class), as in MONAI's LogHausdorffDTLoss.

    Helps when single far-off pixels are the worst mistakes, beside a region loss; hurts alone:
    where target and prediction are both without a boundary it has no gradient.
    """

    alpha: float = 2.0
    sides: Literal["two", "one"] = "two"
    log: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.alpha > 0, "alpha", "> 0", self.alpha)

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        masks = [target > 0.5] if self.sides == "one" else [target > 0.5, logits > 0]
        distances = [distance_across(mask & valid, logits.dtype) for mask in masks]
        far = torch.stack([distance**self.alpha for distance in distances]).sum(0)
        value = mean_over_valid(far * (logits.sigmoid() - target).square(), valid)
        return (value.log1p() if self.log else value).mean(1)


@register_mask("hausdorff_erosion")
@dataclass(frozen=True, kw_only=True)
class HausdorffErosion(MaskLoss):
    """Hausdorff loss by erosion: Σ_k k^α E_k, E_k the errors (p - y)² after k erosions.

    Karimi and Salcudean, 2019, arXiv:1904.10030, Eq. 10, for each class by itself; the mean over
    valid pixels and classes. From 0 to Σ k^α. What survives many erosions is thick, and stands for
    a large distance. An erosion is the mean over a pixel and its four neighbours, less 1/2, cut
    off at 0 and stretched, so that an area of full errors stays one. Outside the image and at
    ignored pixels there is no error.

    Attributes:
        alpha: exponent of the number of erosions, > 0.
        erosions: how many, >= 1: errors thicker than about twice as many pixels count alike.
        stretch: ``"double"`` multiplies by 2. ``"range"`` makes every erosion reach from 0 to 1 in
            each image and class, as kornia's HausdorffERLoss does; faint errors then count
            fully, but the gradient can point the wrong way, since the others grow as one shrinks.

    Helps when whole blobs are missing or too many, and where distance maps are too slow; hurts
    alone: thin errors vanish in the first erosion and have no gradient at all.
    """

    alpha: float = 2.0
    erosions: int = 10
    stretch: Literal["double", "range"] = "double"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.alpha > 0, "alpha", "> 0", self.alpha)
        require(self.erosions >= 1, "erosions", ">= 1", self.erosions)

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        error = (logits.sigmoid() - target).square().where(valid, 0)
        total = torch.zeros_like(error)
        for k in range(1, self.erosions + 1):
            left = (_cross_mean(error) - 0.5).clamp(min=0).where(valid, 0)
            error = STRETCHES[self.stretch](left)
            total = total + k**self.alpha * error
        return mean_over_valid(total, valid).mean(1)


def _cross_mean(x: Tensor) -> Tensor:
    """Mean of each pixel and its four neighbours, those outside the image being 0."""
    up, down = F.pad(x[..., 1:, :], (0, 0, 0, 1)), F.pad(x[..., :-1, :], (0, 0, 1, 0))
    left, right = F.pad(x[..., 1:], (0, 1)), F.pad(x[..., :-1], (1, 0))
    return (x + up + down + left + right) / 5


def _doubled(x: Tensor) -> Tensor:
    return 2 * x


def _over_range(x: Tensor) -> Tensor:
    """``x [N, C, H, W]`` moved and scaled to reach from 0 to 1 in each plane."""
    if x.numel() == 0:
        return x
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    return (x - low) / (high - low).clamp(min=SMALLEST_RANGE)


STRETCHES = {"double": _doubled, "range": _over_range}
