"""Weighted sum of box losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from ..base import BoxLoss, Space, register_box
from ..sums import SumOfLosses


@register_box("box_sum")
@dataclass(frozen=True, kw_only=True)
class BoxSum(SumOfLosses, BoxLoss):
    """Weighted sum of box losses of one space, with weights that may change in time.

    ``get("box_sum", terms=[{"name": "giou", "weight": 2}, {"name": "iou"}])``. The sum's space,
    boxes or deltas, is that of its terms.

    Helps when the terms mend each other's faults, such as one that is blind to disjoint boxes;
    hurts where one outweighs the other unnoticed: their sizes differ.
    """

    space: ClassVar[Space] = "boxes"

    terms: tuple[dict[str, Any], ...] = ({"name": "iou"}, {"name": "giou"})

    def __post_init__(self) -> None:
        super().__post_init__()
        for i, loss in enumerate(self.losses):
            name = self.terms[i]["name"]
            if not isinstance(loss, BoxLoss):
                raise ValueError(
                    f"terms.{i}: '{name}' is a mask loss, and this a sum of box losses"
                )
            if loss.space != self.losses[0].space:
                raise ValueError(
                    f"terms.{i}: '{name}' works on {loss.space}, but the first term, "
                    f"'{self.terms[0]['name']}', on {self.losses[0].space}"
                )
        # What the class declares for all, here depends on the options.
        object.__setattr__(self, "space", self.losses[0].space)

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        return self.added_up(loss.compute(pred, target) for loss in self.losses)
