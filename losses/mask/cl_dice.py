"""Soft centre-line Dice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..base import MaskLoss, Scope, register_mask
from ..options import require


@register_mask("soft_cl_dice")
@dataclass(frozen=True, kw_only=True)
class SoftClDice(MaskLoss):
    """Soft centre-line Dice: 1 - 2 T S / (T + S), overlap of each mask with the other's skeleton.

    Shit et al., 2021, arXiv:2003.07311, Eq. 1 and 2 and Alg. 1 and 2. T = (Σ s_p y + ε) / (Σ s_p
    + ε), the share of the prediction's soft skeleton s_p that lies in the target, and S the share
    of the target's skeleton that lies in the prediction. For each class by itself; the mean over
    classes. From 0 to 1. An ignored pixel is background in both masks.

    Attributes:
        iterations: erosions of the skeleton, >= 0: at least the radius, in pixels, of the
            thickest structure.
        smooth: ε, > 0.
        scope: ``"image"``, or ``"batch"`` to sum over the whole batch; every image then has the
            same value, the batch's.

    Helps when thin, branching structures (cracks, vessels, roads) must stay connected, as part of
    a sum with ``dice``; hurts alone, as it is blind to how thick a structure is.
    """

    iterations: int = 3
    smooth: float = 1.0
    scope: Scope = "image"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.iterations >= 0, "iterations", ">= 0", self.iterations)
        require(self.smooth > 0, "smooth", "> 0", self.smooth)

    @property
    def depends_on_batch(self) -> bool:
        return self.scope == "batch"

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        p = logits.sigmoid().where(valid, 0)
        y = target.where(valid, 0)
        precision = self._share(_skeleton(p, self.iterations), y)
        sensitivity = self._share(_skeleton(y, self.iterations), p)
        loss = 1 - 2 * precision * sensitivity / (precision + sensitivity)
        return loss.mean(1).expand(len(logits))

    def _share(self, skeleton: Tensor, mask: Tensor) -> Tensor:
        """Share of the skeleton that lies in the mask, ``[N, C]`` or ``[1, C]``."""
        pixels = (2, 3) if self.scope == "image" else (0, 2, 3)
        inside = (skeleton * mask).sum(pixels, keepdim=True)[:, :, 0, 0]
        total = skeleton.sum(pixels, keepdim=True)[:, :, 0, 0]
        return (inside + self.smooth) / (total + self.smooth)


def _skeleton(mask: Tensor, iterations: int) -> Tensor:
    """Soft skeleton (Alg. 1): what an opening removes, gathered over successive erosions."""
    eroded = _erode(mask)
    skeleton = (mask - _dilate(eroded)).relu()
    for _ in range(iterations):
        mask, eroded = eroded, _erode(eroded)
        ridge = (mask - _dilate(eroded)).relu()
        skeleton = skeleton + (ridge - skeleton * ridge).relu()
    return skeleton


def _erode(mask: Tensor) -> Tensor:
    """Minimum over a pixel and its four neighbours; the image's border does not erode."""
    return _LeastNearby.apply(mask, (-2, -1))


def _dilate(mask: Tensor) -> Tensor:
    """Maximum over 3 x 3 pixels."""
    return -_LeastNearby.apply(_LeastNearby.apply(-mask, (-2,)), (-1,))


class _LeastNearby(torch.autograd.Function):
    """Minimum over a pixel and its two neighbours in each of some dimensions.

    Equal pixels share the gradient. Written with shifted views, which on a processor is much
    faster than max pooling.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, dims: tuple[int, ...]) -> Tensor:
        least = x.clone()
        for dim in dims:
            for to, other in (
                (_tail(least, dim), _head(x, dim)),
                (_head(least, dim), _tail(x, dim)),
            ):
                to.copy_(torch.minimum(to, other))
        return least

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, tuple[int, ...]], output: Tensor) -> None:
        x, ctx.dims = inputs
        ctx.save_for_backward(x, output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        x, least = ctx.saved_tensors
        own = (x == least).to(x.dtype)
        count = own.clone()
        pairs = []  # where the pixel is that of its neighbour before, and after
        for dim in ctx.dims:
            before = (_head(x, dim) == _tail(least, dim)).to(x.dtype)
            after = (_tail(x, dim) == _head(least, dim)).to(x.dtype)
            _tail(count, dim).add_(before)
            _head(count, dim).add_(after)
            pairs.append((dim, before, after))
        share = gradient / count
        found = own * share
        for dim, before, after in pairs:
            _head(found, dim).add_(before * _tail(share, dim))
            _tail(found, dim).add_(after * _head(share, dim))
        return found, None


def _head(x: Tensor, dim: int) -> Tensor:
    """All but the last row or column."""
    return x.narrow(dim, 0, max(0, x.shape[dim] - 1))


def _tail(x: Tensor, dim: int) -> Tensor:
    """All but the first row or column."""
    return x.narrow(dim, min(1, x.shape[dim]), max(0, x.shape[dim] - 1))
