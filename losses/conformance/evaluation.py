"""Calling a loss: its value and gradient, its inputs, and what it remembers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from ..adapters import AdaptedMaskLoss
from ..base import BoxLoss
from .cases import BoxCases, Case, Cases, DeltaCases, MaskCases
from .findings import AnyLoss, Violation, raised


@dataclass(frozen=True)
class Result:
    """Value ``[N]`` of a loss and the gradient of its sum, shaped as the prediction."""

    value: Tensor
    gradient: Tensor

    def flaw(self) -> str:
        """Which of value and gradient is not finite, and how; empty if both are."""
        found = [f"value {_kind(self.value)}"] * (not self.value.isfinite().all())
        found += [f"gradient {_kind(self.gradient)}"] * (not self.gradient.isfinite().all())
        return ", ".join(found)


def _kind(numbers: Tensor) -> str:
    return "nan" if numbers.isnan().any() else "inf"


def cases_for(loss: AnyLoss) -> Cases:
    """The inputs that fit a loss; mask losses of other projects may take one class only."""
    if isinstance(loss, BoxLoss):
        return BoxCases() if loss.space == "boxes" else DeltaCases()
    return MaskCases(classes=1 if isinstance(loss, AdaptedMaskLoss) else 2)


def precise(loss: AnyLoss, case: Case) -> Case:
    """The case in float64, or in float32 if the loss cannot be called with float64."""
    double = case.to(torch.float64)
    try:
        value_of(loss, double)
    except Exception:  # a stranger's loss may raise anything
        return case.to(torch.float32)
    return double


@contextmanager
def unchanged(loss: AnyLoss) -> Iterator[None]:
    """Give a loss back what it remembered before, so that checks do not disturb each other."""
    state = {key: value.clone() for key, value in loss.state_dict().items()}
    try:
        yield
    finally:
        if state:
            loss.load_state_dict(state)


def value_of(loss: AnyLoss, case: Case) -> Tensor:
    """The value ``[N]``.

    Raises:
        Violation: it has another shape.
    """
    with unchanged(loss):
        value = loss(case.pred, *case.rest)
    expected = list(case.pred.shape[:1])
    if list(value.shape) != expected:
        raise Violation(f"{case.name}: expected {expected} values, got shape {list(value.shape)}")
    return value


def evaluate(loss: AnyLoss, case: Case, *, alone: bool = False) -> Result:
    """Value and gradient.

    Args:
        alone: call the loss for each item by itself.

    Raises:
        Violation: the value has another shape than ``[N]``, or no gradient reaches the prediction.
    """
    if alone:
        results = [evaluate(loss, item) for item in case.items()]
        return Result(
            torch.cat([result.value for result in results]),
            torch.cat([result.gradient for result in results]),
        )
    pred = case.pred.detach().clone().requires_grad_()
    value = value_of(loss, case.at(pred))
    return Result(value.detach(), gradient_of(value, pred, case.name))


def gradient_of(value: Tensor, pred: Tensor, name: str) -> Tensor:
    """Gradient of the summed value.

    Raises:
        Violation: none reaches ``pred``.
    """
    gradient = None
    if value.requires_grad:
        (gradient,) = torch.autograd.grad(value.sum(), pred, allow_unused=True)
    if gradient is None:
        raise Violation(f"{name}: no gradient reaches the prediction")
    return gradient


def observe(loss: AnyLoss, case: Case) -> tuple[str, str]:
    """Value and length of the gradient of a single item as texts: ``0.5``, ``nan``, ``raised ...``.

    The gradient of an empty case is ``ok``, its value ``-``.
    """
    try:
        result = evaluate(loss, case)
    except Violation as violation:
        return str(violation).removeprefix(f"{case.name}: "), "-"
    except Exception as error:  # a stranger's loss may raise anything
        return raised(error), "-"
    if not len(case.pred):
        return "-", "ok"
    # Adding 0 turns -0 into 0. A norm in float64 neither overflows nor vanishes.
    return f"{result.value.item() + 0.0:.3g}", f"{result.gradient.double().norm().item():.3g}"


def deviation(got: Tensor, expected: Tensor) -> float:
    """Largest difference in units of the largest expected magnitude; inf if one is not finite."""
    difference = (got.double() - expected.double()).abs().max().item()
    off = difference / max(expected.double().abs().max().item(), 1e-12)
    return off if math.isfinite(off) else math.inf
