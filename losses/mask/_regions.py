"""Sums over the regions of a mask, which all region losses are functions of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..tracing import is_plain
from ._blocks import Block, blocks, column_blocks, visible
from ._pixels import shown, turned


@dataclass(frozen=True)
class Regions:
    """Soft counts of pixels, each ``[N, C]`` (``[1, C]`` for a whole batch), valid ones only.

    Attributes:
        missed: Σ (1-p) y, false negatives.
        wrong: Σ |p-y|, false negatives and false positives. Both are summed as such and are no
            differences of larger sums, so they have their full precision near a match.
        squares: Σ (p-y)²; None where nobody asked for it.
        actual: Σ y.
        count: number of pixels.
    """

    missed: Tensor
    wrong: Tensor
    squares: Tensor | None
    actual: Tensor
    count: Tensor

    @property
    def false(self) -> Tensor:
        """Σ p (1-y), false positives."""
        return self.wrong - self.missed

    @property
    def common(self) -> Tensor:
        """Σ p y, true positives."""
        return self.actual - self.missed

    @property
    def neither(self) -> Tensor:
        """Σ (1-p) (1-y), true negatives."""
        return self.count - self.actual - self.false

    @property
    def complement(self) -> Regions:
        """The same for each class's background: false and missed pixels change places."""
        return Regions(self.false, self.wrong, self.squares, self.count - self.actual, self.count)

    def beside(self, other: Regions) -> Regions:
        """The classes of both, these first."""

        def join(a: Tensor, b: Tensor) -> Tensor:
            return torch.cat((a, b), 1)

        squares = None
        if self.squares is not None and other.squares is not None:
            squares = join(self.squares, other.squares)
        return Regions(
            join(self.missed, other.missed),
            join(self.wrong, other.wrong),
            squares,
            join(self.actual, other.actual),
            join(self.count, other.count),
        )

    def pooled(self, dimension: int, weights: Tensor | None = None) -> Regions:
        """All images (0) or classes (1) as one; their sums may be weighted."""

        def add(x: Tensor) -> Tensor:
            return (x if weights is None else x * weights).sum(dimension, keepdim=True)

        squares = None if self.squares is None else add(self.squares)
        missed, wrong, actual, count = map(add, (self.missed, self.wrong, self.actual, self.count))
        return Regions(missed, wrong, squares, actual, count)


def sigmoid_regions(
    logits: Tensor, target: Tensor, seen: Tensor | None, squared: bool = False
) -> Regions:
    """Regions of classes that are masks of their own, p = sigmoid(logit).

    Args:
        logits, target: ``[N, C, P]``.
        seen: bool ``[N, 1, P]``, the valid pixels, or None if all are.
        squared: whether Σ (p-y)² is wanted.
    """
    if is_plain(logits, target):
        sums = _plain_sums(logits, target, seen, squared)
    else:
        sums = _RegionSums.apply(logits, target, seen, squared)
    missed, wrong, *squares = sums
    return Regions(missed, wrong, squares[0] if squared else None, *_of_target(target, seen))


def softmax_regions(
    logits: Tensor,
    target: Tensor,
    seen: Tensor | None,
    squared: bool = False,
    background: bool = False,
) -> Regions:
    """Regions of exclusive classes, p = softmax over 0 (the background) and the logits.

    Args:
        logits, target, seen, squared: as in :func:`sigmoid_regions`.
        background: whether the background is a class of its own, the first one.
    """
    if logits.shape[1] == 1:  # the softmax of 0 and one logit is the logit's sigmoid
        one = sigmoid_regions(logits, target, seen, squared)
        return one.complement.beside(one) if background else one
    if is_plain(logits, target):
        sums = _plain_choice_sums(logits, target, seen, squared)
    else:
        sums = _ChoiceSums.apply(logits, target, seen, squared)
    actual, count = _of_target(target, seen)
    if background:
        actual = torch.cat((count[:, :1] - actual.sum(1, keepdim=True), actual), 1)
        count = count[:, :1].expand_as(actual)
    else:
        sums = tuple(x[:, 1:] for x in sums)
    missed, wrong, *squares = sums
    return Regions(missed, wrong, squares[0] if squared else None, actual, count)


def _of_target(target: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
    """Σ y and the number of valid pixels, ``[N, C]``."""
    if seen is None:
        return target.sum(2), target.new_full(target.shape[:2], target.shape[2])
    actual = target.where(seen, 0).sum(2)
    return actual, seen.sum(2).to(target.dtype).expand_as(actual)


def _plain_sums(
    logits: Tensor, target: Tensor, seen: Tensor | None, squared: bool
) -> tuple[Tensor, ...]:
    """Σ q y, Σ q and, if wanted, Σ q², q = |p-y| being the probability of the wrong state."""
    x, y = shown(logits, target, seen)
    miss = torch.sigmoid(turned(x, y))
    return _sums(miss if seen is None else miss.where(seen, 0), y, squared)


def _sums(miss: Tensor, target: Tensor, squared: bool) -> tuple[Tensor, ...]:
    sums = (miss * target).sum(2), miss.sum(2)
    return (*sums, miss.square().sum(2)) if squared else sums


class _RegionSums(torch.autograd.Function):
    """The sums of :func:`_plain_sums`; q is kept, and its memory becomes the gradient's."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, target: Tensor, seen: Tensor | None, squared: bool
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(logits, target, seen)
        ctx.squared = squared
        ctx.miss = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        sums = tuple(logits.new_zeros(logits.shape[:2]) for _ in range(3 if squared else 2))
        for block in blocks(logits):
            x, y = shown(logits[block], target[block], visible(seen, block))
            miss = _misses(x, y, visible(seen, block), ctx.miss, block)
            for total, part in zip(sums, _sums(miss, y, squared), strict=True):
                total[block[:2]].add_(part)
        return sums

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        logits, target, seen = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody wants to differentiate the gradient
            sums = _plain_sums(logits, target, seen, ctx.squared)
            (gradient,) = torch.autograd.grad(sums, logits, outer, create_graph=True)
            return gradient, None, None, None
        # The kept tensor is overwritten and given away. A second pass back through the same
        # graph is rare and computes it again.
        gradient, ctx.miss = ctx.miss, None
        is_kept = gradient is not None
        gradient = gradient if is_kept else torch.empty_like(logits)
        of_missed, of_wrong, *of_squares = (x[:, :, None] for x in outer)
        # Of each class's two sums a pixel is in the second, and if its target is 1 in both.
        of_target = -(of_missed + 2 * of_wrong)
        for block in blocks(logits):
            y = target[block]
            if seen is not None or not is_kept:
                x, y = shown(logits[block], y, visible(seen, block))
            if not is_kept:
                _misses(x, y, visible(seen, block), gradient, block)
            miss, of_class = gradient[block], block[:2]
            slope = y * of_target[of_class]
            slope += of_wrong[of_class]
            if of_squares:
                slope += turned(miss, y).mul_(2 * of_squares[0][of_class])
            torch.ops.aten.sigmoid_backward.grad_input(slope, miss, grad_input=miss)
        return gradient, None, None, None


def _misses(
    logits: Tensor, target: Tensor, seen: Tensor | None, kept: Tensor | None, block: Block
) -> Tensor:
    """q of a block, 0 at ignored pixels; written into ``kept``, if given."""
    out = None if kept is None else kept[block]
    miss = torch.addcmul(logits, logits, target, value=-2, out=out).sigmoid_()
    return miss if seen is None else miss.mul_(seen)


def _with_background(logits: Tensor, target: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
    """Probabilities and target ``[N, 1 + C, P]``, those of the background first."""
    logits, target = shown(logits, target, seen)
    p = torch.cat((torch.zeros_like(logits[:, :1]), logits), 1).softmax(1)
    rest = (1 - target.sum(1, keepdim=True)).clamp(min=0)
    return p, torch.cat((rest, target), 1)


def _plain_choice_sums(
    logits: Tensor, target: Tensor, seen: Tensor | None, squared: bool
) -> tuple[Tensor, ...]:
    """Σ |p-y| y, Σ |p-y| and, if wanted, Σ (p-y)², those of the background first."""
    p, y = _with_background(logits, target, seen)
    wrong = (p - y).abs()
    return _sums(wrong if seen is None else wrong.where(seen, 0), y, squared)


class _ChoiceSums(torch.autograd.Function):
    """The sums of :func:`_plain_choice_sums`; keeps nothing but its inputs."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, target: Tensor, seen: Tensor | None, squared: bool
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(logits, target, seen)
        ctx.squared = squared
        n, classes = logits.shape[:2]
        sums = tuple(logits.new_zeros(n, classes + 1) for _ in range(3 if squared else 2))
        for block in column_blocks(logits):
            part = logits[block], target[block], visible(seen, block)
            for total, add in zip(sums, _plain_choice_sums(*part, squared), strict=True):
                total[block[0]].add_(add)
        return sums

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        logits, target, seen = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody wants to differentiate the gradient
            sums = _plain_choice_sums(logits, target, seen, ctx.squared)
            (gradient,) = torch.autograd.grad(sums, logits, outer, create_graph=True)
            return gradient, None, None, None
        gradient = torch.empty_like(logits)
        of_missed, of_wrong, *of_squares = (x[:, :, None] for x in outer)
        of_target = -(of_missed + 2 * of_wrong)
        for block in column_blocks(logits):
            images, seen_here = block[0], visible(seen, block)
            p, y = _with_background(logits[block], target[block], seen_here)
            slope = y * of_target[images]
            slope += of_wrong[images]
            if of_squares:
                slope += (p - y).mul_(2 * of_squares[0][images])
            if seen_here is not None:
                slope = slope.where(seen_here, 0)
            # The derivative of the softmax: p times what the slope exceeds its mean by.
            slope -= (slope * p).sum(1, keepdim=True)
            torch.mul(slope[:, 1:], p[:, 1:], out=gradient[block])
        return gradient, None, None, None
