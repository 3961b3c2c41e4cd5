"""The experiment's fixed numbers: targets, anchors, steps and learning rates.

One anchor centre gives 7 target shapes x 7 anchor areas x 7 anchor shapes = 343 cases, and the
paper has 5,000 centres: 1,715,000 cases. Boxes are columns: ``[4, n]`` with the rows centre x,
centre y, width, height, in units of the side of a square target.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CENTRE = 10.0
"""Both coordinates of every target's centre."""
RADIUS = 3.0
"""Of the disc around the targets that the anchor centres lie in."""
ASPECTS = (1 / 4, 1 / 3, 1 / 2, 1.0, 2.0, 3.0, 4.0)
"""Width over height, of targets and of anchors."""
AREAS = (0.5, 0.67, 0.75, 1.0, 1.33, 1.5, 2.0)
"""Of the anchors; the targets have area 1."""
CASES_PER_POINT = len(ASPECTS) * len(AREAS) * len(ASPECTS)
POINTS = 5000
"""Anchor centres of the full experiment."""
FULL = POINTS * CASES_PER_POINT
"""Cases of the full experiment; reported sums are scaled to them."""
STEPS = 200


def learning_rate(step: int) -> float:
    """Of the ``step``-th update, counted from 1."""
    return 0.1 if step <= 160 else 0.01 if step <= 180 else 0.001


def anchor_centres(points: int, seed: int) -> NDArray[np.float64]:
    """Centres ``[points, 2]`` (x, y), uniform by area in the disc.

    The radius is 3√u. With 3u, as in some later scripts, the middle would be crowded. The first
    centres are the same whatever ``points`` is, and no two are at the same place.
    """
    u, turn = np.random.default_rng(seed).random((points, 2)).T
    radius, angle = RADIUS * np.sqrt(u), 2 * math.pi * turn
    return CENTRE + np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1)


def cases(centres: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
    """Every case of some anchor centres.

    Args:
        centres: ``[points, 2]``.

    Returns:
        Anchors and targets, float64 ``[4, points * 343]``. The cases of one centre are
        neighbours; among them the target's shape changes slowest and the anchor's fastest.
    """
    target_shapes, areas, shapes = torch.meshgrid(
        *(torch.tensor(values, dtype=torch.float64) for values in (ASPECTS, AREAS, ASPECTS)),
        indexing="ij",
    )
    sizes = torch.stack(((areas * shapes).sqrt(), (areas / shapes).sqrt())).flatten(1)
    target_sizes = torch.stack((target_shapes.sqrt(), target_shapes.rsqrt())).flatten(1)
    points = len(centres)
    starts = torch.from_numpy(centres).t().repeat_interleave(CASES_PER_POINT, dim=1)
    anchors = torch.cat((starts, sizes.repeat(1, points)))
    targets = torch.cat((torch.full_like(starts, CENTRE), target_sizes.repeat(1, points)))
    return anchors, targets
