"""Cross entropy of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from ..base import Activation, ClassificationLoss, register_classification
from ._targets import column, one_hot


@register_classification("class_cross_entropy")
@dataclass(frozen=True, kw_only=True)
class ClassCrossEntropy(ClassificationLoss):
    """Cross entropy: -ln p of the true class; of sigmoids, summed over the classes.

    What Fast R-CNN (Girshick, 2015, arXiv:1504.08083, Eq. 1) and SSD (arXiv:1512.02325, Eq. 3)
    take with a softmax, and the region proposal network of Faster R-CNN with one sigmoid.

    From 0 for certain and correct scores, without a bound. Every box counts alike, so a detector
    that scores all its anchors has to choose among them (sampling, hard negatives).
    """

    activations: ClassVar[frozenset[Activation]] = frozenset({"sigmoid", "softmax"})

    def compute(
        self, logits: Tensor, labels: Tensor, activation: Activation, quality: Tensor | None
    ) -> Tensor:
        if activation == "softmax":
            return F.cross_entropy(logits, column(labels), reduction="none")
        target = one_hot(labels, logits.shape[1]).to(logits.dtype)
        return F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(1)
