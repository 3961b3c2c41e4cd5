"""What the losses of the IoU family share: their common options, and a fast way to a gradient.

A loss of this family is a sum of :class:`Term` objects: 1 - IoU first, then its penalties. A term
says its value in plain torch, and beside it, in closed form, the slopes of the value in the sides
of the boxes. With the slopes, value and gradient of a block of boxes come from one pass that stays
in the processor's cache and leaves nothing for autograd to record; a term without slopes is left to
autograd, as is everything under ``torch.compile``, ``torch.func``, second derivatives, or a
target that wants a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from ..base import BoxLoss, Space
from ..options import require
from ..tracing import is_plain
from ._geometry import Constants, Pair, Slopes

BLOCK = 16384
"""Boxes of a block for each thread: few enough to stay in cache, enough to make calls cheap."""

TINY = 1e-12
"""Smallest base of a power, whose slope may be infinite at 0."""


class Term(NamedTuple):
    """One summand of a loss.

    Attributes:
        value: ``[N]``, 0 at a perfect match.
        slopes: gives the derivatives of ``value``; None leaves them to autograd.
    """

    value: Tensor
    slopes: Callable[[], Slopes] | None = None


@dataclass(frozen=True, kw_only=True)
class OverlapLoss(BoxLoss):
    """A loss of the IoU family.

    Attributes:
        inner_ratio: the IoU itself is taken between boxes of ``inner_ratio`` times the sides
            around the same centres, > 0; the penalties stay those of the whole boxes. Inner-IoU
            (Zhang et al., 2023, arXiv:2311.02877): below 1 for boxes that overlap well, above 1
            for small ones that hardly do.
        power: IoU and every penalty are raised to this power, > 0: α-IoU (He et al., 2021,
            arXiv:2110.13675, Eq. 4 and 5, whose α = 3). Above 1 it looks more at the boxes that
            fit well already.
        focal: the loss is multiplied by IoU to this power, >= 0, as a constant for the gradient:
            Focal-EIoU (Zhang et al., 2021, arXiv:2101.08158, Eq. 13, whose γ = 0.5). Boxes
            that do not overlap then have no gradient.
    """

    space: ClassVar[Space] = "boxes"
    inner_ratio: float = 1.0
    power: float = 1.0
    focal: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.inner_ratio > 0, "inner_ratio", "> 0", self.inner_ratio)
        require(self.power > 0, "power", "> 0", self.power)
        require(self.focal >= 0, "focal", ">= 0", self.focal)

    @property
    def stops_gradient(self) -> str:
        return "the factor IoU^focal" if self.focal else ""

    def penalties(self, pair: Pair) -> tuple[Term, ...]:
        """What is added to 1 - IoU; nothing by default."""
        return ()

    def overlap_term(self, pair: Pair) -> Term:
        """1 - IoU of the whole or the inner boxes, to the loss's power."""
        overlap = inner_overlap(pair, self.inner_ratio)
        if self.power == 1:
            return Term(overlap.excess, overlap.slopes)
        slope = _power_slope(overlap.iou, self.power)
        return Term(1 - _power(overlap.iou, self.power), lambda: overlap.slopes().times(slope))

    def factor(self, pair: Pair) -> Tensor | None:
        """What the sum of the terms is multiplied by, ``[N]`` without gradient; None for 1."""
        if not self.focal:
            return None
        iou = pair.iou.detach()
        return iou**self.focal * (iou > TINY)  # 0, not next to it, for boxes apart

    def terms(self, pair: Pair) -> list[Term]:
        """All summands, the overlap first, each to the loss's power."""
        penalties = self.penalties(pair)
        if self.power != 1:
            penalties = tuple(_powered(term, self.power) for term in penalties)
        return [self.overlap_term(pair), *penalties]

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        if pred.dim() != 2:
            # By this class: a subclass that does something before must not do it twice.
            flat = OverlapLoss.compute(self, pred.reshape(-1, 4), target.reshape(-1, 4))
            return flat.reshape(pred.shape[:-1])
        if is_plain(pred, target):
            return self.plain(pred, target)
        if pred.requires_grad and torch.is_grad_enabled():
            return _Fused.apply(pred, target, self)
        return _values(self, pred, target)

    def plain(self, pred: Tensor, target: Tensor, constants: Constants | None = None) -> Tensor:
        """The loss ``[N]`` of ``[N, 4]`` boxes as an ordinary function of torch."""
        pair = Pair(pred, target, constants)
        return self._total(pair, self.terms(pair), self.factor(pair))

    def value_and_gradient(
        self, pred: Tensor, target: Tensor, constants: Constants | None = None
    ) -> tuple[Tensor, Tensor] | None:
        """The loss ``[N]`` and its gradient ``[4, N]`` in closed form; None without slopes."""
        pair = Pair(pred, target, constants)
        terms = self.terms(pair)
        if any(term.slopes is None for term in terms):
            return None
        first, *others = (term.slopes() for term in terms if term.slopes is not None)
        slopes = reduce(Slopes.plus, others, first)
        factor = self.factor(pair)
        if factor is not None:
            slopes = slopes.times(factor)
        return self._total(pair, terms, factor), pair.gradient(slopes)

    def _total(self, pair: Pair, terms: list[Term], factor: Tensor | None) -> Tensor:
        total = terms[0].value
        for term in terms[1:]:
            total = total + term.value
        if factor is not None:
            total = total * factor
        return total + pair.shortfall


class Overlap(NamedTuple):
    """IoU of pairs of boxes.

    Attributes:
        iou, excess: ``[N]``, IoU and 1 - IoU.
        slopes: gives the derivatives of 1 - IoU.
    """

    iou: Tensor
    excess: Tensor
    slopes: Callable[[], Slopes]


def inner_overlap(pair: Pair, ratio: float) -> Overlap:
    """Overlap of boxes of ``ratio`` times the sides around the same centres."""
    if ratio == 1:
        return Overlap(pair.iou, pair.excess, lambda: _excess_slopes(pair))
    mine, theirs = pair.pred * (ratio / 2), pair.target * (ratio / 2)
    right, left = pair.offset + mine, pair.offset - mine
    sides = torch.relu(torch.minimum(right, theirs) - torch.maximum(left, -theirs))
    common = sides[0] * sides[1]
    union = ratio**2 * (pair.pred_area + pair.target_area) - common
    iou = common / union

    def slopes() -> Slopes:
        share = iou / union
        inner = -(1 / union + share) * sides.flip(0) * sides.sign()
        # 1 where the prediction's corner bounds the overlap, 1/2 where both do.
        right_mine = (theirs - right).sign() * 0.5 + 0.5
        left_mine = (left + theirs).sign() * 0.5 + 0.5
        return Slopes(
            pred_area=ratio**2 * share,
            pred=inner * (right_mine + left_mine) * (ratio / 2),
            offset=inner * (right_mine - left_mine),
        )

    return Overlap(iou, (union - common) / union, slopes)


def _excess_slopes(pair: Pair) -> Slopes:
    share = pair.iou * pair.per_union
    return Slopes(overlap_area=-pair.per_union - share, pred_area=share)


def _power(base: Tensor, exponent: float) -> Tensor:
    return base if exponent == 1 else base.clamp(min=TINY) ** exponent


def _power_slope(base: Tensor, exponent: float) -> Tensor:
    """Derivative of :func:`_power`."""
    return exponent * base.clamp(min=TINY) ** (exponent - 1) * (base > TINY)


def _powered(term: Term, exponent: float) -> Term:
    value, slopes = term
    powered = _power(value, exponent) - TINY**exponent  # 0 at a match, as the term itself
    if slopes is None:
        return Term(powered)
    return Term(powered, lambda: slopes().times(_power_slope(value, exponent)))


class _Fused(torch.autograd.Function):
    """Value of a loss, with the gradient computed alongside and kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, pred: Tensor, target: Tensor, loss: OverlapLoss) -> Tensor:
        value, gradient = _values_and_gradients(loss, pred, target)
        ctx.save_for_backward(pred, target, gradient)
        ctx.loss = loss
        return value

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        pred, target, gradient = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody wants second derivatives
            (first,) = torch.autograd.grad(
                ctx.loss.plain(pred, target), pred, upstream, create_graph=True
            )
            return first, None, None
        return gradient.t() * upstream.unsqueeze(1), None, None


def _values(loss: OverlapLoss, pred: Tensor, target: Tensor) -> Tensor:
    """The loss ``[N]``, block by block."""
    value = pred.new_empty(len(pred))
    constants = _constants(pred.dtype, pred.device)
    for rows in _blocks(pred):
        value[rows] = loss.plain(pred[rows], target[rows], constants)
    return value


def _values_and_gradients(loss: OverlapLoss, pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The loss ``[N]`` and its gradient ``[4, N]``, block by block."""
    value, gradient = pred.new_empty(len(pred)), pred.new_empty(4, len(pred))
    constants = _constants(pred.dtype, pred.device)
    for rows in _blocks(pred):
        mine, theirs = pred[rows], target[rows]
        # Inference mode takes a fifth off the cost of an operation on a few boxes.
        with torch.inference_mode():
            found = loss.value_and_gradient(mine, theirs, constants)
            if found is not None:
                value[rows], gradient[:, rows] = found
        if found is None:
            value[rows], gradient[:, rows] = _by_autograd(loss, mine, theirs)
    return value, gradient


def _blocks(boxes: Tensor) -> Iterator[slice]:
    """Slices that cut ``[N, 4]`` into blocks; on a GPU one is all."""
    n = len(boxes)
    size = BLOCK * torch.get_num_threads() if boxes.device.type == "cpu" else n
    if n <= size:
        yield slice(None)
    else:
        yield from (slice(start, start + size) for start in range(0, n, size))


@lru_cache
def _constants(dtype: torch.dtype, device: torch.device) -> Constants:
    with torch.inference_mode(False):
        return Constants.like(torch.empty(0, dtype=dtype, device=device))


def _by_autograd(loss: OverlapLoss, pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        leaf = pred.detach().requires_grad_()
        value = loss.plain(leaf, target)
        (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), gradient.t()
