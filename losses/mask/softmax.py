"""Softmax losses: cross entropy of exclusive classes, and its focal form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..base import register_mask
from ..options import require
from ._pixels import Pixel, Weight
from ._softmax import Choice, SoftmaxLoss
from .focal import Discount

TINY = 1e-30
"""Least probability that is divided by or taken the logarithm of."""


@register_mask("cross_entropy")
@dataclass(frozen=True, kw_only=True)
class CrossEntropy(SoftmaxLoss):
    """Cross entropy: -w_t ln p_t, p = softmax over 0 (the background) and the logits, mean.

    The mean is over valid pixels. Equal to the Kullback-Leibler divergence of p from the target
    plus the target's entropy. With one class and no weights it is BCE.

    From 0 for certain and correct pixels, without a bound. Helps when a pixel has one class at
    most; hurts when classes overlap, which it cannot express, and when one is rare.

    Attributes:
        class_weights: one weight a class, the background's first, >= 0; None weights all by 1.
        smoothing: ε, 0 to below 1: the target becomes 1-ε times itself plus ε / (number of
            classes with the background) for each (Szegedy et al., 2016, arXiv:1512.00567, Sec.
            7). Then no prediction costs nothing.
        normaliser: what the sum over an image is divided by, the number of its valid ``"pixels"``
            or the sum of their ``"weights"``.
    """

    class_weights: tuple[float, ...] | None = None
    smoothing: float = 0.0
    normaliser: Literal["weights", "pixels"] = "weights"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.smoothing < 1, "smoothing", ">= 0 and < 1", self.smoothing)
        if self.class_weights is not None:
            allowed = all(w >= 0 for w in self.class_weights) and any(self.class_weights)
            require(allowed, "class_weights", ">= 0 and not all 0", self.class_weights)

    @property
    def zero_at_match(self) -> bool:
        return self.smoothing == 0

    def value_and_slope(self, choice: Choice) -> tuple[Tensor, Tensor]:
        p = choice.log_p.exp()
        if self.class_weights is None and self.smoothing == 0:
            return choice.nll, p - choice.target
        of_classes, of_background = self._soft_target(choice)
        value = (of_classes * choice.log_p).sum(1, keepdim=True)
        value = -value - of_background * choice.log_p_background
        return value, p * (of_classes.sum(1, keepdim=True) + of_background) - of_classes

    def divisor(self, target: Tensor, seen: Tensor | None) -> Weight:
        if self.class_weights is None or self.normaliser == "pixels":
            return super().divisor(target, seen)
        background, classes = self._weights(target)
        weight = background + (target * (classes - background)).sum(1, keepdim=True)
        total = (weight if seen is None else weight.where(seen, 0)).sum((1, 2))
        return total.where(total > 0, 1)

    def _weights(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """Weight of the background, a number, and of the classes, ``[C, 1]``."""
        given = self.class_weights or (1.0,) * (target.shape[1] + 1)
        if len(given) != target.shape[1] + 1:
            raise ValueError(
                f"class_weights must have {target.shape[1] + 1} numbers, the background's and "
                f"one a class, got {len(given)}"
            )
        weights = target.new_tensor(given)[:, None]
        return weights[0], weights[1:]

    def _soft_target(self, choice: Choice) -> tuple[Tensor, Tensor]:
        """Weighted and smoothed target of the classes and of the background."""
        background, classes = self._weights(choice.target)
        spread = self.smoothing / (len(classes) + 1)
        return (
            classes * ((1 - self.smoothing) * choice.target + spread),
            background * ((1 - self.smoothing) * choice.background + spread),
        )


@register_mask("softmax_focal")
@dataclass(frozen=True, kw_only=True)
class SoftmaxFocal(SoftmaxLoss):
    """Softmax focal loss: -α_t (1-p_t)^γ ln p_t, p = softmax over 0 and the logits, mean.

    Lin et al., 2017, arXiv:1708.02002, Eq. 5, with the softmax's p_t, as several libraries have
    it. The mean is over valid pixels. With one class it is the focal loss.

    From 0 for certain and correct pixels, without a bound. Helps when a pixel has one class at
    most and most pixels are easy; hurts calibration, and where labels are noisy.

    Attributes:
        alpha: weight of all classes, 0 to 1, the background having 1 - α; None weights all by 1.
        gamma: how strongly well-classified pixels are discounted, >= 0.
    """

    alpha: float | None = 0.25
    gamma: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range = self.alpha is None or 0 <= self.alpha <= 1
        require(in_range, "alpha", "null or between 0 and 1", self.alpha)
        require(self.gamma >= 0, "gamma", ">= 0", self.gamma)

    def value_and_slope(self, choice: Choice) -> tuple[Tensor, Tensor]:
        pixel = self._pixel(choice)
        factor, growth = Discount(gamma=self.gamma).value_and_slope(pixel)
        # The slope by -ln p_t, whose own derivative by the margin is 1 - p_t.
        slope = factor + growth * pixel.nll / pixel.miss
        change = choice.log_p.exp() - choice.target
        return self._weigh(factor * pixel.nll, choice), change * self._weigh(slope, choice)

    def _pixel(self, choice: Choice) -> Pixel:
        """The true choice against all others together."""
        miss = (-torch.expm1(-choice.nll)).clamp(min=TINY)
        return Pixel(1 - choice.background, choice.nll + miss.log(), choice.nll, miss)

    def _weigh(self, x: Tensor, choice: Choice) -> Tensor:
        if self.alpha is None:
            return x
        return x * (self.alpha + (1 - 2 * self.alpha) * choice.background)
