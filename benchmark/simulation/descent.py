"""Gradient descent on many boxes at once, without a network and without autograd of its own.

A step along (x1, y1, x2, y2) and one along (cx, cy, w, h) differ by constant factors only. With
g the gradient in the corners, descent on the corners moves the centre by (g_x1 + g_x2) / 2 and
the width by g_x2 - g_x1; descent on centre and size, by the chain rule, moves the centre by
g_x1 + g_x2 and the width by (g_x2 - g_x1) / 2. The loops below keep centre and size and know of
both ways by these factors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from benchmark.simulation.protocol import STEPS, learning_rate
from losses import BoxLoss

Along = Literal["cxcywh", "xyxy"]
FACTORS: dict[Along, tuple[float, float]] = {"cxcywh": (1.0, 0.5), "xyxy": (0.5, 1.0)}
"""Of the sum (centre) and of the difference (size) of a corner gradient, by what is descended."""


class Boxes:
    """Predicted boxes on their way to their targets, and how well they overlap.

    Rows are coordinates, which keeps every operation on contiguous memory.

    Args:
        start, target: ``[4, n]``, centre x, centre y, width, height.

    Attributes:
        state, target: ``[4, n]``.
        corners, target_corners: ``[4, n]``, x1, y1, x2, y2.
        iou: ``[n]``; 0 for a box of negative width or height. Like ``corners``, it is that of
            the state of the last :meth:`measure`.
    """

    def __init__(self, start: Tensor, target: Tensor) -> None:
        self.state = start.clone()
        self.target = target
        self.target_corners = torch.cat((target[:2] - target[2:] / 2, target[:2] + target[2:] / 2))
        self.corners = torch.empty_like(start)
        self.iou = torch.empty_like(start[0])
        self._target_area = target[2] * target[3]
        self._sides = torch.empty_like(start[:2])
        self._scratch = torch.empty_like(start)
        self._area = torch.empty_like(start[0])

    def measure(self) -> None:
        """Bring ``corners`` and ``iou`` up to date with ``state``."""
        centre, size = self.state[:2], self.state[2:]
        low, high = self.corners[:2], self.corners[2:]
        torch.sub(centre, size, alpha=0.5, out=low)
        torch.add(centre, size, alpha=0.5, out=high)
        torch.minimum(high, self.target_corners[2:], out=self._sides)
        torch.maximum(low, self.target_corners[:2], out=self._scratch[:2])
        sides = self._sides.sub_(self._scratch[:2]).clamp_(min=0)
        torch.mul(sides[0], sides[1], out=self.iou)
        union = torch.mul(size[0], size[1], out=self._area).add_(self._target_area).sub_(self.iou)
        # Only a box of negative size could make the union smaller than the target.
        self.iou.div_(torch.maximum(union, self._target_area, out=union))

    def errors(self) -> Tensor:
        """|Δcx|, |Δcy|, |Δw| and |Δh|, ``[4, n]``; overwritten by the next call."""
        return torch.sub(self.state, self.target, out=self._scratch).abs_()

    def move(self, slope: Tensor, rate: float) -> None:
        """Take the step ``rate`` · (2 - IoU) down the ``slope``, ``[4, n]``."""
        length = torch.mul(self.iou, -rate, out=self._area).add_(2 * rate)
        self.state.addcmul_(slope, length, value=-1)


Slope = Callable[[Boxes], Tensor]
"""Gradient in centre x, centre y, width, height of measured boxes: ``[4, n]``."""


@dataclass
class ExactSlope:
    """The gradient that the loss itself has, by its own backward pass.

    A loss of space "boxes" sees corners. One of space "deltas" sees the four numbers that are
    descended, as they are: there is no model here, and so no encoding of its own.
    """

    loss: BoxLoss
    along: Along = "cxcywh"

    def __call__(self, boxes: Boxes) -> Tensor:
        direct = self.loss.space == "deltas" and self.along == "cxcywh"
        seen, target = (
            (boxes.state, boxes.target) if direct else (boxes.corners, boxes.target_corners)
        )
        pred = seen.t().detach().requires_grad_()
        value = self.loss(pred, target.t())
        (gradient,) = torch.autograd.grad(value, pred, torch.ones_like(value))
        if direct:
            return gradient.t().clone()
        low, high = gradient.t().split(2)
        centre, size = FACTORS[self.along]
        slope = torch.empty_like(boxes.state)
        torch.add(low, high, out=slope[:2]).mul_(centre)
        torch.sub(high, low, out=slope[2:]).mul_(size)
        return slope


def descend(boxes: Boxes, slope: Slope) -> Iterator[int]:
    """Run the experiment's 200 steps.

    A case whose slope is not finite stays where it is, for this step.

    Yields:
        The number of steps taken, 0 to 200, with ``boxes`` measured.
    """
    for step in range(1, STEPS + 1):
        boxes.measure()
        yield step - 1
        boxes.move(slope(boxes).nan_to_num_(0.0, 0.0, 0.0), learning_rate(step))
    boxes.measure()
    yield STEPS
