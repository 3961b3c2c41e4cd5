"""Geometry that several detectors share."""

from __future__ import annotations

import torch
from torch import Tensor


def centreness(deltas: Tensor) -> Tensor:
    """FCOS Eq. 3: ``[P, 4]`` distances left, top, right, bottom -> ``[P]`` in 0..1."""
    shortest = torch.minimum(deltas[:, :2], deltas[:, 2:])
    longest = torch.maximum(deltas[:, :2], deltas[:, 2:])
    return (shortest / longest.clamp(min=1e-6)).clamp(min=0).prod(1).sqrt()
