"""Weighted sum of mask losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..base import MaskLoss, register_mask
from ..sums import SumOfLosses


@register_mask("sum")
@dataclass(frozen=True, kw_only=True)
class MaskSum(SumOfLosses, MaskLoss):
    """Weighted sum of mask losses: w_1 loss_1 + w_2 loss_2 + ..., weights that may change in time.

    ``get("sum", terms=[{"name": "bce", "weight": 0.5}, {"name": "dice"}])``. If one of the terms
    has exclusive classes, the sum has. The terms of Kervadec et al., 2019, arXiv:1812.07032, are
    ``{"name": "dice", "weight": {"from": 1, "to": 0.01}}`` and ``{"name": "boundary", "weight":
    {"from": 0.01, "to": 1}}`` ("rebalance"; with Dice at weight 1 throughout, "increase").

    Helps when the terms mend each other's faults, as a pixel loss and a region loss do; hurts
    where weights are taken over from others: the terms' sizes differ by orders of magnitude.
    """

    terms: tuple[dict[str, Any], ...] = ({"name": "bce"}, {"name": "dice"})

    def __post_init__(self) -> None:
        super().__post_init__()
        for i, loss in enumerate(self.losses):
            if not isinstance(loss, MaskLoss):
                name = self.terms[i]["name"]
                raise ValueError(
                    f"terms.{i}: '{name}' is a box loss, and this a sum of mask losses"
                )
        # What the class declares for all, here depends on the options.
        object.__setattr__(self, "exclusive", any(loss.exclusive for loss in self.losses))

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        return self.added_up(loss.compute(logits, target, valid) for loss in self.losses)
