"""Dice and Jaccard losses, and what all losses of whole regions share."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..base import MaskLoss, Scope, register_mask
from ..options import require
from ._blocks import flat
from ._regions import Regions, sigmoid_regions, softmax_regions

TINY = 1e-20
"""Denominator below which prediction and target count as empty; only reached without smoothing."""

LOG_FLOOR = 1e-7
"""Smallest overlap that the logarithm is taken of."""


@dataclass(frozen=True, kw_only=True)
class RegionLoss(MaskLoss):
    """A loss of each region, averaged over classes; subclasses say which.

    An image without a valid pixel costs 0.

    Attributes:
        scope: ``"image"`` compares each image by itself. ``"batch"`` compares the regions of the
            whole batch as one; every image then has the same value, the batch's.
        activation: ``"sigmoid"`` takes each class as a mask of its own. ``"softmax"`` takes a
            softmax over the logits and 0, the background's: a pixel has one class at most.
            ``"softmax_with_background"`` also counts the background as a class, the first.
        average: ``"macro"`` averages the classes' losses; ``"micro"`` adds up their regions first.
        absent: what a class costs that the target (in this scope) does not have: ``"counts"``,
            the same as any other; ``"zero"``, nothing; ``"skipped"``, it has no part in the mean.
        class_weights: one weight a class (the background's first, if it counts): of its loss in a
            weighted mean, of its sums with ``"micro"``. None weights all by 1.
    """

    scope: Scope = "image"
    activation: Literal["sigmoid", "softmax", "softmax_with_background"] = "sigmoid"
    average: Literal["macro", "micro"] = "macro"
    absent: Literal["counts", "zero", "skipped"] = "counts"
    class_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.class_weights is not None:
            allowed = all(w >= 0 for w in self.class_weights) and any(self.class_weights)
            require(allowed, "class_weights", ">= 0 and not all 0", self.class_weights)

    @property
    def exclusive(self) -> bool:  # type: ignore[override]
        """Whether a pixel may belong to one class at most."""
        return self.activation != "sigmoid"

    @property
    def depends_on_batch(self) -> bool:
        return self.scope == "batch"

    @property
    def needs_squares(self) -> bool:
        """Whether :meth:`of_regions` reads ``squares``."""
        return False

    @abstractmethod
    def of_regions(self, regions: Regions) -> Tensor:
        """The loss of each region, of the shape of the sums."""

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        x, y, seen = flat(logits, target, valid)
        if self.exclusive:
            background = self.activation == "softmax_with_background"
            regions = softmax_regions(x, y, seen, self.needs_squares, background)
        else:
            regions = sigmoid_regions(x, y, seen, self.needs_squares)
        if self.scope == "batch":
            regions = regions.pooled(0)
        weights, counted = self.weights(regions), regions.count > 0
        if self.average == "micro":
            regions, weights = regions.pooled(1, weights), None
            counted = counted.any(1, keepdim=True)
        loss = self.of_regions(regions)
        if seen is not None or x.shape[2] == 0:
            loss = loss.where(counted, 0)
        return self._mean(loss, regions, weights).expand(len(logits))

    def weights(self, regions: Regions) -> Tensor | None:
        """Weights of the classes, ``[C]`` or ``[N, C]``; None if all are 1."""
        if self.class_weights is None:
            return None
        classes = regions.actual.shape[1]
        if len(self.class_weights) != classes:
            raise ValueError(
                f"class_weights must have one number a class that counts, here {classes}, "
                f"got {len(self.class_weights)}"
            )
        return regions.actual.new_tensor(self.class_weights)

    def _mean(self, loss: Tensor, regions: Regions, weights: Tensor | None) -> Tensor:
        """Average over classes, ``[N]`` or ``[1]``."""
        if self.absent == "counts" and weights is None:
            return loss.mean(1)
        share = torch.ones_like(loss) if weights is None else weights.expand_as(loss)
        present = regions.actual > 0
        if self.absent != "counts":
            loss = loss.where(present, 0)
        if self.absent == "skipped":
            share = share.where(present, 0)
        total = share.sum(1)
        return (loss * share).sum(1) / total.where(total > 0, 1)


@dataclass(frozen=True, kw_only=True)
class OverlapLoss(RegionLoss):
    """1 - overlap, averaged over classes; subclasses say what the overlap is.

    Attributes:
        smooth: added to the overlap's numerator and denominator, >= 0. With 0, an empty target
            costs 1 and has no gradient.
        smooth_in: ``"both"``, or ``"denominator"`` only, so that an empty prediction of an empty
            target costs 1 and not 0. In the second form a perfect match costs a little as well,
            ``smooth`` / (denominator + ``smooth``): meant for a small ``smooth`` such as 1e-3.
        form: ``"linear"``, 1 - overlap, or ``"log"``, -ln overlap, for which an overlap below
            1e-7 counts as 1e-7.
    """

    smooth: float = 1.0
    smooth_in: Literal["both", "denominator"] = "both"
    form: Literal["linear", "log"] = "linear"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.smooth >= 0, "smooth", ">= 0", self.smooth)

    @property
    def zero_at_match(self) -> bool:
        return self.smooth_in == "both" or self.smooth == 0

    @abstractmethod
    def ratio(self, regions: Regions) -> tuple[Tensor, Tensor]:
        """Error and denominator, such that the overlap is 1 - error / denominator."""

    def of_regions(self, regions: Regions) -> Tensor:
        loss = one_minus_overlap(*self.ratio(regions), self.smooth, self.smooth_in)
        return -torch.log1p(-loss.clamp(max=1 - LOG_FLOOR)) if self.form == "log" else loss


def one_minus_overlap(
    error: Tensor, below: Tensor, smooth: float, smooth_in: str = "both"
) -> Tensor:
    """error / denominator, smoothed; 1 where there is nothing to compare.

    As such, and not as 1 - (denominator - error) / denominator, it is exact near a match.
    """
    if smooth_in == "denominator":
        error = error + smooth
    if smooth >= TINY:
        return error / (below + smooth)
    empty = below < TINY
    return (error / below.masked_fill(empty, 1)).masked_fill(empty, 1)


@register_mask("dice")
@dataclass(frozen=True, kw_only=True)
class Dice(OverlapLoss):
    """Dice loss: 1 - 2 Σ p y / (Σ p + Σ y), mean over classes.

    The denominator is that of Drozdzal et al., 2016, arXiv:1608.04117; with ``squared`` it is
    Σ p² + Σ y², that of V-Net (Milletari et al., 2016, arXiv:1606.04797, Sec. 3).

    0 for a match to 1. Helps when the foreground is rare, as its size does not matter; hurts on
    images without foreground, with tiny objects (unsteady gradients), and calibration.

    Attributes:
        squared: square the probabilities in the denominator.
    """

    version: ClassVar[int] = 2
    squared: bool = False

    @property
    def needs_squares(self) -> bool:
        return self.squared

    def ratio(self, regions: Regions) -> tuple[Tensor, Tensor]:
        return dice_ratio(regions, self.squared)


@register_mask("jaccard")
@dataclass(frozen=True, kw_only=True)
class Jaccard(OverlapLoss):
    """Jaccard loss (soft IoU): 1 - Σ p y / (Σ p + Σ y - Σ p y), mean over classes.

    Rahman and Wang, 2016, "Optimizing Intersection-Over-Union in Deep Neural Networks for Image
    Segmentation", ISVC, Sec. 3. Without smoothing it is 1 - D / (2 - D), D being Dice's overlap.

    0 for a match to 1. Helps when IoU is what counts, and punishes bad masks more than Dice does;
    hurts where Dice hurts.

    Attributes:
        squared: square the probabilities in the sums of the denominator, Σ p² + Σ y² - Σ p y.
    """

    version: ClassVar[int] = 2
    squared: bool = False

    @property
    def needs_squares(self) -> bool:
        return self.squared

    def ratio(self, regions: Regions) -> tuple[Tensor, Tensor]:
        error, below = dice_ratio(regions, self.squared)
        return error, below - regions.common


def dice_ratio(regions: Regions, squared: bool = False) -> tuple[Tensor, Tensor]:
    """Σ p + Σ y - 2 Σ p y and Σ p + Σ y; or Σ (p-y)² and Σ p² + Σ y²."""
    if squared:
        assert regions.squares is not None
        error = regions.squares
    else:
        error = regions.wrong
    return error, 2 * regions.common + error
