"""NWD loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..base import BoxLoss, Space, register_box
from ..options import require
from ._geometry import Pair

MOST_STEPS = 1e30
"""Size of a pair in units of C, beyond which it makes no further difference."""


@register_box("nwd")
@dataclass(frozen=True, kw_only=True)
class NWD(BoxLoss):
    """NWD loss: 1 - exp(-W/C), W the Wasserstein distance of the boxes taken for Gaussians.

    Wang et al., 2021, arXiv:2110.13389, Eq. 8 to 10: W² = Δx² + Δy² + (Δw² + Δh²) / 4 over
    centres and sides. From 0 to 1. W is a length in pixels, so the loss changes with the size of
    the image.

    Helps when objects are of a few pixels and IoU jumps from much to nothing; hurts when boxes
    are further apart than a few C: the gradient fades away.

    Attributes:
        constant: C in pixels, > 0: the mean size of the objects. The paper's 12.8 is that of
            AI-TOD.
    """

    space: ClassVar[Space] = "boxes"
    constant: float = 12.8

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.constant > 0, "constant", "> 0", self.constant)

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        pair = Pair(pred.reshape(-1, 4), target.reshape(-1, 4))
        half_growth = (pair.pred - pair.target) / 2
        square = (pair.offset * pair.offset + half_growth * half_growth).sum(0)
        # At a match, the root has no slope; 0 is the middle of what it could be.
        moved = square > 0
        distance = torch.where(moved, square, 1).sqrt() * moved
        steps = (pair.scale / self.constant).clamp(max=MOST_STEPS)
        value = pair.shortfall - torch.expm1(-distance * steps)
        return value.reshape(pred.shape[:-1])
