"""Losses of the hardest pixels alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..base import MaskLoss, Scope, register_mask
from ..options import require
from ._blocks import flat
from ._pixels import Pixel, shown, turned


@dataclass(frozen=True, kw_only=True)
class HardPixels(MaskLoss):
    """Mean over the hardest pixels; what online hard example mining selects.

    Attributes:
        fraction: share of the valid pixels that count, > 0 to 1, rounded down, but one pixel at
            least.
        scope: ``"image"`` takes the hardest of each image, ``"batch"`` those of the batch; every
            image then has the same value, the batch's.
    """

    fraction: float = 0.1
    scope: Scope = "image"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.fraction <= 1, "fraction", "> 0 and <= 1", self.fraction)

    @property
    def depends_on_batch(self) -> bool:
        return self.scope == "batch"

    def hardest(self, loss: Tensor, valid: Tensor) -> Tensor:
        """Mean ``[N]`` of the largest of ``loss [N, K]``, those that are not ``valid`` left out."""
        n = len(loss)
        loss = loss.where(valid, 0)
        if self.scope == "batch":
            loss, valid = loss.reshape(1, -1), valid.reshape(1, -1)
        # The number that counts differs between images where pixels are ignored; it is read off
        # the largest number there can be, so that no shape depends on a value.
        most = min(loss.shape[1], max(1, math.floor(self.fraction * loss.shape[1])))
        wanted = (self.fraction * valid.sum(1, keepdim=True).double()).floor().clamp(min=1)
        largest = loss.topk(most, 1).values
        counts = torch.arange(most, device=loss.device) < wanted
        total = largest.where(counts, 0).sum(1)
        return (total / wanted[:, 0].to(total.dtype)).expand(n)


@register_mask("topk_bce")
@dataclass(frozen=True, kw_only=True)
class TopKBCE(HardPixels):
    """Top-k BCE: binary cross entropy, mean over the hardest share of the pixels.

    Wu et al., 2016, arXiv:1605.06885 (online bootstrapping), with a share in place of
    their threshold, as is usual. Pixels of all classes compete.

    From 0 for certain and correct pixels, without a bound. Helps when most pixels are learned
    early; hurts where labels are noisy, as their errors are the hardest pixels.
    """

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        x, y = shown(*flat(logits, target, valid))
        seen = valid.flatten(2).expand_as(x)
        return self.hardest(Pixel.of(turned(x, y), y).nll.flatten(1), seen.flatten(1))
