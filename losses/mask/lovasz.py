"""Lovász losses: the convex extension of the Jaccard loss, exact for hard predictions."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..base import MaskLoss, Scope, register_mask
from ._labels import with_background


@dataclass(frozen=True, kw_only=True)
class LovaszLoss(MaskLoss):
    """Σ max(e, 0) g over pixels, e an error and g the Jaccard loss that it adds in its rank.

    Subclasses say what the error of a pixel is. The pixels are sorted by it, largest first, and
    g is how much the Jaccard loss grows where the pixel joins those that are taken for wrong
    (Alg. 1 of the paper). Equal errors share what they add up to in any order, so ties do not
    change the value; the gradient is one of the subgradients there.

    Attributes:
        scope: ``"image"`` sorts the pixels of each image by themselves. ``"batch"`` sorts those
            of the whole batch; every image then has the same value, the batch's.
    """

    scope: Scope = "image"

    @property
    def depends_on_batch(self) -> bool:
        return self.scope == "batch"

    @abstractmethod
    def errors(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Error of each pixel and the masks that it is held against.

        Returns:
            Two ``[N, K, H, W]``, K masks: the classes, and the background where it is one.
        """

    @abstractmethod
    def counted(self, foreground: Tensor) -> Tensor:
        """Which of the K masks the mean is over: bool, like ``foreground``.

        Args:
            foreground: number of valid foreground pixels of each mask, ``[N, K]`` or ``[1, K]``.
        """

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        error, mask = self.errors(logits.where(valid, 0), target)
        # An ignored pixel comes last, where nothing follows that it could influence, and is cut
        # off together with all that is negative.
        error = _lines(error.where(valid, -1), self.scope)
        mask = _lines(mask.where(valid, 0), self.scope)
        value = (error.clamp(min=0) * _jaccard_steps(error.detach(), mask)).sum(-1)
        counted = self.counted(mask.sum(-1)).to(value.dtype)
        mean = (value * counted).sum(1) / counted.sum(1).clamp(min=1)
        return mean.expand(len(logits))


@register_mask("lovasz_hinge")
@dataclass(frozen=True, kw_only=True)
class LovaszHinge(LovaszLoss):
    """Lovász hinge: Lovász extension of the Jaccard loss in the errors 1 - z s, s = ±1 the truth.

    Berman et al., 2018, arXiv:1705.08790, Sec. 3 and Alg. 1, for each class by itself; the mean
    over classes. From 0 up, and 0 from logits on that are beyond ±1 on the right side. A class
    that is absent costs its largest error. As in the authors' code, an image is sorted by
    itself; their option for the batch is ``scope``.

    Helps when the Jaccard index of small regions is what counts, and after some epochs of cross
    entropy; hurts as the only loss from the start, since all but few pixels have next to no
    gradient.
    """

    def errors(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        return 1 - logits * (2 * target - 1), target

    def counted(self, foreground: Tensor) -> Tensor:
        return torch.ones_like(foreground, dtype=torch.bool)


@register_mask("lovasz_softmax")
@dataclass(frozen=True, kw_only=True)
class LovaszSoftmax(LovaszLoss):
    """Lovász-Softmax: Lovász extension of the Jaccard loss in the errors |y - p|, p by softmax.

    Berman et al., 2018, arXiv:1705.08790, Eq. 9 and 10. The softmax is over the background, whose
    logit is 0, and the classes. From 0 to 1.

    Attributes:
        average: ``"present"`` averages over the classes with a pixel in the target of the image
            (with ``scope`` ``"batch"``, of the batch), as the paper advises; ``"all"`` over all,
            an absent one costing its largest probability.
        background: whether the background is one of the classes averaged over.

    Helps when the mean Jaccard index over classes is what counts; hurts with few pixels of a
    class in each image, whose term then jumps from image to image.
    """

    exclusive: ClassVar[bool] = True

    average: Literal["present", "all"] = "present"
    background: bool = True

    def errors(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        logits, label = with_background(logits, target)
        error = label + (1 - 2 * label) * logits.softmax(1)
        first = 0 if self.background else 1
        return error[:, first:], label[:, first:]

    def counted(self, foreground: Tensor) -> Tensor:
        return foreground > 0 if self.average == "present" else torch.ones_like(foreground) > 0


def _lines(masks: Tensor, scope: Scope) -> Tensor:
    """The pixels to be sorted together as a last dimension: ``[N, K, P]`` or ``[1, K, P]``."""
    if scope == "image":
        return masks.flatten(2)
    return masks.transpose(0, 1).flatten(1)[None]


def _jaccard_steps(error: Tensor, mask: Tensor) -> Tensor:
    """Growth of the Jaccard loss at each pixel, were the pixels to go wrong by falling error.

    With I and U the intersection and union before a pixel goes wrong, the loss 1 - I/U grows by
    1/U at a foreground pixel and by I / (U (U+1)) at one of the background. Written so, it keeps
    its digits where a difference of neighbouring losses would lose them.

    Args:
        error, mask: ``[..., P]``.

    Returns:
        ``[..., P]``, in the order of the pixels.
    """
    order = error.argsort(-1, descending=True)
    foreground = mask.gather(-1, order)
    total = mask.sum(-1, keepdim=True)
    intersection = total - foreground.cumsum(-1) + foreground
    union = total + (1 - foreground).cumsum(-1) - (1 - foreground)
    # In an absent class the first wrong pixel makes the loss 1, and the others add nothing.
    in_background = (intersection / (union * (union + 1)).clamp(min=1)).where(union > 0, 1)
    step = torch.where(foreground > 0, 1 / union.clamp(min=1), in_background)
    return torch.zeros_like(step).scatter(-1, order, step)
