"""Neighbour-aware calibration loss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

from torch import Tensor
from torch.nn import functional as F

from ..base import MaskLoss, register_mask
from ..options import require
from ._labels import with_background
from ._means import mean_over_valid


@register_mask("nacl")
@dataclass(frozen=True, kw_only=True)
class NACL(MaskLoss):
    """Neighbour-aware calibration: cross entropy + α |z - u|, u the labels' shares nearby.

    Murugesan et al., 2024, arXiv:2401.14487, Sec. 3: softmax cross entropy, and a penalty that
    pulls the logits z towards u, the share that each label has in the pixel's neighbourhood. Both
    are means over valid pixels, the penalty also over the labels. The background is a label; its
    logit is 0. Outside the image and at ignored pixels there is no label, so there the shares sum
    to less than 1. From 0 up, but the lowest value is not 0, and certain predictions cost more
    than cautious ones: that is the purpose.

    Attributes:
        alpha: weight of the penalty, >= 0; 0 leaves the cross entropy.
        distance: ``"l1"`` is |z - u|, ``"l2"`` its square.
        kernel: shape of the neighbourhood, ``"mean"`` or ``"gaussian"``.
        kernel_size: side of the neighbourhood in pixels, odd; for ``"mean"``.
        sigma: standard deviation in pixels, > 0; for ``"gaussian"``, which reaches 4 of them.

    Helps when probabilities must be trusted, not only decisions; hurts where the score is all
    that counts, and α is large: logits near 0 or 1 are a weak decision.
    """

    exclusive: ClassVar[bool] = True

    alpha: float = 0.1
    distance: Literal["l1", "l2"] = "l1"
    kernel: Literal["mean", "gaussian"] = "mean"
    kernel_size: int = 3
    sigma: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.alpha >= 0, "alpha", ">= 0", self.alpha)
        is_odd = self.kernel_size > 0 and self.kernel_size % 2 == 1
        require(is_odd, "kernel_size", "odd and > 0", self.kernel_size)
        require(self.sigma > 0, "sigma", "> 0", self.sigma)

    @property
    def zero_at_match(self) -> bool:
        return self.alpha == 0

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        z, label = with_background(logits.where(valid, 0), target)
        label = label.where(valid, 0)
        entropy = -(label * z.log_softmax(1)).sum(1, keepdim=True)
        gap = z - self._shares(label)
        gap = gap.abs() if self.distance == "l1" else gap.square()
        loss = entropy + self.alpha * gap.mean(1, keepdim=True)
        return mean_over_valid(loss, valid)[:, 0]

    def _shares(self, label: Tensor) -> Tensor:
        """Weighted mean of the labels around each pixel, like ``label``."""
        line = label.new_tensor(self._weights())
        side = len(line) // 2
        lines = F.pad(label, (side, side, side, side)).flatten(0, 1)[:, None]
        across = F.conv2d(lines, line.view(1, 1, 1, -1))
        return F.conv2d(across, line.view(1, 1, -1, 1))[:, 0].unflatten(0, label.shape[:2])

    def _weights(self) -> list[float]:
        """The kernel in one dimension; the two-dimensional one is its product with itself."""
        if self.kernel == "mean":
            return [1 / self.kernel_size] * self.kernel_size
        reach = round(4 * self.sigma)
        scale = self.sigma * math.sqrt(2)
        edges = [math.erf((x - 0.5) / scale) / 2 for x in range(-reach, reach + 2)]
        return [high - low for low, high in pairwise(edges)]
