"""Exact Euclidean distances of pixels to the other side of a mask's boundary."""

from __future__ import annotations

import torch
from torch import Tensor

PIXELS_IN_CACHE = 2**17
"""Pixels that a processor works on at once, in a few copies."""

PAIRS_AT_ONCE = 2**26
"""Pairs of pixels of a row that other devices compare at once."""

SHIFTS_AT_ONCE = 8
"""Shifts between two looks at whether there can be anything nearer."""


def distance_across(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Distance of each pixel to the nearest pixel of the other kind, in pixels.

    Args:
        mask: bool ``[..., H, W]``. Distances are within a plane.
        dtype: type of the result.

    Returns:
        ``[..., H, W]`` without gradient: inside the mask the distance to the nearest pixel
        outside, and outside that to the nearest inside, so 1 or more. 0 in a plane that has
        pixels of one kind only, where there is no boundary.
    """
    return _squared_distance_across(mask.detach()).to(dtype).sqrt()


# An operator of its own: a compiler would unroll its loops, and on a processor their length
# depends on the mask.
@torch.library.custom_op("losses::squared_distance_across", mutates_args=())
def _squared_distance_across(mask: Tensor) -> Tensor:
    """Squares of the distances, float32, in which they are exact up to 4096 pixels.

    The nearest pixel of the other kind lies some rows up or down in some column x', so the
    squared distance is min over x' of (x - x')² + h(x')², h being the distance to the other kind
    within a column. Columns in which the row's pixel is of the other kind itself need no h: all
    but the nearest of them are farther than that one, which the distance within the row covers,
    and a positive h there makes none of them nearer than it is.
    """
    if mask.numel() == 0:
        return torch.zeros_like(mask, dtype=torch.float32)
    height, width = mask.shape[-2:]
    far = float(height + width)  # more than any distance in the plane
    h = _distance_in_lines(mask.mT.contiguous(), far).square().mT.reshape(-1, width)
    nearest = _distance_in_lines(mask, far).square().view(-1, width)
    torch.minimum(nearest, h, out=nearest)
    lower = _lower_by_shifts if mask.device.type == "cpu" else _lower_to_least
    lower(nearest, h)
    return nearest.where(nearest < far * far, 0).view(mask.shape)


def _lower_by_shifts(nearest: Tensor, h: Tensor) -> None:
    """Lower ``nearest [rows, W]`` to (x - x')² + h(x')² for columns ever farther apart.

    Ends where these are too far apart to lower anything, which takes reading a value: cheap on a
    processor.
    """
    width = h.shape[1]
    block = max(16, PIXELS_IN_CACHE // width)
    for start in range(0, len(h), block):
        some = slice(start, start + block)
        # Columns come first, so that those a number of pixels apart lie together.
        found, columns = nearest[some].mT.contiguous(), h[some].mT.contiguous()
        candidate = torch.empty_like(columns)
        apart, lowest = 1, columns.min()
        while apart < width and apart**2 + lowest < found.max():
            for d in range(apart, min(apart + SHIFTS_AT_ONCE, width)):
                other = candidate[d:]
                torch.add(columns[:-d], d * d, out=other)
                torch.minimum(found[d:], other, out=found[d:])
                torch.add(columns[d:], d * d, out=other)
                torch.minimum(found[:-d], other, out=found[:-d])
            apart += SHIFTS_AT_ONCE
        nearest[some] = found.mT


def _lower_to_least(nearest: Tensor, h: Tensor) -> None:
    """The same by comparing all pairs of columns, which needs no look at what was found."""
    width = h.shape[1]
    x = torch.arange(width, device=h.device, dtype=h.dtype)
    apart = (x[:, None] - x).square()
    block = max(1, PAIRS_AT_ONCE // (width * width))
    for start in range(0, len(h), block):
        some = slice(start, start + block)
        least = (h[some, None] + apart).amin(-1)
        nearest[some] = torch.minimum(nearest[some], least)


@_squared_distance_across.register_fake
def _(mask: Tensor) -> Tensor:
    return torch.empty(mask.shape, dtype=torch.float32, device=mask.device)


@_squared_distance_across.register_vmap
def _(info: object, in_dims: tuple[int], mask: Tensor) -> tuple[Tensor, int]:
    return _squared_distance_across(mask.movedim(in_dims[0], 0)), 0


def _distance_in_lines(mask: Tensor, far: float) -> Tensor:
    """Distance within the last dimension to the nearest pixel of the other kind, or ``far``."""
    length = mask.shape[-1]
    x = torch.arange(length, device=mask.device, dtype=torch.float32)
    changes = torch.zeros_like(mask)  # True where a pixel differs from the one before it
    torch.ne(mask[..., 1:], mask[..., :-1], out=changes[..., 1:])
    before = torch.where(changes, x - 1, -far).cummax(-1).values
    after = torch.where(changes, x, 2 * far).roll(-1, -1)
    after[..., -1:] = 2 * far
    after = after.flip(-1).cummin(-1).values.flip(-1)
    return torch.minimum(x - before, after - x).clamp(max=far)
