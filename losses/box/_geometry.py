"""Overlap, hull and distance of pairs of boxes, finite for any finite coordinates.

Three decisions are shared by the whole IoU family:

* *Scale.* All lengths are divided by the longer side of the smallest box that holds both. The
  IoU family does not change with scale, so this alters neither value nor gradient, and squares
  and products can neither overflow nor vanish.
* *Inverted predictions* (x2 < x1 or y2 < y1) enclose nothing. Such an axis is collapsed to its
  midpoint, which still follows the pull of the hull and of the centre distance, and
  :attr:`Pair.shortfall` adds the inverted length to the loss, so that descent opens the box.
  The scale is a constant for the gradient of this term.
* *Flat predictions* (a side shorter than :data:`FLOOR` of the scale) are counted as that long,
  and the missing length, at most 1e-6 a side, is part of the shortfall too. A box of no size
  therefore has a gradient that lets it grow, which the plain formulas do not give.

The targets get the same treatment without the shortfall. Because of the floor, the aspect ratio of
a box is not exact in a pair that is over a million times longer than the box.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

FLOOR = 1e-6
"""Shortest side, as a fraction of the pair's scale."""

MIN_SCALE = 1e-12
"""Smallest scale in pixels; keeps the gradient finite where all corners coincide."""


@dataclass(frozen=True)
class Pair:
    """Predicted and target boxes, brought to a common scale.

    Attributes:
        pred_low, pred_high, target_low, target_high: ``[..., 2]``, the corners (x1, y1) and
            (x2, y2) in half pixels, inverted axes collapsed.
        scale: ``[..., 1]``, in half pixels; the sizes below are in units of it.
        pred_size, target_size: ``[..., 2]``, width and height, at least :data:`FLOOR`.
        shortfall: ``[...]``, what inverted and flat sides of the prediction add to the loss;
            0 for any ordinary box.
    """

    pred_low: Tensor
    pred_high: Tensor
    target_low: Tensor
    target_high: Tensor
    scale: Tensor
    pred_size: Tensor
    target_size: Tensor
    shortfall: Tensor

    def overlap(self) -> tuple[Tensor, Tensor]:
        """IoU and area of the union (in units of the squared scale), each ``[...]``."""
        low = torch.maximum(self.pred_low, self.target_low)
        high = torch.minimum(self.pred_high, self.target_high)
        # relu, because the gradient of clamp at its bound depends on the version of torch.
        intersection = area(torch.relu((high - low) / self.scale))
        union = area(self.pred_size) + area(self.target_size) - intersection
        return intersection / union, union

    def hull(self) -> Tensor:
        """Width and height ``[..., 2]`` of the smallest box that holds both."""
        low = torch.minimum(self.pred_low, self.target_low)
        high = torch.maximum(self.pred_high, self.target_high)
        return ((high - low) / self.scale).clamp(min=FLOOR)

    def centre_distance(self, hull: Tensor) -> Tensor:
        """Squared distance of the centres over the squared diagonal of ``hull``, ``[...]``."""
        low = (self.pred_low - self.target_low) / self.scale
        high = (self.pred_high - self.target_high) / self.scale
        offset = (low + high) / 2
        return offset.square().sum(-1) / hull.square().sum(-1)


def pair(pred: Tensor, target: Tensor) -> Pair:
    """Match ``[..., 4]`` boxes (x1, y1, x2, y2 in pixels) for the measures of :class:`Pair`."""
    # Half pixels: the difference of two halves cannot overflow, whatever the coordinates.
    pred_low, pred_high = (pred * 0.5).split(2, -1)
    target_low, target_high = (target * 0.5).split(2, -1)
    scale = _extent(pred_low, pred_high, target_low, target_high)
    pred_size = (pred_high - pred_low) / scale
    target_size = (target_high - target_low) / scale
    return Pair(
        *_collapse(pred_low, pred_high),
        *_collapse(target_low, target_high),
        scale=scale,
        pred_size=pred_size.clamp(min=FLOOR),
        target_size=target_size.clamp(min=FLOOR),
        shortfall=torch.relu(FLOOR - pred_size).sum(-1),
    )


def area(size: Tensor) -> Tensor:
    """Width times height ``[...]`` of sizes ``[..., 2]``."""
    return size[..., 0] * size[..., 1]


def _extent(*corners: Tensor) -> Tensor:
    """Longer side ``[..., 1]`` of the box around all corners, a constant for the gradient."""
    points = torch.stack([corner.detach() for corner in corners])
    sides = points.amax(0) - points.amin(0)
    return sides.amax(-1, keepdim=True).clamp(min=MIN_SCALE)


def _collapse(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Put both ends of inverted axes on their midpoint; leave the others as they are."""
    middle = (low + high) * 0.5
    return torch.minimum(low, middle), torch.maximum(high, middle)
