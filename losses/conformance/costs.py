"""Checks of a loss's value."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..base import BoxLoss
from .cases import Case
from .evaluation import cases_for, deviation, evaluate, precise, value_of
from .findings import AnyLoss, Declared, Violation, joined, raised, register

TOLERANCE = 1e-6
"""Rounding that is forgiven where a value should be 0 or not negative."""

PATH_STEPS = 20


@register("shape", "hard")
def has_shape(loss: AnyLoss) -> str:
    """One value a pair or image, and a gradient of the prediction's shape."""
    case = cases_for(loss).ordinary()
    result = evaluate(loss, case)
    return f"{len(case.pred)} items give {list(result.value.shape)}"


@register("finite", "hard")
def is_finite(loss: AnyLoss) -> str:
    """Value and gradient are finite on every degenerate input."""
    cases = cases_for(loss).degenerate()
    flaws = [f"{case.name}: {flaw}" for case in cases if (flaw := _flaw(loss, case))]
    if flaws:
        raise Violation(f"{len(flaws)} of {len(cases)} inputs: {joined(flaws)}")
    return f"{len(cases)} inputs"


def _flaw(loss: AnyLoss, case: Case) -> str:
    try:
        return evaluate(loss, case).flaw()
    except Violation as violation:
        return str(violation).removeprefix(f"{case.name}: ")
    except Exception as error:  # a stranger's loss may raise anything
        return raised(error)


@register("range", "hard", adapted="soft")
def is_not_negative(loss: AnyLoss) -> str:
    """No finite value is below 0."""
    cases = cases_for(loss)
    values = {case.name: _finite(loss, case) for case in [cases.ordinary(), *cases.degenerate()]}
    seen = torch.cat(list(values.values()))
    if not len(seen):
        raise Violation("no value is finite")
    told = f"{seen.min():.3g} to {seen.max():.3g} over {len(seen)} inputs"
    if not loss.non_negative:
        raise Declared(f"declares that it may be negative; {told}")
    low = [f"{name}: {v.min():.3g}" for name, v in values.items() if (v < -TOLERANCE).any()]
    if low:
        raise Violation(f"{told}; negative for {joined(low)}")
    return told


def _finite(loss: AnyLoss, case: Case) -> Tensor:
    """The finite values; none where the loss fails, which is another check's matter."""
    try:
        value = value_of(loss, case).detach()
    except Exception:
        return torch.zeros(0)
    return value[value.isfinite()]


@register("zero at the match", "hard", adapted="soft")
def match_costs_nothing(loss: AnyLoss) -> str:
    """A perfect prediction costs 0."""
    costs = {case.name: value_of(loss, case).abs().max() for case in cases_for(loss).perfect()}
    told = joined([f"{name} costs {cost:.3g}" for name, cost in costs.items()])
    if not loss.zero_at_match:
        raise Declared(f"declares that a match may cost something; {told}")
    if not all(cost < TOLERANCE for cost in costs.values()):
        raise Violation(told)
    return told


@register("better costs less", "hard", adapted="soft")
def better_costs_less(loss: AnyLoss) -> str:
    """Worse predictions never cost less than clearly better ones, and the worst costs more."""
    cases = cases_for(loss).worsening()
    if not loss.zero_at_match:  # then too much certainty may cost something
        cases = cases[1:]
    costs = torch.stack([value_of(loss, case).sum().detach() for case in cases])
    told = joined([f"{case.name}: {cost:.3g}" for case, cost in zip(cases, costs, strict=True)])
    if not ((costs.diff() >= -TOLERANCE).all() and costs[-1] > costs[0]):
        raise Violation(told)
    return told


@register("monotone", "soft")
def falls_on_the_way(loss: AnyLoss) -> str:
    """The value never rises along a straight line from a random prediction to the target."""
    cases = cases_for(loss)
    case = precise(loss, cases.ordinary())
    way = cases.best(case) - case.pred
    places = [case.at(case.pred + way * step / PATH_STEPS) for step in range(PATH_STEPS + 1)]
    values = torch.stack([evaluate(loss, at, alone=loss.depends_on_batch).value for at in places])
    rises = values.diff(dim=0)
    scale = values[0].abs().clamp(min=TOLERANCE)
    wrong = ~(rises <= 1e-6 * scale)  # a nan is wrong, too
    if wrong.any():
        share = wrong.double().mean().item()
        worst = (rises / scale).nan_to_num(torch.inf).max().item()
        raise Violation(f"rises in {share:.1%} of {wrong.numel()} steps, by {worst:.2g} at most")
    return f"{wrong.numel()} steps"


@register("symmetry", "information")
def is_symmetric(loss: AnyLoss) -> str:
    """What changes if prediction and target (of masks: foreground and background) are swapped."""
    case = precise(loss, cases_for(loss).ordinary())
    if isinstance(loss, BoxLoss):
        swapped = Case(case.name, case.target, case.pred)
    else:  # of one class, since a pixel's classes may exclude each other
        case = Case(case.name, case.pred[:, :1], case.target[:, :1], case.valid)
        swapped = Case(case.name, -case.pred, 1 - case.target, case.valid)
    changes = deviation(value_of(loss, swapped), value_of(loss, case))
    return f"changes by {changes:.2g} of the largest value"


def in_pixels(loss: AnyLoss) -> bool:
    """Whether the loss takes boxes as corners in pixels."""
    return isinstance(loss, BoxLoss) and loss.space == "boxes"


@register("translation", "information", applies=in_pixels)
def is_translation_invariant(loss: AnyLoss) -> str:
    """What changes if both boxes move by the same way."""
    return _change(loss, lambda boxes: boxes + boxes.new_tensor([300.0, -200.0, 300.0, -200.0]))


@register("scale", "information", applies=in_pixels)
def is_scale_invariant(loss: AnyLoss) -> str:
    """What changes if both boxes grow by the same factor."""
    return _change(loss, lambda boxes: boxes * 8)


def _change(loss: AnyLoss, move: Callable[[Tensor], Tensor]) -> str:
    case = precise(loss, cases_for(loss).ordinary())
    moved = Case(case.name, move(case.pred), move(case.target))
    changes = deviation(value_of(loss, moved), value_of(loss, case))
    return f"changes by {changes:.2g} of the largest value"
