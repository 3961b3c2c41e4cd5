"""Wise-IoU loss, versions 1 to 3."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..base import register_box
from ..options import require
from ._geometry import Pair, Slopes
from ._overlap import TINY, OverlapLoss, Term
from ._state import is_training_step


class RunningMean:
    """Mean of a loss over the steps of a training; the one thing that a loss changes in a call.

    Attributes:
        value: scalar, 1 before the first step.
    """

    def __init__(self) -> None:
        self.value = torch.ones(())

    def update(self, latest: Tensor, momentum: float) -> None:
        """Move towards ``latest``, a scalar, by the share ``momentum`` of the way."""
        before = self.value.to(latest)
        # A step that is not finite is skipped by whoever trains, and must leave nothing behind.
        self.value = torch.where(latest.isfinite(), before.lerp(latest, momentum), before)


@register_box("wise_iou")
@dataclass(frozen=True, kw_only=True)
class WiseIoU(OverlapLoss):
    """Wise-IoU loss: (1 - IoU) exp(d²/c²), in versions 2 and 3 times a weight of the pair.

    Tong et al., 2023, arXiv:2301.10051. Version 1: d is the distance of the centres and c the
    diagonal of the hull, a constant for the gradient. With β = (1 - IoU) / mean of 1 - IoU, the
    weight of version 2 is β^γ and that of version 3 is β / (δ α^(β - δ)): most for β = 1 / ln α,
    little for the best pairs and for outliers. The weight is a constant for the gradient.
    Version 1 goes from 0 to e, the others are not bounded.

    The mean is a running one and the loss's state: it starts at 1, the most that 1 - IoU can be,
    and each call moves it by ``momentum`` towards the mean of the call's pairs before it is used.
    Calls in which no gradient is wanted, empty ones and those under ``torch.func`` leave it as
    it is.

    Helps when some targets are badly drawn: version 3 spends little on pairs that stay bad.
    Hurts when a training is short beside 1/momentum: the mean then still is near 1, and what is
    an outlier is not decided by the data. Values of versions 2 and 3 cannot be compared between
    steps.

    Attributes:
        form: ``"v1"``, ``"v2"`` or ``"v3"``, the versions of the paper.
        gamma: γ of version 2, > 0.
        alpha, delta: α > 1 and δ > 0 of version 3.
        momentum: share of the latest mean in the running one, above 0 and at most 1. By default,
            half of it is from the last 7,000 steps, as in the paper.
    """

    form: Literal["v1", "v2", "v3"] = "v3"
    gamma: float = 0.5
    alpha: float = 1.9
    delta: float = 3.0
    momentum: float = 1 - 0.5 ** (1 / 7000)
    _mean: RunningMean = field(default_factory=RunningMean, init=False, repr=False, compare=False)

    STATE: ClassVar[str] = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.gamma > 0, "gamma", "> 0", self.gamma)
        require(self.alpha > 1, "alpha", "> 1", self.alpha)
        require(self.delta > 0, "delta", "> 0", self.delta)
        require(0 < self.momentum <= 1, "momentum", "above 0 and at most 1", self.momentum)
        single = self.form == "v1" or self.focal == 0
        require(single, "focal", f"0 with the form {self.form!r}, which has a weight", self.focal)

    @property
    def stops_gradient(self) -> str:
        weight = "" if self.form == "v1" else "the weight of the pair"
        return " and ".join(filter(None, ["the diagonal c", weight, super().stops_gradient]))

    @property
    def depends_on_batch(self) -> bool:
        return self.form != "v1"

    def state_dict(self) -> dict[str, Tensor]:
        return {} if self.form == "v1" else {self.STATE: self._mean.value}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        if self.form != "v1":
            self._mean.value = state[self.STATE]

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        if self.form != "v1" and is_training_step(pred):
            with torch.no_grad():
                pair = Pair(pred.detach().reshape(-1, 4), target.reshape(-1, 4))
                latest = super().overlap_term(pair).value.mean()
            self._mean.update(latest, self.momentum)
        return super().compute(pred, target)

    def overlap_term(self, pair: Pair) -> Term:
        overlap = super().overlap_term(pair)
        inverse = (pair.hull * pair.hull).sum(0).detach().reciprocal()
        attention = torch.exp((pair.offset * pair.offset).sum(0) * inverse)
        value = overlap.value * attention

        def slopes() -> Slopes:
            assert overlap.slopes is not None
            offset = pair.offset * (2 * value * inverse)
            return overlap.slopes().times(attention).plus(Slopes(offset=offset))

        return Term(value, slopes)

    def factor(self, pair: Pair) -> Tensor | None:
        if self.form == "v1":
            return super().factor(pair)
        outlier = super().overlap_term(pair).value.detach() / self._mean.value.to(pair.iou).clamp(
            min=TINY
        )
        return FOCUS[self.form](self, outlier)


def _monotonic(loss: WiseIoU, outlier: Tensor) -> Tensor:
    return outlier**loss.gamma


def _non_monotonic(loss: WiseIoU, outlier: Tensor) -> Tensor:
    return outlier / (loss.delta * loss.alpha ** (outlier - loss.delta))


FOCUS = {"v2": _monotonic, "v3": _non_monotonic}
"""Weight of a pair by its outlier degree β."""
