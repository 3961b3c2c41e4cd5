"""Take a loss of another project for a :class:`BoxLoss` or :class:`MaskLoss`, faults included.

An adapter changes how a loss is called, never what it computes: it casts and clamps nothing and
switches no autocast off. What the loss returns in half precision or for a degenerate box is its
own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from .base import BoxLoss, MaskLoss, Space

Kind = Literal["box", "mask"]
Inputs = Literal["logits", "probabilities"]
Function = Callable[[Tensor, Tensor], Tensor]


class AdapterError(ValueError):
    """An object cannot be taken for a loss; the message says why."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AdaptedBoxLoss(BoxLoss):
    """A box loss of another project.

    Attributes:
        function: ``(pred, target) -> loss``, both ``[N, 4]``; the result is ``[N]``, ``[N, 4]``
            (then the four are summed) or one number.
        reduces: whether ``function`` gives one number; then each pair is a call of its own.
    """

    space: ClassVar[Space] = "boxes"
    function: Function
    reduces: bool = False

    def __post_init__(self) -> None:
        """Nothing to check: no field is an option that a user sets."""

    def __call__(self, pred: Tensor, target: Tensor) -> Tensor:
        return self.compute(pred, target)

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        if self.reduces:
            return _one_by_one(self.original, pred, target)
        value = self.original(pred, target)
        return value.sum(-1) if value.shape == pred.shape else value.reshape(pred.shape[:-1])

    def original(self, pred: Tensor, target: Tensor) -> Tensor:
        """What the loss itself returns for the whole batch."""
        return self.function(pred, target)


class AdaptedDeltaLoss(AdaptedBoxLoss):
    """The same for a loss that works on encoded boxes."""

    space: ClassVar[Space] = "deltas"


@dataclass(frozen=True, kw_only=True, eq=False)
class AdaptedMaskLoss(MaskLoss):
    """A mask loss of another project; ``valid`` has no influence, since such losses have none.

    Attributes:
        function: ``(input, target) -> loss``; the result is ``[N, ...]`` (then averaged over all
            but the first dimension) or one number.
        reduces: whether ``function`` gives one number; then each image is a call of its own.
        inputs: whether ``function`` takes logits or probabilities.
        layout: how it takes classes, a key of :data:`LAYOUTS`.
    """

    function: Function
    reduces: bool = False
    inputs: Inputs = "logits"
    layout: str = "masks"

    def __post_init__(self) -> None:
        """Nothing to check: no field is an option that a user sets."""

    def __call__(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        return self.compute(logits, target, valid)

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        if self.reduces:
            return _one_by_one(self.original, logits, target)
        value = self.original(logits, target)
        return value.flatten(1).mean(1) if value.dim() > 1 else value

    def original(self, logits: Tensor, target: Tensor) -> Tensor:
        """What the loss itself returns for the whole batch ``[N, C, H, W]``."""
        scores, truth = LAYOUTS[self.layout](logits, target.to(logits.dtype))
        if self.inputs == "probabilities":
            scores = scores.softmax(1) if self.exclusive else scores.sigmoid()
        return self.function(scores, truth)


class AdaptedSoftmaxLoss(AdaptedMaskLoss):
    """The same for a loss of exclusive classes; the background's logit is 0."""

    exclusive: ClassVar[bool] = True


def _masks(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Each class is a binary mask, both ``[N, C, H, W]``."""
    return logits, target


def _foreground(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """One class: scores ``[N, 1, H, W]``, target int64 ``[N, H, W]``, 0 or 1."""
    return logits, target[:, 0].long()


def _one_hot(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Exclusive classes, the background first, both ``[N, 1 + C, H, W]``."""
    scores = torch.cat([torch.zeros_like(logits[:, :1]), logits], 1)
    return scores, torch.cat([1 - target.sum(1, keepdim=True), target], 1)


def _index(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Exclusive classes: the same scores, target int64 ``[N, H, W]`` with 0 = background."""
    scores, truth = _one_hot(logits, target)
    return scores, truth.argmax(1)


LAYOUTS: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "masks": _masks,
    "foreground": _foreground,
    "one_hot": _one_hot,
    "index": _index,
}
"""How losses take classes: name -> what is made of our logits and target."""

EXCLUSIVE = frozenset({"one_hot", "index"})
"""Layouts in which a pixel has one class at most."""

BOX_ADAPTERS: dict[Space, type[AdaptedBoxLoss]] = {
    "boxes": AdaptedBoxLoss,
    "deltas": AdaptedDeltaLoss,
}


def adapt(
    thing: Any,
    options: Mapping[str, Any] | None = None,
    *,
    kind: Kind | None = None,
    space: Space = "boxes",
    inputs: Inputs = "logits",
    layout: str = "masks",
) -> BoxLoss | MaskLoss:
    """Make a loss of this project's kind out of anything that is called like one.

    Args:
        thing: a function ``(pred, target, ...)``, an ``nn.Module``, a class of either, or a
            :class:`BoxLoss` or :class:`MaskLoss` or a class of these, which are used as they are.
        options: keyword arguments of the function or the class. Where it has an argument
            ``reduction`` that is not given, "none" is tried first.
        kind: what it takes; None finds out by calling it.
        space: what a box loss takes, see :attr:`BoxLoss.space`.
        inputs: whether a mask loss takes logits or probabilities.
        layout: how a mask loss takes classes, a key of :data:`LAYOUTS`.

    Raises:
        AdapterError: it cannot be called with these options, is of another kind, returns
            something else than a loss, or could be of both kinds.
    """
    given = dict(options or {})
    if _is_ours(thing):
        loss = _prepare(thing, given)
        _require_kind(loss, kind)
        return loss
    wrappers: dict[Kind, Callable[[Function], BoxLoss | MaskLoss]] = {
        "box": partial(_as_box, space=space),
        "mask": partial(_as_mask, inputs=inputs, layout=layout),
    }
    tried = {kind: wrappers[kind]} if kind else wrappers
    reasons: list[str] = []
    for variant in _reductions(thing, given):
        found = list(_fitting(thing, variant, tried, reasons))
        if len(found) > 1:
            raise AdapterError("could be a box loss or a mask loss: say which with `kind`")
        if found:
            return found[0]
    raise AdapterError("; ".join(dict.fromkeys(reasons)))


def _is_ours(thing: Any) -> bool:
    cls = thing if isinstance(thing, type) else type(thing)
    return issubclass(cls, BoxLoss | MaskLoss)


def _require_kind(loss: BoxLoss | MaskLoss, kind: Kind | None) -> None:
    own = "box" if isinstance(loss, BoxLoss) else "mask"
    if kind not in (None, own):
        raise AdapterError(f"is a {own} loss, not a {kind} loss")


def _prepare(thing: Any, options: dict[str, Any]) -> Any:
    """The callable with its options set: an instance of a class, or a function with arguments."""
    try:
        if isinstance(thing, type):
            return thing(**options)
        if not callable(thing):
            raise AdapterError(f"is no loss but a {type(thing).__name__}")
        if isinstance(thing, nn.Module | BoxLoss | MaskLoss) and options:
            raise AdapterError(f"is made already and takes no options, got {', '.join(options)}")
        return partial(thing, **options) if options else thing
    except AdapterError:
        raise
    except Exception as error:
        raise AdapterError(f"cannot be made: {type(error).__name__}: {error}") from None


def _reductions(thing: Any, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The options with ``reduction="none"``, where that can be asked for, and as they are."""
    if "reduction" not in options and "reduction" in _arguments(thing):
        yield {**options, "reduction": "none"}
    yield options


def _arguments(thing: Any) -> frozenset[str]:
    """Names of the arguments that can be set by options."""
    if isinstance(thing, nn.Module):
        return frozenset()
    try:
        return frozenset(inspect.signature(thing).parameters)
    except (TypeError, ValueError):  # no signature, as of some functions written in C
        return frozenset()


def _fitting(
    thing: Any,
    options: dict[str, Any],
    wrappers: Mapping[Kind, Callable[[Function], BoxLoss | MaskLoss]],
    reasons: list[str],
) -> Iterator[BoxLoss | MaskLoss]:
    """A loss for each kind in which ``thing`` can be called; ``reasons`` gets why not."""
    try:
        function = _prepare(thing, options)
    except AdapterError as error:
        reasons.append(str(error))
        return
    for kind, wrap in wrappers.items():
        try:
            yield wrap(function)
        except Exception as error:
            told = (
                str(error)
                if isinstance(error, AdapterError)
                else f"{type(error).__name__}: {error}"
            )
            reasons.append(f"called as a {kind} loss: {told}")


def _as_box(function: Function, space: Space) -> AdaptedBoxLoss:
    pred = torch.tensor([[10.0, 20.0, 50.0, 60.0], [0, 5, 30, 25], [5, 5, 9, 35]])
    shape = _result(function, pred, pred + torch.tensor([1.0, 2.0, 4.0, 3.0]))
    if shape not in ([], [1], [3], [3, 1], [3, 4]):
        raise AdapterError(f"3 boxes give a tensor of shape {shape}, not [3], [3, 4] or one number")
    return BOX_ADAPTERS[space](function=function, reduces=shape in ([], [1]))


def _as_mask(function: Function, inputs: Inputs, layout: str) -> AdaptedMaskLoss:
    cls = AdaptedSoftmaxLoss if layout in EXCLUSIVE else AdaptedMaskLoss
    loss = cls(function=function, inputs=inputs, layout=layout)
    logits = torch.linspace(-2, 2, 3 * 8 * 6).reshape(3, 1, 8, 6)
    shape = _result(loss.original, logits, (logits.flip(3) > 0).float())
    if shape in ([], [1]):
        return cls(function=function, inputs=inputs, layout=layout, reduces=True)
    if shape[0] != 3:
        raise AdapterError(f"3 images give a tensor of shape {shape}, not [3, ...] or one number")
    return loss


def _result(function: Function, pred: Tensor, target: Tensor) -> list[int]:
    value = function(pred, target)
    if not isinstance(value, Tensor):
        raise AdapterError(f"returns a {type(value).__name__}, not a tensor")
    return list(value.shape)


def _one_by_one(function: Function, pred: Tensor, target: Tensor) -> Tensor:
    """``[N]``, each item a call with a batch of one; an empty batch is one call with nothing."""
    if not len(pred):
        return function(pred, target).reshape(-1)[:0]
    items = zip(pred.split(1), target.split(1), strict=True)
    return torch.cat([function(*item).reshape(1) for item in items])
