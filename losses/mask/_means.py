"""Means over pixels that leave ignored pixels out."""

from __future__ import annotations

from torch import Tensor


def mean_over_valid(loss: Tensor, valid: Tensor) -> Tensor:
    """Mean ``[N, C]`` of ``loss [N, C, H, W]`` over the valid pixels; 0 if there are none.

    Args:
        valid: bool ``[N, 1, H, W]``.
    """
    total = loss.where(valid, 0).sum((2, 3))
    return total / valid.sum((2, 3)).clamp(min=1)
