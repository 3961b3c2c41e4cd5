"""Boundary loss."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..base import MaskLoss, register_mask
from ._distance import distance_across
from ._means import mean_over_valid


@register_mask("boundary")
@dataclass(frozen=True, kw_only=True)
class Boundary(MaskLoss):
    """Boundary loss: φ p, φ the signed distance to the target's boundary, mean over pixels.

    Kervadec et al., 2019, arXiv:1812.07032, Eq. 5, for each class by itself; the mean over valid
    pixels and classes. φ is positive outside the target, in pixels the distance to the nearest
    pixel of it; inside it is minus the distance to the nearest pixel outside, plus 1, so that it
    is 0 on the target's own outermost pixels, as in the authors' code. A class that is absent, or
    fills the image, has no boundary and costs nothing. An ignored pixel counts as background for
    the distances. The loss is at its lowest, below 0, where the prediction is the target.

    Attributes:
        normalised: divide φ by its largest absolute value in each image and class, so that the
            loss lies between -1 and 1 whatever the size of the image.

    Helps when regions are very unequal in size, beside a region loss whose part falls as that of
    this one rises (Sec. 3 of the paper); hurts alone, since the empty prediction is close to a
    minimum.
    """

    normalised: bool = False

    @property
    def zero_at_match(self) -> bool:
        return False

    @property
    def non_negative(self) -> bool:
        return False

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        inside = (target > 0.5) & valid
        distance = distance_across(inside, logits.dtype)
        # Without a boundary the distance is 0 everywhere, and stays so.
        phi = distance.where(~inside, (1 - distance).clamp(max=0))
        if self.normalised:
            phi = phi / phi.abs().amax((2, 3), keepdim=True).clamp(min=1)
        return mean_over_valid(phi * logits.sigmoid(), valid).mean(1)
