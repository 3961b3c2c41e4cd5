"""Losses whose truth is how well the predicted box fits: the score learns to rank boxes."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ..base import Activation, ClassificationLoss, register_classification
from ..options import require
from ._targets import one_hot


@dataclass(frozen=True, kw_only=True)
class QualityLoss(ClassificationLoss):
    """Of sigmoids; the target of the true class is the quality, that of all others is 0."""

    activations: ClassVar[frozenset[Activation]] = frozenset({"sigmoid"})
    needs_quality: ClassVar[bool] = True

    def compute(
        self, logits: Tensor, labels: Tensor, activation: Activation, quality: Tensor | None
    ) -> Tensor:
        assert quality is not None  # held by __call__
        target = torch.where(one_hot(labels, logits.shape[1]), quality[:, None], 0.0)
        return self.of_target(logits, target).sum(1)

    @abstractmethod
    def of_target(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss ``[N, C]`` of each class's sigmoid against a target in 0..1."""


@register_classification("quality_focal")
@dataclass(frozen=True, kw_only=True)
class QualityFocal(QualityLoss):
    """Quality focal loss: -|y - p|^β ((1 - y) ln(1 - p) + y ln p), y the IoU of the predicted box.

    Li et al., 2020, arXiv:2006.04388, Eq. 6, with the paper's β; summed over the classes. The
    paper's detector has no centre-ness beside it.

    From 0 where each score is the quality of its box, without a bound. Helps when boxes are ranked
    by their scores, as in AP; hurts early on, when all boxes are bad and nothing is to be found.

    Attributes:
        beta: how strongly scores near their target are discounted: 0 (not at all), or >= 1, as
            powers below 1 have no gradient at the target.
    """

    beta: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.beta == 0 or self.beta >= 1, "beta", "0 or >= 1", self.beta)

    def of_target(self, logits: Tensor, target: Tensor) -> Tensor:
        entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return entropy * (target - logits.sigmoid()).abs() ** self.beta


@register_classification("varifocal")
@dataclass(frozen=True, kw_only=True)
class Varifocal(QualityLoss):
    """Varifocal loss: -q (q ln p + (1 - q) ln(1 - p)) where the IoU q > 0, else -α p^γ ln(1 - p).

    Zhang et al., 2021, arXiv:2008.13367, Eq. 2, with the paper's α and γ; summed over the classes.

    Without a bound, and above 0 at its best, as q is uncertain. Only the background is
    discounted, and good boxes weigh more: helps AP at high IoU; hurts where good boxes are rare.

    Attributes:
        alpha: weight of the background, >= 0.
        gamma: how strongly well-classified background is discounted, >= 0.
    """

    alpha: float = 0.75
    gamma: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.alpha >= 0, "alpha", ">= 0", self.alpha)
        require(self.gamma >= 0, "gamma", ">= 0", self.gamma)

    @property
    def zero_at_match(self) -> bool:
        return False

    def of_target(self, logits: Tensor, target: Tensor) -> Tensor:
        entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        # p^γ through its logarithm: the power itself has no gradient at p = 0 for γ < 1.
        background = self.alpha * (self.gamma * F.logsigmoid(logits)).exp()
        return entropy * torch.where(target > 0, target, background)
