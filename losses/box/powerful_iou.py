"""Powerful-IoU loss, versions 1 and 2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..base import register_box
from ..options import require
from ._geometry import Pair, Slopes
from ._overlap import OverlapLoss, Term


@register_box("powerful_iou")
@dataclass(frozen=True, kw_only=True)
class PowerfulIoU(OverlapLoss):
    """Powerful-IoU loss: 1 - IoU + 1 - exp(-P²), in version 2 times an attention u(λ exp(-P)).

    Liu et al., 2024, Neural Networks 170 (doi:10.1016/j.neunet.2023.11.041).
    P = (|Δx1|/w* + |Δx2|/w* + |Δy1|/h* + |Δy2|/h*) / 4 over the four edges, and
    u(x) = 3x exp(-x²). From 0 to 2 (version 2 at its λ: to 1.87).

    Helps when other penalties blow predictions up: P is measured by the target alone, so a
    larger hull gains nothing. Hurts when one box holds the other: P is the same wherever the inner
    one lies; and when boxes are more than about two of the target's sides apart: exp(-P²) is flat
    there, and the attention of version 2 near 0.

    Attributes:
        form: ``"v1"``, or ``"v2"`` with the attention, which favours boxes of middling quality.
        attention: λ, > 0, of version 2.
        attention_gradient: whether the gradient of version 2 goes through the attention, as in
            the authors' code. It then pushes boxes away that are far off, since that lowers the
            loss. By default the attention is a constant for the gradient.
    """

    form: Literal["v1", "v2"] = "v1"
    attention: float = 1.3
    attention_gradient: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.attention > 0, "attention", "> 0", self.attention)
        single = self.form == "v1" or self.focal == 0
        require(
            single, "focal", "0 with the form 'v2', which has an attention of its own", self.focal
        )

    @property
    def stops_gradient(self) -> str:
        constant = self.form == "v2" and not self.attention_gradient
        return "the attention" if constant else super().stops_gradient

    def penalties(self, pair: Pair) -> tuple[Term, ...]:
        edges = _edge_distance(pair)
        square = edges.value * edges.value

        def slopes() -> Slopes:
            return edges.slopes().times(2 * edges.value * torch.exp(-square))

        return (Term(-torch.expm1(-square), slopes),)

    def factor(self, pair: Pair) -> Tensor | None:
        if self.form == "v1" or self.attention_gradient:
            return super().factor(pair)
        return self._attention(_edge_distance(pair).value).detach()

    def terms(self, pair: Pair) -> list[Term]:
        parts = super().terms(pair)
        if self.form == "v1" or not self.attention_gradient:
            return parts
        return [self._attended(parts, _edge_distance(pair))]

    def _attention(self, distance: Tensor) -> Tensor:
        x = self.attention * torch.exp(-distance)
        return 3 * x * torch.exp(-x * x)

    def _attended(self, parts: list[Term], edges: EdgeDistance) -> Term:
        total = torch.stack([part.value for part in parts]).sum(0)
        attention = self._attention(edges.value)

        def slopes() -> Slopes:
            x = self.attention * torch.exp(-edges.value)
            through = edges.slopes().times(total * attention * (2 * x * x - 1))
            for part in parts:
                assert part.slopes is not None
                through = through.plus(part.slopes().times(attention))
            return through

        return Term(total * attention, slopes)


class EdgeDistance(NamedTuple):
    """P and its slopes.

    Attributes:
        value: ``[N]``, mean distance of the four edges in sides of the target.
        slopes: gives the derivatives of ``value``.
    """

    value: Tensor
    slopes: Callable[[], Slopes]


def _edge_distance(pair: Pair) -> EdgeDistance:
    growth = (pair.pred - pair.target) / 2
    low, high = pair.offset - growth, pair.offset + growth
    per_side = 1 / (4 * pair.target)

    def slopes() -> Slopes:
        toward_low, toward_high = low.sign() * per_side, high.sign() * per_side
        return Slopes(offset=toward_low + toward_high, pred=(toward_high - toward_low) / 2)

    return EdgeDistance(((low.abs() + high.abs()) * per_side).sum(0), slopes)
