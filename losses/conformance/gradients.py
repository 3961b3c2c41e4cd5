"""Checks of a loss's gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from .cases import BoxCases, Case, Cases, DeltaCases, MaskCases
from .evaluation import cases_for, deviation, evaluate, observe, precise, value_of
from .findings import AnyLoss, Declared, Violation, is_adapted, register

COORDINATES = 24
"""Coordinates of the prediction at which the gradient is held against differences."""

ROUNDING = 1e-6
"""Rise of a value, relative to it, that may be rounding."""

VANISHED = 1e-12
"""Largest component of a gradient that does nothing any more."""


@register("gradient is exact", "hard", adapted="soft")
def gradient_is_exact(loss: AnyLoss) -> str:
    """The gradient is that of the value: central differences in float64 agree."""
    case = precise(loss, cases_for(loss).ordinary())
    gradient = evaluate(loss, case).gradient.flatten()
    random = torch.Generator().manual_seed(1)
    chosen = torch.randperm(len(gradient), generator=random)[:COORDINATES]
    slopes, tolerance = _slopes(loss, case, chosen.tolist())
    off = deviation(gradient[chosen], slopes)
    told = f"off by {off:.2g} of the largest component"
    if loss.stops_gradient:
        raise Declared(f"declares as constant: {loss.stops_gradient}; {told}")
    if not off <= tolerance:
        excuse = "; a part held constant on purpose looks the same" if is_adapted(loss) else ""
        raise Violation(told + excuse)
    return told


def _slopes(loss: AnyLoss, case: Case, chosen: list[int]) -> tuple[Tensor, float]:
    """Central differences of the summed value, and how far a right gradient may be off them.

    A loss that computes in float32 inside, whatever its input is, gives noise for small steps:
    differences over two of them disagree. It gets larger steps and a larger tolerance.
    """
    step = cases_for(loss).unit
    fine, finer = (
        torch.stack([_slope(loss, case, index, length) for index in chosen])
        for length in (step, step / 3)
    )
    if deviation(finer, fine) <= 1e-5:
        return fine, 1e-4
    return torch.stack([_slope(loss, case, index, 50 * step) for index in chosen]), 5e-2


def _slope(loss: AnyLoss, case: Case, index: int, step: float) -> Tensor:
    """Central difference of the summed value for one number of the prediction."""
    shift = torch.zeros_like(case.pred)
    shift.view(-1)[index] = step
    above, below = (value_of(loss, case.at(case.pred + s)).detach().sum() for s in (shift, -shift))
    return (above - below) / (2 * step)


@register("gradient points downhill", "soft")
def gradient_points_downhill(loss: AnyLoss) -> str:
    """A small step against the gradient lowers the value."""
    cases = cases_for(loss)
    case = precise(loss, cases.ordinary())
    alone = loss.depends_on_batch
    before = evaluate(loss, case, alone=alone)
    length = before.gradient.flatten(1).norm(dim=1)
    moving = length > VANISHED
    if not moving.any():
        raise Violation(f"no gradient on {len(length)} random inputs")
    shape = (-1, *[1] * (case.pred.dim() - 1))
    direction = before.gradient / length.clamp(min=VANISHED).reshape(shape)
    after = evaluate(loss, case.at(case.pred - cases.unit * direction), alone=alone)
    rise = after.value - before.value
    uphill = moving & ~(rise <= ROUNDING * before.value.abs())
    told = f"{int(uphill.sum())} of {int(moving.sum())} steps raise it"
    if uphill.any():
        raise Violation(told)
    return told


@register("largest gradient", "information")
def largest_gradient(loss: AnyLoss) -> str:
    """Length of the longest gradient on a degenerate input, which a training may have to clip."""
    found = {case.name: observe(loss, case)[1] for case in cases_for(loss).degenerate()}
    lengths = {name: float(text) for name, text in found.items() if text not in ("-", "nan")}
    if not lengths:
        raise Violation("no gradient on any degenerate input")
    name = max(lengths, key=lambda case: lengths[case])
    return f"{lengths[name]:.3g} ({name})"


def _register_situation(name: str) -> None:
    """One check for each situation out of which a loss should lead."""

    def applies(loss: AnyLoss) -> bool:
        return name in _situations(loss)

    def has_gradient(loss: AnyLoss) -> str:
        return _gradient_in(loss, _situations(loss)[name])

    has_gradient.__doc__ = "In this situation the gradient is not 0, so the loss leads out of it."
    register(f"gradient: {name}", "soft", applies=applies)(has_gradient)


def _situations(loss: AnyLoss) -> dict[str, Case]:
    return {case.name: case for case in cases_for(loss).stuck()}


def _gradient_in(loss: AnyLoss, case: Case) -> str:
    largest = evaluate(loss, case).gradient.abs().max().item()
    if not largest > VANISHED:
        raise Violation(f"largest component {largest:.2g}")
    return f"largest component {largest:.2g}"


KINDS: tuple[Cases, ...] = (BoxCases(), DeltaCases(), MaskCases(classes=1))
for situation in dict.fromkeys(case.name for kind in KINDS for case in kind.stuck()):
    _register_situation(situation)
