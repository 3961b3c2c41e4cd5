"""What the generated data set is drawn with: random numbers, textures and silhouettes.

All that reaches a pixel is integer arithmetic. Random numbers are the raw words of PCG64, whose
stream numpy keeps across versions, unlike that of the methods of ``numpy.random.Generator``.
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
FINEST = OCTAVES[-1][0]


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


def value_noise(draws: Draws, size: int, channels: int) -> npt.NDArray[np.int32]:
    """Smooth random fields ``[channels, size, size]`` with values in -128..127.

    Random values on ever finer grids are interpolated linearly and summed. Each grid refines the
    one before, so the sum is taken on the finest and only that is brought to full size. No
    matrix product is used: the threads of a BLAS stall where processes share the cores.
    """
    nodes = FINEST + 1
    total = np.zeros((channels, nodes, nodes), np.int32)
    for cells, weight in OCTAVES:
        grid = draws.signed_bytes(channels, cells + 1, cells + 1).astype(np.int32)
        total += weight * _interpolated(grid, *_node_positions(cells))
    return _interpolated(total, *_pixel_positions(size)) >> 20


def _interpolated(
    grid: npt.NDArray[np.int32], cell: Integers, inside: npt.NDArray[np.int32]
) -> npt.NDArray[np.int32]:
    """Values of ``grid [channels, g, g]`` at the given positions of both axes, times 256."""
    left = 16 - inside
    columns: npt.NDArray[np.int32] = grid[:, :, cell] * left + grid[:, :, cell + 1] * inside
    left, inside = left[:, None], inside[:, None]
    return columns[:, cell] * left + columns[:, cell + 1] * inside


@lru_cache(maxsize=8)
def _node_positions(cells: int) -> tuple[Integers, npt.NDArray[np.int32]]:
    """Where the nodes of the finest grid lie in a coarser one: cell, and sixteenths within."""
    cell, rest = np.divmod(np.arange(FINEST + 1) * cells, FINEST)
    # The last node is the far end of the last cell.
    at_end = cell == cells
    return cell - at_end, (rest * 16 // FINEST + 16 * at_end).astype(np.int32)


@lru_cache(maxsize=8)
def _pixel_positions(size: int) -> tuple[Integers, npt.NDArray[np.int32]]:
    """Where the pixel centres lie in the finest grid: cell, and sixteenths within."""
    cell, rest = np.divmod((2 * np.arange(size) + 1) * FINEST, 2 * size)
    return cell, (rest * 16 // (2 * size)).astype(np.int32)
