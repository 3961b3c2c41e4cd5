"""Geometry that several detectors share."""

from __future__ import annotations

import torch
from torch import Tensor


def centreness(deltas: Tensor) -> Tensor:
    """FCOS Eq. 3: ``[P, 4]`` distances left, top, right, bottom -> ``[P]`` in 0..1."""
    shortest = torch.minimum(deltas[:, :2], deltas[:, 2:])
    longest = torch.maximum(deltas[:, :2], deltas[:, 2:])
    return (shortest / longest.clamp(min=1e-6)).clamp(min=0).prod(1).sqrt()


def paired_iou(one: Tensor, two: Tensor) -> Tensor:
    """IoU ``[P]`` in 0..1 of boxes with their partners, both ``[P, 4]`` xyxy; 0 of empty ones."""
    corner = torch.maximum(one[:, :2], two[:, :2])
    overlap = (torch.minimum(one[:, 2:], two[:, 2:]) - corner).clamp(min=0).prod(1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1) for boxes in (one, two)]
    return overlap / (areas[0] + areas[1] - overlap).clamp(min=1e-6)
