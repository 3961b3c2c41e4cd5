"""Losses that add up over pixels which have one class at most, or the background."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from ..base import MaskLoss
from ..tracing import is_plain
from ._blocks import column_blocks, flat, visible
from ._pixels import Weight, pixel_count, shown


class Choice(NamedTuple):
    """A pixel's choice among the background, whose logit is 0, and the classes.

    Attributes:
        target: ``[N, C, P]``, 1 for the pixel's class.
        background: ``[N, 1, P]``, 1 where the pixel has no class.
        log_p: ``[N, C, P]``, ln of the probability of each class.
        log_p_background: ``[N, 1, P]``.
        nll: ``[N, 1, P]``, -ln p_t, p_t being the probability of the true choice.
    """

    target: Tensor
    background: Tensor
    log_p: Tensor
    log_p_background: Tensor
    nll: Tensor

    @classmethod
    def of(cls, logits: Tensor, target: Tensor) -> Choice:
        """The choice that the logits ``[N, C, P]`` make."""
        top = logits.detach().amax(1, keepdim=True).clamp(min=0)
        shifted = logits - top
        total = (shifted.exp().sum(1, keepdim=True) + (-top).exp()).log()
        background = (1 - target.sum(1, keepdim=True)).clamp(min=0)
        # The shift taken apart: in one sum with it, logits of 1e4 would drown the logarithm.
        nll = total - (shifted * target).sum(1, keepdim=True) + top * background
        return cls(target, background, shifted - total, -top - total, nll)


class ChoiceTerm(Protocol):
    """A loss of such pixels, as a formula and its derivative."""

    def value_and_slope(self, choice: Choice) -> tuple[Tensor, Tensor]:
        """The loss ``[N, 1, P]``, and its derivative by the logits, ``[N, C, P]``."""
        ...


@dataclass(frozen=True, kw_only=True)
class SoftmaxLoss(MaskLoss):
    """Mean over valid pixels of a loss of exclusive classes.

    Subclasses write the loss of a pixel and its derivative, beside each other.
    """

    exclusive: ClassVar[bool] = True

    @abstractmethod
    def value_and_slope(self, choice: Choice) -> tuple[Tensor, Tensor]:
        """The loss ``[N, 1, P]``, and its derivative by the logits, ``[N, C, P]``."""

    def divisor(self, target: Tensor, seen: Tensor | None) -> Weight:
        """What the sum over an image is divided by, a number or ``[N]``."""
        return pixel_count(target, seen)

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        x, y, seen = flat(logits, target, valid)
        total = _plain_sum(self, x, y, seen) if is_plain(x, y) else _Sum.apply(x, self, y, seen)
        return total / self.divisor(y, seen)


def _plain_sum(term: ChoiceTerm, logits: Tensor, target: Tensor, seen: Tensor | None) -> Tensor:
    value, _ = term.value_and_slope(Choice.of(*shown(logits, target, seen)))
    return (value if seen is None else value.where(seen, 0)).sum((1, 2))


class _Sum(torch.autograd.Function):
    """The sum, with its gradient computed along in the same pass."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, term: ChoiceTerm, target: Tensor, seen: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(logits, target, seen)
        ctx.term = term
        ctx.gradient = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        return _sweep(term, logits, target, seen, ctx.gradient)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        logits, target, seen = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody wants to differentiate the gradient
            total = _plain_sum(ctx.term, logits, target, seen)
            (gradient,) = torch.autograd.grad(total, logits, outer[0], create_graph=True)
            return gradient, None, None, None
        # The stored gradient is scaled in place and given away. A second pass back through the
        # same graph is rare and computes it again.
        gradient, ctx.gradient = ctx.gradient, None
        if gradient is None:
            gradient = torch.empty_like(logits)
            _sweep(ctx.term, logits, target, seen, gradient)
        return gradient.mul_(outer[0][:, None, None]), None, None, None


def _sweep(
    term: ChoiceTerm,
    logits: Tensor,
    target: Tensor,
    seen: Tensor | None,
    gradient: Tensor | None,
) -> Tensor:
    """The sum ``[N]``; its derivative is written to ``gradient``, if given."""
    total = logits.new_zeros(len(logits))
    for block in column_blocks(logits):
        seen_here = visible(seen, block)
        choice = Choice.of(*shown(logits[block], target[block], seen_here))
        value, slope = term.value_and_slope(choice)
        if seen_here is not None:
            value, slope = value.where(seen_here, 0), slope.where(seen_here, 0)
        total[block[0]].add_(value.sum((1, 2)))
        if gradient is not None:
            gradient[block] = slope
    return total
