"""GHM-R loss on encoded boxes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from ..base import BoxLoss, Space, register_box
from ..options import require
from ._state import is_training_step


class Histogram:
    """How many deltas had a gradient of each length in the last steps of a training.

    Attributes:
        counts: ``[bins]``, or None before the first step.
    """

    def __init__(self) -> None:
        self.counts: Tensor | None = None

    def mixed(self, latest: Tensor, momentum: float) -> Tensor:
        """``latest`` with the share ``momentum`` of the counts so far."""
        return latest if self.counts is None else latest.lerp(self.counts.to(latest), momentum)


@register_box("ghm_r")
@dataclass(frozen=True, kw_only=True)
class GHMR(BoxLoss):
    """GHM-R loss: sum of sqrt(x² + μ²) - μ over the four deltas, divided by how many are like it.

    Li et al., 2019, arXiv:1811.05181, Eq. 11 to 14, for x = prediction - target. The length of
    the gradient, |x| / sqrt(x² + μ²), is from 0 to 1; the deltas of a call are counted in equal
    bins of it, and each weighs N / (n R), where N is the number of deltas, R that of its bin and
    n that of bins with any, as in the authors' code, so that weights are 1 on average. They are
    constants for the gradient. Finite in float32 while every |x| is below 8e37 / N.

    Helps when easy samples or outliers outnumber the rest: every bin has the same say. Hurts
    when batches are small: a delta alone in its bin, a wrong target for one, has the say of all.

    Attributes:
        mu: μ, > 0: error about which the loss turns from a parabola to L1.
        bins: number of bins, >= 1.
        momentum: share of the counts of earlier steps in R, from 0 to below 1. They are the
            loss's state; the first step has none. Calls in which no gradient is wanted, empty
            ones and those under ``torch.func`` leave it as it is.
    """

    space: ClassVar[Space] = "deltas"
    mu: float = 0.02
    bins: int = 10
    momentum: float = 0.0
    _histogram: Histogram = field(default_factory=Histogram, init=False, repr=False, compare=False)

    STATE: ClassVar[str] = "counts"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.mu > 0, "mu", "> 0", self.mu)
        require(self.bins >= 1, "bins", ">= 1", self.bins)
        require(0 <= self.momentum < 1, "momentum", "from 0 to below 1", self.momentum)

    @property
    def stops_gradient(self) -> str:
        return "the weight of each delta"

    @property
    def depends_on_batch(self) -> bool:
        return True

    def state_dict(self) -> dict[str, Tensor]:
        counts = self._histogram.counts
        return {} if counts is None else {self.STATE: counts}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self._histogram.counts = state.get(self.STATE)

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        error = pred - target
        root = torch.hypot(error, error.new_tensor(self.mu))
        smooth = error * (error / (root + self.mu))
        weight = self._weight((error.abs() / root).detach(), is_training_step(pred))
        return (smooth * weight).sum(-1)

    def _weight(self, length: Tensor, remember: bool) -> Tensor:
        index = (length * self.bins).long().clamp(0, self.bins - 1)
        members = index.unsqueeze(-1) == torch.arange(self.bins, device=index.device)
        latest = members.reshape(-1, self.bins).sum(0).to(length)
        counts = latest
        if self.momentum:
            counts = self._histogram.mixed(latest, self.momentum)
            if remember:
                self._histogram.counts = counts
        return length.numel() / (counts[index] * (latest > 0).sum())
