"""What a loss is, and the three registers that hold all of them.

A new loss is one new file in ``box/``, ``mask/`` or ``classification/``::

    @register_box("my_loss")
    @dataclass(frozen=True, kw_only=True)
    class MyLoss(BoxLoss):
        '''One line that tells what it is.'''

        space: ClassVar[Space] = "boxes"
        beta: float = 1.0  # an option, with its default

        def compute(self, pred: Tensor, target: Tensor) -> Tensor: ...

A loss gives one value a box or an image. It does not reduce these, divide by the number of
positives or apply a weight: the training that uses it does.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, TypeVar

import torch
from torch import Tensor

from .options import check_types

Space = Literal["boxes", "deltas"]
Scope = Literal["image", "batch"]
Activation = Literal["sigmoid", "softmax"]


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What all losses share: what they declare of themselves, and their state.

    Subclasses are frozen dataclasses whose fields are the loss's options; a subclass that limits
    their range extends ``__post_init__`` and raises ``ValueError``. What a loss declares is held
    against it by :mod:`losses.conformance`.
    """

    version: ClassVar[int] = 1
    """Version of the loss's code, raised by every change that alters numbers."""

    def __post_init__(self) -> None:
        # A compiler that traces a loss built inside another one cannot look into annotations.
        if not torch.compiler.is_compiling():
            check_types(self)

    @property
    def zero_at_match(self) -> bool:
        """Whether a perfect prediction costs nothing."""
        return True

    @property
    def non_negative(self) -> bool:
        """Whether no prediction costs less than nothing."""
        return True

    @property
    def stops_gradient(self) -> str:
        """What the gradient takes for a constant though it depends on the prediction.

        Empty if there is nothing of that kind: then the gradient is that of the value.
        """
        return ""

    @property
    def depends_on_batch(self) -> bool:
        """Whether a value depends on the other pairs or images of the call, or on earlier calls."""
        return False

    def progress(self, fraction: float) -> None:
        """Say how much of the training is over, 0 to 1, before each step; for scheduled losses."""

    def state_dict(self) -> dict[str, Tensor]:
        """What the loss remembers between calls; empty for most."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take up what :meth:`state_dict` gave."""


@dataclass(frozen=True, kw_only=True)
class BoxLoss(Loss, ABC):
    """Loss of predicted boxes against their targets, one value a pair."""

    space: ClassVar[Space]
    """What the four numbers are: ``"boxes"`` is x1, y1, x2, y2 in pixels, ``"deltas"`` the
    model's own encoding of a box relative to its anchor or point."""

    def __call__(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each pair of boxes.

        Args:
            pred: ``[N, 4]`` (or any ``[..., 4]``), in the declared ``space``.
            target: the same shape. No gradient is meant to flow into it.

        Returns:
            ``[N]`` (``[...]``). Computed in float32, also under autocast; float64 ``pred`` stays
            float64.

        Raises:
            ValueError: the shapes differ or the last dimension is not 4.
        """
        if pred.shape != target.shape or pred.shape[-1:] != (4,):
            raise ValueError(
                f"pred and target must both be [N, 4], got {list(pred.shape)} "
                f"and {list(target.shape)}"
            )
        dtype = _working_dtype(pred)
        with _no_autocast(pred.device.type):
            return self.compute(pred.to(dtype), target.to(dtype))

    @abstractmethod
    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        """The loss ``[...]`` of ``[..., 4]`` tensors that are float32 or float64."""


@dataclass(frozen=True, kw_only=True)
class MaskLoss(Loss, ABC):
    """Loss of predicted masks against their targets, one value an image.

    Every class is a binary mask of its own; the background is implied.
    """

    exclusive: ClassVar[bool] = False
    """Whether a pixel may belong to one class at most, as in softmax cross entropy. Such a loss
    takes the background's logit for 0, so the decision stays "logit above 0"."""

    def __call__(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        """Return the loss of each image.

        Args:
            logits: ``[N, C, H, W]``, before the sigmoid.
            target: ``[N, C, H, W]``, 0 or 1, of any type. Other values give no meaningful loss.
            valid: bool ``[N, 1, H, W]``, False where a pixel is to be ignored: neither its
                logits nor its target have any influence there.

        Returns:
            ``[N]``. Computed in float32, also under autocast; float64 ``logits`` stay float64.

        Raises:
            ValueError: a shape does not fit the others, or ``valid`` is not bool.
        """
        if logits.dim() != 4 or target.shape != logits.shape:
            raise ValueError(
                f"logits and target must both be [N, C, H, W], got {list(logits.shape)} "
                f"and {list(target.shape)}"
            )
        n, _, height, width = logits.shape
        if valid.shape != (n, 1, height, width) or valid.dtype != torch.bool:
            raise ValueError(
                f"valid must be bool {[n, 1, height, width]}, got {valid.dtype} {list(valid.shape)}"
            )
        dtype = _working_dtype(logits)
        with _no_autocast(logits.device.type):
            return self.compute(logits.to(dtype), target.to(dtype), valid)

    @abstractmethod
    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        """The loss ``[N]``; ``logits`` and ``target`` are of one type, float32 or float64."""


@dataclass(frozen=True, kw_only=True)
class ClassificationLoss(Loss, ABC):
    """Loss of the classes that a detector gives its boxes, one value a box."""

    activations: ClassVar[frozenset[Activation]]
    """What turns the logits into probabilities: ``"sigmoid"`` for each class by itself,
    ``"softmax"`` over the classes and the background, or either of the two."""

    needs_quality: ClassVar[bool] = False
    """Whether the loss asks how well each predicted box fits its object."""

    def __call__(
        self, logits: Tensor, labels: Tensor, activation: Activation, quality: Tensor | None = None
    ) -> Tensor:
        """Return the loss of each box.

        Args:
            logits: ``[N, K]``; K is C, the number of classes, with sigmoids, and C + 1 with a
                softmax, column 0 being the background.
            labels: int64 ``[N]``, 0 to C - 1, or -1 where there is no object.
            activation: one of :attr:`activations`.
            quality: ``[N]``, 0 to 1, the IoU of the predicted box with its object, anything where
                there is none. No gradient flows into it. Read if :attr:`needs_quality`.

        Returns:
            ``[N]``, with sigmoids summed over the classes. Computed in float32, also under
            autocast; float64 ``logits`` stay float64.

        Raises:
            ValueError: a shape does not fit the others, the activation is none of
                :attr:`activations`, or the quality is missing.
        """
        if logits.dim() != 2 or labels.shape != logits.shape[:1]:
            shapes = f"{list(logits.shape)} and {list(labels.shape)}"
            raise ValueError(f"logits must be [N, K] and labels [N], got {shapes}")
        if activation not in self.activations:
            allowed = " or ".join(sorted(self.activations))
            raise ValueError(f"activation must be {allowed}, got {activation!r}")
        dtype = _working_dtype(logits)
        if self.needs_quality:
            if quality is None or quality.shape != labels.shape:
                raise ValueError(f"quality must be {list(labels.shape)}, the shape of labels")
            quality = quality.detach().to(dtype)
        with _no_autocast(logits.device.type):
            return self.compute(logits.to(dtype), labels, activation, quality)

    @abstractmethod
    def compute(
        self, logits: Tensor, labels: Tensor, activation: Activation, quality: Tensor | None
    ) -> Tensor:
        """The loss ``[N]``; ``logits`` and, where needed, ``quality`` are float32 or float64."""


BOX: dict[str, type[BoxLoss]] = {}
"""Every box loss by its name."""

MASK: dict[str, type[MaskLoss]] = {}
"""Every mask loss by its name."""

CLASSIFICATION: dict[str, type[ClassificationLoss]] = {}
"""Every loss of classes by its name."""

B = TypeVar("B", bound=type[BoxLoss])
M = TypeVar("M", bound=type[MaskLoss])
C = TypeVar("C", bound=type[ClassificationLoss])


def register_box(name: str) -> Callable[[B], B]:
    """Class decorator: make a :class:`BoxLoss` known as ``name``; ``ValueError`` if taken."""
    return _registrar(BOX, name)


def register_mask(name: str) -> Callable[[M], M]:
    """As :func:`register_box`, for a :class:`MaskLoss`."""
    return _registrar(MASK, name)


def register_classification(name: str) -> Callable[[C], C]:
    """As :func:`register_box`, for a :class:`ClassificationLoss`."""
    return _registrar(CLASSIFICATION, name)


def get(name: str, **options: Any) -> Any:
    """Build a loss by its registered name.

    Args:
        name: a key of :data:`BOX`, :data:`MASK` or :data:`CLASSIFICATION`.
        options: the fields of that loss; those left out take their defaults.

    Returns:
        The loss; of which kind it is, the name decides.

    Raises:
        ValueError: there is no such loss, or an option's value is not allowed.
        TypeError: the loss has no such option.
    """
    known: dict[str, type[Loss]] = {**BOX, **MASK, **CLASSIFICATION}
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f" (did you mean '{close[0]}'?)" if close else ""
        raise ValueError(f"unknown loss '{name}'{hint}; the losses are: {', '.join(sorted(known))}")
    allowed = [field.name for field in fields(known[name]) if field.init]
    for option in options:
        if option not in allowed:
            its = ", ".join(allowed) or "none"
            raise TypeError(f"loss '{name}' has no option '{option}'; its options are: {its}")
    try:
        return known[name](**options)
    except ValueError as error:
        raise ValueError(f"loss '{name}': {error}") from None


def _registrar(register: dict[str, Any], name: str) -> Callable[[Any], Any]:
    def add(cls: Any) -> Any:
        if name in BOX or name in MASK or name in CLASSIFICATION:
            raise ValueError(f"two losses are registered as '{name}'")
        register[name] = cls
        return cls

    return add


def _no_autocast(device: str) -> AbstractContextManager[Any]:
    # Asking first, because entering the context costs as much as ten operations on a few boxes.
    if torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()


def _working_dtype(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32
