"""Classes that exclude each other, with the background as one label more."""

from __future__ import annotations

import torch
from torch import Tensor


def with_background(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Add the background as the first of the labels.

    Args:
        logits, target: ``[N, C, H, W]``.

    Returns:
        Logits, 0 for the background, and one-hot labels, both ``[N, 1 + C, H, W]``.
    """
    background = (1 - target.sum(1, keepdim=True)).clamp(min=0)
    label = torch.cat([background, target], 1)
    return torch.cat([torch.zeros_like(background), logits], 1), label
