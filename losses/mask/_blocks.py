"""Passing over masks in blocks that stay in the processor's cache.

An operation on a large tensor waits for memory, and new memory has to be cleared first: both cost
several times the arithmetic. So losses of single pixels and of regions have an
``autograd.Function`` each that goes through the masks block by block and leaves no tensor of
their size but the gradient. Beside it stands a plain form, written with ordinary operations, for
everything that looks into a loss: compilers, ``torch.func``, second derivatives.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..tracing import is_plain

BLOCK = 2**17
"""Numbers in a block, for each thread; several such blocks fit into the last-level cache."""

EIGHT_TRUE = 0x0101010101010101
"""Eight bytes of a bool tensor, all true, as one int64."""

Block = tuple[slice, slice, slice]


def flat(logits: Tensor, target: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Join the pixels' two dimensions.

    Returns:
        logits and target ``[N, C, P]``, and bool ``[N, 1, P]``: which pixels are valid, or None
        where it is cheap to know that all are.
    """
    logits, target, valid = (x.contiguous().flatten(2) for x in (logits, target, valid))
    known = not is_plain(logits, target) and valid.device.type == "cpu"
    return logits, target, None if known and _all_true(valid) else valid


def blocks(like: Tensor) -> Iterator[Block]:
    """Index triples that cut ``[N, C, P]`` into contiguous pieces; on a GPU one is all."""
    n, classes, pixels = like.shape
    size = BLOCK * torch.get_num_threads()
    if like.device.type != "cpu":
        yield slice(None), slice(None), slice(None)
    elif pixels > size:
        for i in range(n):
            for j in range(classes):
                for k in range(0, pixels, size):
                    yield slice(i, i + 1), slice(j, j + 1), slice(k, k + size)
    elif classes * pixels > size:
        step = size // pixels
        for i in range(n):
            for j in range(0, classes, step):
                yield slice(i, i + 1), slice(j, j + step), slice(None)
    elif like.numel():
        step = size // (classes * pixels)
        for i in range(0, n, step):
            yield slice(i, i + step), slice(None), slice(None)


def column_blocks(like: Tensor) -> Iterator[Block]:
    """The same, but every block has all classes of its pixels."""
    n, classes, pixels = like.shape
    if like.device.type != "cpu":
        yield slice(None), slice(None), slice(None)
    elif like.numel():
        step = max(1, BLOCK * torch.get_num_threads() // classes)
        for i in range(n):
            for k in range(0, pixels, step):
                yield slice(i, i + 1), slice(None), slice(k, k + step)


def visible(seen: Tensor | None, block: Block) -> Tensor | None:
    """The part of ``[N, 1, P]`` that belongs to a block."""
    return None if seen is None else seen[block[0], :, block[2]]


def _all_true(valid: Tensor) -> bool:
    # Eight at a time, which is 25 times as fast as valid.all(). Views of other buffers may start
    # anywhere; such a mask is read byte by byte.
    if valid.numel() % 8 or valid.storage_offset() % 8 or valid.data_ptr() % 8:
        return bool(valid.all())
    return not valid.numel() or bool(valid.view(-1).view(torch.int64).min() == EIGHT_TRUE)
