"""The gradients that the published curves were made with, which are not those of the losses.

The DIoU authors' script (MATLAB, github.com/Zzh-tju/DIoU, "simulation experiment") takes its steps
with gradients written by hand. Here they are from a description of what they are, for IoU, GIoU,
DIoU and CIoU. Against the derivatives of the losses:

* the width's and height's part of IoU and GIoU lacks a factor 1/2, so both go twice as fast;
* GIoU's union subtracts, for disjoint boxes, an "intersection" whose sides are negative;
* in the centre distance ρ²/c², with hull W x H and c² = W² + H²: the part of the centre that
  goes through c² has the wrong sign; both parts that do take dW/dcx for dH/dcx too and so on, which
  are 0; and where the prediction spans the target, dW/dw (dH/dh) is -1, not 1;
* in v of CIoU, the factor 1 / (w² + h²) of its Eq. 12 is missing.

All functions take :class:`~benchmark.simulation.descent.Boxes` and give the slope to go down, in
centre x, centre y, width, height.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.simulation.descent import Boxes, Slope

TINY = 1e-7
"""In the denominator of CIoU's α, as the script has it."""


@dataclass(frozen=True)
class Layout:
    """How the two boxes of each pair lie; derivatives are by a corner of the prediction.

    Attributes:
        overlap: ``[2, n]``, sides of the intersection, negative where the boxes are apart.
        hull: ``[2, n]``, sides of the smallest box that holds both.
        overlap_low, overlap_high: ``[2, n]``, derivatives of ``overlap``: -1 or 0, 1 or 0.
        hull_low, hull_high: the same of ``hull``.
        union: ``[n]``, with the intersection not clamped to 0.
    """

    overlap: Tensor
    hull: Tensor
    overlap_low: Tensor
    overlap_high: Tensor
    hull_low: Tensor
    hull_high: Tensor
    union: Tensor

    @classmethod
    def of(cls, boxes: Boxes) -> Layout:
        low, high = boxes.corners.split(2)
        target_low, target_high = boxes.target_corners.split(2)
        overlap = torch.minimum(high, target_high) - torch.maximum(low, target_low)
        size, target_size = boxes.state[2:], boxes.target[2:]
        return cls(
            overlap=overlap,
            hull=torch.maximum(high, target_high) - torch.minimum(low, target_low),
            overlap_low=-(low > target_low).to(low.dtype),
            overlap_high=(high < target_high).to(low.dtype),
            hull_low=-(low < target_low).to(low.dtype),
            hull_high=(high > target_high).to(low.dtype),
            union=size.prod(0) + target_size.prod(0) - overlap.prod(0),
        )


def iou(boxes: Boxes) -> Tensor:
    """Of 1 - IoU; 0 for boxes that do not touch."""
    return _iou(boxes, Layout.of(boxes))


def giou(boxes: Boxes) -> Tensor:
    """Of 2 - IoU - union / hull."""
    layout = Layout.of(boxes)
    hull = layout.hull.prod(0)
    union_low, union_high = _union(boxes, layout)
    crossed = layout.hull.flip(0)
    low = (hull * union_low - layout.union * crossed * layout.hull_low) / hull**2
    high = (hull * union_high - layout.union * crossed * layout.hull_high) / hull**2
    return _iou(boxes, layout) - _doubled(low, high)


def diou(boxes: Boxes) -> Tensor:
    """Of 1 - IoU + ρ²/c²."""
    layout = Layout.of(boxes)
    return _iou(boxes, layout) + _distance(boxes, layout)


def ciou(boxes: Boxes) -> Tensor:
    """Of 1 - IoU + ρ²/c² + αv, with α a constant."""
    w, h = boxes.state[2:]
    target_w, target_h = boxes.target[2:]
    turn = torch.atan(target_w / target_h) - torch.atan(w / h)
    v = 4 / math.pi**2 * turn**2
    pull = v / (1 - boxes.iou + v + TINY) * 8 / math.pi**2 * turn
    slope = diou(boxes)
    slope[2] -= pull * h
    slope[3] += pull * w
    return slope


PUBLISHED: dict[str, Slope] = {"iou": iou, "giou": giou, "diou": diou, "ciou": ciou}
"""By the registered name of the loss."""


def _doubled(low: Tensor, high: Tensor) -> Tensor:
    """Corner derivatives ``[2, n]`` to ``[4, n]``, without the 1/2 that width and height need."""
    return torch.cat((low + high, high - low))


def _union(boxes: Boxes, layout: Layout) -> tuple[Tensor, Tensor]:
    """Derivatives of the union by the low and the high corner."""
    crossed, inner = boxes.state[2:].flip(0), layout.overlap.flip(0)
    return -crossed - inner * layout.overlap_low, crossed - inner * layout.overlap_high


def _iou(boxes: Boxes, layout: Layout) -> Tensor:
    area, crossed, union = layout.overlap.prod(0), layout.overlap.flip(0), layout.union
    union_low, union_high = _union(boxes, layout)
    low = (union * crossed * layout.overlap_low - area * union_low) / union**2
    high = (union * crossed * layout.overlap_high - area * union_high) / union**2
    touching = (layout.overlap > 0).all(0)
    return torch.where(touching, -_doubled(low, high), 0.0)


def _distance(boxes: Boxes, layout: Layout) -> Tensor:
    """What stands for the derivative of ρ²/c²."""
    offset = boxes.state[:2] - boxes.target[:2]
    rho = offset.square().sum(0)
    c = layout.hull.square().sum(0)
    # The script adds up both sides of the hull where only the one along the axis depends on it.
    through_hull = 2 * layout.hull.sum(0) * (layout.hull_low + layout.hull_high)
    centre = (2 * offset * c + through_hull * rho) / c**2
    spanning = (layout.hull_low != 0) & (layout.hull_high != 0)
    growth = (layout.hull_high - layout.hull_low) / 2
    along = torch.where(spanning, -1.0, growth)
    size = -2 * (layout.hull * along + layout.hull.flip(0) * growth) * rho / c**2
    return torch.cat((centre, size))
