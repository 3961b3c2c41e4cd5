"""Boxes and centres that the simulation's tests share."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmark.simulation.descent import Boxes


@pytest.fixture
def make_boxes() -> Callable[..., Boxes]:
    """Measured float64 boxes from (centre x, centre y, width, height) of starts and targets."""

    def make(starts: list[list[float]], targets: list[list[float]]) -> Boxes:
        columns = (torch.tensor(rows, dtype=torch.float64).t() for rows in (starts, targets))
        boxes = Boxes(*(part.contiguous() for part in columns))
        boxes.measure()
        return boxes

    return make


@pytest.fixture(scope="session")
def sunflower() -> Callable[[int], NDArray[np.float64]]:
    """Centres spread as evenly as possible over the disc: few stand for many random ones."""

    def spread(points: int) -> NDArray[np.float64]:
        i = np.arange(points)
        radius, angle = 3 * np.sqrt((i + 0.5) / points), i * math.pi * (3 - math.sqrt(5))
        return 10 + np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1)

    return spread
