"""Focal loss."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..base import MaskLoss, register_mask
from ..options import require
from ._pixels import log_likelihood, mean_over_pixels


@register_mask("focal")
@dataclass(frozen=True, kw_only=True)
class Focal(MaskLoss):
    """Focal loss: -[α (1-p)^γ y ln p + (1-α) p^γ (1-y) ln(1-p)], mean over pixels and classes.

    Lin et al., 2017, arXiv:1708.02002, Eq. 5, with the paper's α and γ. The paper divides a sum
    over anchors by the number of positives; for masks the mean over valid pixels is usual.

    Attributes:
        alpha: weight of the foreground, 0 to 1, the background having 1 - α; None weights both
            by 1 (Eq. 4).
        gamma: how strongly well-classified pixels are discounted, >= 0.
    """

    alpha: float | None = 0.25
    gamma: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range = self.alpha is None or 0 <= self.alpha <= 1
        require(in_range, "alpha", "null or between 0 and 1", self.alpha)
        require(self.gamma >= 0, "gamma", ">= 0", self.gamma)

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        log_p, z = log_likelihood(logits, target)
        # ln(1 - p_t) = ln p_t - z. A power in logarithms has a finite gradient for every γ,
        # where (1 - p_t) ** γ has none at p_t = 1 for γ < 1.
        loss = -log_p * (self.gamma * (log_p - z)).exp()
        if self.alpha is not None:
            loss = loss * (self.alpha * target + (1 - self.alpha) * (1 - target))
        return mean_over_pixels(loss, valid)
