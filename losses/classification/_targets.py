"""Truth of a classification, as the losses need it."""

from __future__ import annotations

import torch
from torch import Tensor


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Labels ``[N]``, -1 where there is no object -> bool ``[N, classes]``."""
    return labels[:, None] == torch.arange(classes, device=labels.device)


def column(labels: Tensor) -> Tensor:
    """The column of a softmax whose first one is the background: ``[N]``, 0..C."""
    return labels + 1
