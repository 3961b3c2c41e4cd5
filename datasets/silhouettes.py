"""What the generated data set is drawn with: random numbers, textures and silhouettes.

All that reaches a pixel is integer arithmetic, or floating point on whole numbers small enough
to be exact. Random numbers are the raw words of PCG64, whose stream numpy keeps across versions,
unlike that of the methods of ``numpy.random.Generator``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

OCTAVES = ((2, 6), (4, 4), (8, 3), (16, 2), (32, 1))
"""Cells a side and weight of each layer of value noise; the weights sum to 16."""


class Draws:
    """Random numbers from raw PCG64 words, one stream per key."""

    def __init__(self, *key: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(key))

    def share(self) -> float:
        """A number in [0, 1)."""
        return float(self._bits.random_raw() >> 11) / 2**53

    def integer(self, low: int, high: int) -> int:
        """A whole number in low..high, both included."""
        return low + ((self._bits.random_raw() >> 32) * (high - low + 1) >> 32)

    def signed_bytes(self, *shape: int) -> npt.NDArray[np.int16]:
        """Whole numbers in -128..127 of the given shape."""
        count = math.prod(shape)
        words = self._bits.random_raw(-(-count // 8)).astype("<u8")
        return words.view(np.int8)[:count].reshape(shape).astype(np.int16)


# The silhouettes. Each gets pixel centres relative to the middle of the object's box, in half
# pixels, so that the box is |x| <= w and |y| <= h; it returns which pixels lie inside.


def _ellipse(x: Integers, y: Integers, w: int, h: int, draws: Draws) -> Mask:
    return x * x * (h * h) + y * y * (w * w) <= w * w * h * h


def _quadrilateral(x: Integers, y: Integers, w: int, h: int, draws: Draws) -> Mask:
    """The whole box, or half of the time a tilted one with a corner on each side of the box."""
    tilt = draws.integer(1, 8) if draws.integer(0, 1) else 0
    # Corners, in sixteenths of the box from its corners: (tilt, 0), (16, tilt), (16 - tilt, 16),
    # (0, 16 - tilt); opposite edges are parallel, so two strips say what is inside.
    u, v = x * h, y * w
    reach = w * h * (256 - 32 * tilt + 2 * tilt * tilt)
    first = np.abs(16 * ((16 - tilt) * v - tilt * u)) <= reach
    return first & (np.abs(16 * ((16 - tilt) * u + tilt * v)) <= reach)


def _triangle(x: Integers, y: Integers, w: int, h: int, draws: Draws) -> Mask:
    """A base along one side of the box and the third corner anywhere on the opposite side."""
    if draws.integer(0, 1):
        x, y, w, h = y, x, h, w
    if draws.integer(0, 1):
        y = -y
    apex = draws.integer(-16, 16)
    middle = w * apex * (h - y)
    return np.abs(32 * h * x - middle) <= 16 * w * (y + h)


def _cross(x: Integers, y: Integers, w: int, h: int, draws: Draws) -> Mask:
    """Two bars, upright or along the diagonals of the box."""
    arm = draws.integer(4, 7)
    if draws.integer(0, 1):
        return (np.abs(x) * 16 <= w * arm) | (np.abs(y) * 16 <= h * arm)
    u, v = x * h, y * w
    return (np.abs(u - v) * 16 <= w * h * arm) | (np.abs(u + v) * 16 <= w * h * arm)


def _ring(x: Integers, y: Integers, w: int, h: int, draws: Draws) -> Mask:
    hole = draws.integer(8, 11)
    radius = x * x * (h * h) + y * y * (w * w)
    full = w * w * h * h
    return (radius <= full) & (radius * 256 >= full * hole * hole)


@dataclass(frozen=True)
class Silhouette:
    """How a class is drawn, and the mean share of its box that it covers."""

    draw: Callable[[Integers, Integers, int, int, Draws], Mask]
    cover: float


SILHOUETTES = {
    "ellipse": Silhouette(_ellipse, 0.79),
    "rectangle": Silhouette(_quadrilateral, 0.82),
    "triangle": Silhouette(_triangle, 0.50),
    "cross": Silhouette(_cross, 0.57),
    "ring": Silhouette(_ring, 0.50),
}
"""The classes, in the order of their labels."""


@lru_cache(maxsize=32)
def _upsampling(size: int, cells: int) -> npt.NDArray[np.float32]:
    """Linear interpolation as a matrix ``[size, cells + 1]``; whole numbers, rows sum to 16."""
    matrix = np.zeros((size, cells + 1), np.float32)
    for pixel in range(size):
        cell, rest = divmod((2 * pixel + 1) * cells, 2 * size)
        weight = rest * 16 // (2 * size)
        matrix[pixel, cell] = 16 - weight
        matrix[pixel, cell + 1] = weight
    return matrix


def value_noise(draws: Draws, size: int, channels: int) -> npt.NDArray[np.int32]:
    """Smooth random fields ``[channels, size, size]`` with values in -128..127.

    Random values on five ever finer grids are interpolated linearly and summed. The products are
    exact in float32 (below 128 · 16 · 16 · 16 = 2^19), so no order of summation changes a bit.
    """
    total = np.zeros((channels, size, size), np.float32)
    for cells, weight in OCTAVES:
        grid = draws.signed_bytes(channels, cells + 1, cells + 1).astype(np.float32)
        rows = _upsampling(size, cells)
        total += (weight * rows) @ grid @ rows.T
    return total.astype(np.int32) >> 12
