"""Losses that add up over pixels, each class a binary mask of its own."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from ..base import MaskLoss
from ..tracing import is_plain
from ._blocks import Block, blocks, flat, visible

Weight = float | Tensor
"""Weight of the pixels of one state: a number, or one for each image and class, ``[N, C, 1]``."""

Weights = tuple[Weight, Weight] | None
"""Those of the foreground and of the background, or None where both are 1."""


class Pixel(NamedTuple):
    """What a loss of single pixels is a function of; tensors of one shape.

    Attributes:
        target: 0 or 1.
        margin: m, the log odds of the wrong state: the logit where the target is 0, its negative
            where it is 1. The lower the better.
        nll: -ln p_t = ln(1 + e^m), p_t being the probability of the true state.
        miss: 1 - p_t = sigmoid(m). Exact where it is small, which 1 - p_t would not be.
    """

    target: Tensor
    margin: Tensor
    nll: Tensor
    miss: Tensor

    @classmethod
    def of(cls, margin: Tensor, target: Tensor) -> Pixel:
        """The pixels of that margin and target."""
        # Above its threshold softplus takes ln(1 + e^m) for m; at 40 that is exact in float64.
        return cls(target, margin, F.softplus(margin, threshold=40), torch.sigmoid(margin))


def turned(x: Tensor, target: Tensor) -> Tensor:
    """x where the target is 0, -x where it is 1: from logits to margins, and back."""
    return torch.addcmul(x, x, target, value=-2)


class Term(Protocol):
    """A loss of single pixels, as a formula and its derivative."""

    def value_and_slope(self, pixel: Pixel) -> tuple[Tensor, Tensor]:
        """The loss of each pixel, and its derivative with respect to the margin."""
        ...


@dataclass(frozen=True, kw_only=True)
class PixelLoss(MaskLoss):
    """Weighted mean over valid pixels and classes of a loss of single pixels.

    Subclasses write the loss of a pixel and its derivative, beside each other. The derivative is
    used where nobody looks into the loss; elsewhere the loss itself is differentiated.
    """

    @abstractmethod
    def value_and_slope(self, pixel: Pixel) -> tuple[Tensor, Tensor]:
        """The loss of each pixel, and its derivative with respect to ``pixel.margin``."""

    def weights(self, target: Tensor, seen: Tensor | None) -> Weights:
        """Weights of the pixels, by their state.

        Args:
            target: ``[N, C, P]``.
            seen: bool ``[N, 1, P]``, the valid pixels; None if all are.
        """
        return None

    def divisor(self, logits: Tensor, target: Tensor, seen: Tensor | None) -> Weight:
        """What the weighted sum over an image is divided by, a number or ``[N]``."""
        return target.shape[1] * pixel_count(target, seen)

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        x, y, seen = flat(logits, target, valid)
        total = weighted_sum(self, x, y, seen, self.weights(y, seen))
        return total / self.divisor(x, y, seen)


def pixel_count(target: Tensor, seen: Tensor | None) -> Weight:
    """Number of valid pixels of each image, at least 1."""
    return max(target.shape[2], 1) if seen is None else seen.sum((1, 2)).clamp(min=1)


def state_counts(target: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
    """Number of valid foreground and background pixels, each ``[N, C, 1]``."""
    if seen is None:
        foreground = target.sum(2, keepdim=True)
        return foreground, target.shape[2] - foreground
    foreground = target.where(seen, 0).sum(2, keepdim=True)
    return foreground, seen.sum(2, keepdim=True) - foreground


def weighted_sum(
    term: Term,
    logits: Tensor,
    target: Tensor,
    seen: Tensor | None,
    weights: Weights = None,
) -> Tensor:
    """Sum ``[N]`` of a term over the classes and valid pixels of each image.

    Args:
        term: the loss of a pixel, and its derivative.
        logits, target: ``[N, C, P]``.
        seen: bool ``[N, 1, P]``, or None if all pixels are valid.
        weights: of the foreground and of the background.
    """
    if is_plain(logits, target):
        return _plain_sum(term, logits, target, seen, weights)
    total: Tensor = _WeightedSum.apply(logits, term, target, seen, weights)
    return total


def _plain_sum(
    term: Term,
    logits: Tensor,
    target: Tensor,
    seen: Tensor | None,
    weights: Weights,
) -> Tensor:
    logits, target = shown(logits, target, seen)
    pixel = Pixel.of(turned(logits, target), target)
    value, _ = term.value_and_slope(pixel)
    weight = _weight(target, seen, weights)
    return (value if weight is None else value * weight).sum((1, 2))


def shown(logits: Tensor, target: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
    """Logits and target with 0 in place of ignored pixels, whatever stood there."""
    if seen is None:
        return logits, target
    return logits.where(seen, 0), target.where(seen, 0)


def _weight(target: Tensor, seen: Tensor | None, weights: Weights) -> Tensor | None:
    """Weight of each pixel, 0 if it is ignored; None if all have the weight 1."""
    if weights is None:
        return None if seen is None else seen.to(target.dtype)
    foreground, background = weights
    # Not target * (foreground - background) + background, which rounds a small one away.
    weight = target * foreground + (1 - target) * background
    return weight if seen is None else weight.where(seen, 0)


class _WeightedSum(torch.autograd.Function):
    """The weighted sum, with its gradient computed along in the same pass."""

    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        term: Term,
        target: Tensor,
        seen: Tensor | None,
        weights: Weights,
    ) -> Tensor:
        ctx.save_for_backward(logits, target, seen)
        ctx.term, ctx.weights = term, weights
        ctx.gradient = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        return _sweep(term, logits, target, seen, weights, ctx.gradient)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        logits, target, seen = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody wants to differentiate the gradient
            total = _plain_sum(ctx.term, logits, target, seen, ctx.weights)
            (gradient,) = torch.autograd.grad(total, logits, outer[0], create_graph=True)
            return gradient, None, None, None, None
        # The stored gradient is scaled in place and given away. A second pass back through the
        # same graph is rare and computes it again.
        gradient, ctx.gradient = ctx.gradient, None
        if gradient is None:
            gradient = torch.empty_like(logits)
            _sweep(ctx.term, logits, target, seen, ctx.weights, gradient)
        return gradient.mul_(outer[0][:, None, None]), None, None, None, None


def _sweep(
    term: Term,
    logits: Tensor,
    target: Tensor,
    seen: Tensor | None,
    weights: Weights,
    gradient: Tensor | None,
) -> Tensor:
    """The weighted sum ``[N]``; its derivative is written to ``gradient``, if given."""
    total = logits.new_zeros(len(logits))
    for block in blocks(logits):
        seen_here = visible(seen, block)
        x, y = shown(logits[block], target[block], seen_here)
        pixel = _measured(turned(x, y), y)
        weight = _weight(y, seen_here, _of_block(weights, block))
        value, slope = term.value_and_slope(pixel)
        if weight is not None:
            value, slope = value * weight, slope * weight
        total[block[0]].add_(value.sum((1, 2)))
        if gradient is not None:
            torch.addcmul(slope, slope, y, value=-2, out=gradient[block])
    return total


def _measured(margin: Tensor, target: Tensor) -> Pixel:
    """The same as :meth:`Pixel.of` in less time, but not for autograd, which it misleads at 0."""
    miss = torch.sigmoid(margin)
    # ln(1 + e^m) = max(m, 0) - ln(1 - r), r being the smaller of q and 1-q.
    smaller = torch.maximum(-miss, miss - 1)
    return Pixel(target, margin, margin.clamp(min=0).sub_(smaller.log1p_()), miss)


def _of_block(weights: Weights, block: Block) -> Weights:
    if weights is None:
        return None
    foreground, background = (
        weight[block[:2]] if isinstance(weight, Tensor) else weight for weight in weights
    )
    return foreground, background
