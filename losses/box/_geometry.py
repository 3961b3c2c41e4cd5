"""Sides, overlap, hull and distance of pairs of boxes, finite for any finite coordinates.

Three decisions are shared by the whole IoU family:

* *Scale.* All lengths are divided by the longer side of the smallest box that holds both. The
  IoU family does not change with scale, so this alters neither value nor gradient, and squares
  and products can neither overflow nor vanish.
* *Inverted predictions* (x2 < x1 or y2 < y1) enclose nothing: such a side counts as flat, and
  :attr:`Pair.shortfall` adds its negative length to the loss, so that descent opens the box. The
  scale is a constant for the gradient of this term. The smallest box that holds both is taken
  large enough for the inverted box's centre, and as a constant for the gradient, so that it does
  not pay to stay inverted.
* *Flat predictions* (a side shorter than :data:`FLOOR` of the scale) are counted as that long,
  and the missing length, at most 1e-6 a side, is part of the shortfall too. A box of no size
  therefore has a gradient that lets it grow, which the plain formulas do not give.

The targets get the same treatment without the shortfall. Because of the floor, the aspect ratio of
a box is not exact in a pair that is over a million times longer than the box.

Tensors hold a row a coordinate, ``[2, N]`` for x and y, not a column: rows are what the processor
reads fast. For few boxes the time goes into calls, and an operation with a Python number costs
two: hence the in-place and number-free forms here and there.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

FLOOR = 1e-6
"""Shortest side, as a fraction of the pair's scale."""

MIN_SCALE = 1e-3
"""Smallest scale in pixels; keeps the gradient small where all corners coincide. Boxes down to a
millionth of it are told apart."""

NOTHING = 1e-18
"""Side of an overlap that there is not; above 0, so that squares stay normal and the derivative of
the bound at 0 is 0 in every version of torch."""

UNIT = 0.125
"""Lengths are taken in units of eight pixels: then neither the differences nor the reciprocals of
any two coordinates leave the range of normal numbers."""


class Constants(NamedTuple):
    """Numbers as tensors, which saves an operation at each use.

    Attributes:
        half: 0.5.
        unit, half_unit: :data:`UNIT` and half of it.
        min_scale: :data:`MIN_SCALE`.
        floors: ``[4, 1, 1]``, lower bounds of the sides of prediction, hull, overlap and target.
        outward: ``[2, 1, 1]``, the signs in which low and high corners move as a side grows.
    """

    half: Tensor
    unit: Tensor
    half_unit: Tensor
    min_scale: Tensor
    floors: Tensor
    outward: Tensor

    @classmethod
    def like(cls, boxes: Tensor) -> Constants:
        """Constants of the type and on the device of ``boxes``."""

        def column(*numbers: float) -> Tensor:
            return boxes.new_tensor(numbers).view(-1, 1, 1)

        return cls(
            half=boxes.new_tensor(0.5),
            unit=boxes.new_tensor(UNIT),
            half_unit=boxes.new_tensor(0.5 * UNIT),
            min_scale=boxes.new_tensor(MIN_SCALE),
            floors=column(FLOOR, FLOOR, NOTHING, FLOOR),
            outward=column(-1, 1),
        )


class Slopes(NamedTuple):
    """Derivatives of a value with respect to the lengths of a :class:`Pair`; None for 0.

    Attributes:
        pred_area, hull_area, overlap_area: ``[N]``, the areas being products of the sides.
        pred, hull, overlap, offset: ``[2, N]``, beside what goes through the areas.
    """

    pred_area: Tensor | None = None
    hull_area: Tensor | None = None
    overlap_area: Tensor | None = None
    pred: Tensor | None = None
    hull: Tensor | None = None
    overlap: Tensor | None = None
    offset: Tensor | None = None

    def plus(self, other: Slopes) -> Slopes:
        """Slopes of the sum of two values."""
        return Slopes(*map(_plus, self, other))

    def times(self, factor: Tensor | float) -> Slopes:
        """Slopes of a value times a constant: one number, or one a pair, ``[N]``."""
        return Slopes(*(None if slope is None else slope * factor for slope in self))


class Pair:
    """Predicted and target boxes, brought to a common scale.

    Args:
        pred, target: ``[N, 4]``, x1, y1, x2, y2 in pixels.

    Attributes:
        pred_area, overlap_area, hull_area, target_area: ``[N]``, in squares of the scale.
        union: ``[N]``, area of the union.
        iou, excess: ``[N]``, IoU and 1 - IoU; the latter is exact where IoU is nearly 1.
        shortfall: ``[N]``, what inverted and flat sides of the prediction add to the loss;
            0 for any ordinary box.
    """

    def __init__(self, pred: Tensor, target: Tensor, constants: Constants | None = None) -> None:
        self._constants = constants or Constants.like(pred)
        self._offset: Tensor | None = None
        corners = torch.stack((pred.t(), target.t())).mul_(self._constants.unit).view(2, 2, 2, -1)
        mine, theirs = corners.unbind(0)
        self._beyond = mine - theirs
        low, high, target_low, target_high = corners.view(4, 2, -1).unbind(0)
        overlap = torch.minimum(high, target_high) - torch.maximum(low, target_low)
        pred_sides, target_sides = high - low, target_high - target_low
        # Max(a, b) is a + b - min(a, b). An inverted side counts as 0, which leaves room for it.
        room = target_sides.abs() - overlap
        hull = torch.relu(pred_sides) + room
        if torch.is_grad_enabled():
            hull = torch.where(pred_sides < 0, hull.detach(), pred_sides + room)
        raw = torch.stack((pred_sides, hull, overlap, target_sides))
        longest = torch.maximum(hull.detach().amax(0), self._constants.min_scale)
        self._unit = longest.reciprocal_()
        raw = raw * self._unit
        self._raw = raw
        self._sides = raw.clamp(min=self._constants.floors)
        self._missing = self._sides - raw
        self.shortfall = self._missing[0].sum(0)
        width, height = self._sides.unbind(1)
        areas = (width * height).unbind(0)
        self.pred_area, self.hull_area, self.overlap_area, self.target_area = areas
        self.union = self.pred_area + self.target_area - self.overlap_area
        self.per_union = self.union.reciprocal()
        self.iou = self.overlap_area / self.union  # a division: exactly 1 for equal boxes
        self.excess = (self.union - self.overlap_area) * self.per_union

    # Taken when asked for: making a view costs as much as an addition.

    @property
    def pred(self) -> Tensor:
        """Width and height of the prediction, ``[2, N]``, at least :data:`FLOOR`."""
        return self._sides[0]

    @property
    def hull(self) -> Tensor:
        """Width and height of the smallest box that holds both, ``[2, N]``."""
        return self._sides[1]

    @property
    def overlap(self) -> Tensor:
        """Width and height of the intersection, ``[2, N]``; next to 0 where there is none."""
        return self._sides[2]

    @property
    def target(self) -> Tensor:
        """Width and height of the target, ``[2, N]``, at least :data:`FLOOR`."""
        return self._sides[3]

    @property
    def offset(self) -> Tensor:
        """Centre of the prediction minus centre of the target, ``[2, N]``."""
        # Not functools.cached_property: torch.compile cannot look into its lock.
        if self._offset is None:
            low, high = self._beyond.unbind(0)
            self._offset = (low + high) * (self._unit * self._constants.half)
        return self._offset

    @property
    def scale(self) -> Tensor:
        """What the lengths are measured in, ``[N]``, in pixels; a constant for the gradient."""
        return 1 / (UNIT * self._unit)

    def gradient(self, slopes: Slopes) -> Tensor:
        """Gradient ``[4, N]`` in the prediction's corners of a value and of :attr:`shortfall`.

        Where a side of both boxes lies on the same line, the two one-sided derivatives are
        averaged, as automatic differentiation of a maximum does.

        Args:
            slopes: of the value.
        """
        across = self._sides.flip(1)
        # Signs instead of comparisons and masks, which take several times as long.
        bounded = self._missing.sign()
        flat = bounded[0]
        pred = _in_sides(slopes.pred_area, across[0], slopes.pred, flat) - flat
        overlap = _in_sides(slopes.overlap_area, across[2], slopes.overlap, bounded[2])
        if slopes.hull_area is not None or slopes.hull is not None:
            hull = _in_sides(slopes.hull_area, across[1], slopes.hull, bounded[1])
            inverted = self._raw[0].clamp(max=0).sign()  # -1 if it is, else 0
            hull = hull + hull * inverted
            pred = pred + hull
            overlap = overlap - hull
        # A corner moves its side, and the overlap where it lies within the target: the low one
        # where it is beyond the target's, the high one where it is not.
        outward = torch.add(overlap, pred, alpha=2)
        corners = self._constants.outward * outward - overlap * self._beyond.sign()
        if slopes.offset is not None:
            corners += slopes.offset
        return corners.mul_(self._unit * self._constants.half_unit).view(4, -1)


def _in_sides(
    area: Tensor | None, across: Tensor, direct: Tensor | None, bounded: Tensor
) -> Tensor:
    """Slopes ``[2, N]`` in two sides: through their product, and direct; 0 where ``bounded``."""
    total = direct
    if area is not None:
        total = area * across if direct is None else direct + area * across
    if total is None:
        return torch.zeros_like(across)
    return total - total * bounded


def _plus(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b
