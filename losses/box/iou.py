"""IoU loss: linear, logarithmic, square."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from ..base import register_box
from ..options import require
from ._geometry import Pair
from ._overlap import OverlapLoss, Term, inner_overlap

LOG_FLOOR = 1e-3
"""IoU below which the logarithm is continued by its tangent."""


@register_box("iou")
@dataclass(frozen=True, kw_only=True)
class IoU(OverlapLoss):
    """IoU loss: 1 - IoU, -ln IoU, or 1 - IoU².

    From 0 to 1 (log: to 7.9). The logarithmic form is that of UnitBox (Yu et al., 2016,
    arXiv:1608.01471, Algorithm 1). Below an IoU of 0.001 it follows its tangent, so it is finite.

    Helps when predictions overlap their targets already; hurts from scratch, since boxes that do
    not touch have IoU 0 wherever they are and get no gradient in any form. Flat and inverted
    predictions get one: see the module ``_geometry``.

    Attributes:
        form: ``"linear"``, ``"log"`` or ``"square"``. A ``power`` other than 1 goes with the
            linear form only; with it, power 2 is the square form.
    """

    version: ClassVar[int] = 2
    form: Literal["linear", "log", "square"] = "linear"

    def __post_init__(self) -> None:
        super().__post_init__()
        alone = self.form == "linear" or self.power == 1
        require(alone, "power", f"1 with the form {self.form!r}", self.power)

    def overlap_term(self, pair: Pair) -> Term:
        if self.form == "linear":
            return super().overlap_term(pair)
        overlap = inner_overlap(pair, self.inner_ratio)
        value, slope = FORMS[self.form](overlap.iou)
        return Term(value, lambda: overlap.slopes().times(slope))


def _log(iou: Tensor) -> tuple[Tensor, Tensor]:
    """Value, and its derivative in 1 - IoU."""
    high = iou.clamp(min=LOG_FLOOR)
    return (high - iou) / LOG_FLOOR - high.log(), high.detach().reciprocal()


def _square(iou: Tensor) -> tuple[Tensor, Tensor]:
    return 1 - iou * iou, 2 * iou.detach()


FORMS = {"log": _log, "square": _square}
