"""Focal loss of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ..base import Activation, ClassificationLoss, register_classification
from ..options import require
from ._targets import column, one_hot

TINY = 1e-12
"""Least chance of being wrong whose power is taken: at 0 a power below 1 has no gradient."""


@register_classification("class_focal")
@dataclass(frozen=True, kw_only=True)
class ClassFocal(ClassificationLoss):
    """Focal loss of classes: -α_t (1 - p_t)^γ ln p_t; of sigmoids, summed over the classes.

    Lin et al., 2017, arXiv:1708.02002, Eq. 5, with the paper's α and γ. With a softmax p_t is the
    probability of the true class, the background being one, and α_t is α for objects and 1 - α
    for the background.

    From 0 for certain and correct scores, without a bound. Made for detectors that score every
    anchor, nearly all of them easy background; lowers the scores of a detector that samples.

    Attributes:
        alpha: weight of objects, 0 to 1, the background having 1 - α; None weights both by 1.
        gamma: how strongly well-classified boxes are discounted, >= 0.
    """

    activations: ClassVar[frozenset[Activation]] = frozenset({"sigmoid", "softmax"})

    alpha: float | None = 0.25
    gamma: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range = self.alpha is None or 0 <= self.alpha <= 1
        require(in_range, "alpha", "null or between 0 and 1", self.alpha)
        require(self.gamma >= 0, "gamma", ">= 0", self.gamma)

    def compute(
        self, logits: Tensor, labels: Tensor, activation: Activation, quality: Tensor | None
    ) -> Tensor:
        if activation == "softmax":
            nll = F.cross_entropy(logits, column(labels), reduction="none")
            miss = -torch.expm1(-nll)
            return self._weighted(nll, miss, labels >= 0)
        target = one_hot(labels, logits.shape[1])
        margin = torch.where(target, logits, -logits)
        return self._weighted(-F.logsigmoid(margin), torch.sigmoid(-margin), target).sum(1)

    def _weighted(self, nll: Tensor, miss: Tensor, positive: Tensor) -> Tensor:
        """α_t (1 - p_t)^γ (-ln p_t), of -ln p_t, 1 - p_t, and whether the truth is an object."""
        if self.gamma < 1:
            miss = miss.clamp(min=TINY)
        value = nll * miss**self.gamma
        if self.alpha is None:
            return value
        return torch.where(positive, self.alpha * value, (1 - self.alpha) * value)
