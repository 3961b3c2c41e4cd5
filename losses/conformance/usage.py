"""Checks of how a loss may be called: types, batches, ignored pixels, torch's transformations."""

from __future__ import annotations

import torch
from torch import Tensor

from ..adapters import AdaptedBoxLoss, AdaptedMaskLoss
from ..base import MaskLoss
from .cases import Case
from .evaluation import (
    Result,
    cases_for,
    deviation,
    evaluate,
    gradient_of,
    precise,
    unchanged,
    value_of,
)
from .findings import AnyLoss, Declared, Violation, is_adapted, joined, raised, register

HALF_TYPES = (torch.float16, torch.bfloat16)
SAME = 1e-4
"""Largest relative difference of two float32 results that should be equal."""


@register("half precision", "hard")
def is_finite_in_half_precision(loss: AnyLoss) -> str:
    """Finite value and gradient in float16 and bfloat16, without autocast, on common inputs."""
    cases = cases_for(loss)
    flaws, errors = [], []
    for case in (cases.ordinary(), cases.large()):
        for dtype in HALF_TYPES:
            half = case.to(dtype)
            name = f"{str(dtype).removeprefix('torch.')}, {case.name}"
            try:
                result = evaluate(loss, half)
            except Exception as error:  # a stranger's loss may raise anything
                flaws.append(f"{name}: {raised(error)}")
                continue
            if result.flaw():
                flaws.append(f"{name}: {result.flaw()}")
            else:
                errors.append(deviation(result.value, value_of(loss, precise(loss, half))))
    if flaws:
        raise Violation(joined(flaws))
    return f"off by {max(errors):.2g} of the float64 value"


@register("float32 inside", "hard", adapted="soft")
def computes_in_float32(loss: AnyLoss) -> str:
    """Half-precision input gives the float32 value of the same numbers; float64 stays float64."""
    case = cases_for(loss).ordinary()
    for dtype in HALF_TYPES:
        half = case.to(dtype)
        value, expected = value_of(loss, half), value_of(loss, half.to(torch.float32))
        off = deviation(value, expected)
        if value.dtype != torch.float32 or not off <= SAME:
            raise Violation(f"{dtype} gives {value.dtype}, off by {off:.2g} of the float32 value")
    double = value_of(loss, case.to(torch.float64))
    if double.dtype != torch.float64:
        raise Violation(f"torch.float64 gives {double.dtype}")
    return "float16, bfloat16 and float64"


@register("autocast", "hard", adapted="soft")
def is_unmoved_by_autocast(loss: AnyLoss) -> str:
    """bfloat16 autocast changes neither value nor gradient."""
    case = cases_for(loss).ordinary()
    plain = evaluate(loss, case)
    pred = case.pred.detach().clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = value_of(loss, case.at(pred))
    result = Result(value.detach(), gradient_of(value, pred, case.name))
    if result.flaw():
        raise Violation(result.flaw())
    off = max(deviation(result.value, plain.value), deviation(result.gradient, plain.gradient))
    if not off <= SAME:
        raise Violation(f"off by {off:.2g}")
    return f"off by {off:.2g}"


@register("batch independence", "hard")
def is_independent_of_the_batch(loss: AnyLoss) -> str:
    """An item costs the same alone as among others; a reduced batch is a mean or sum of items."""
    case = cases_for(loss).ordinary()
    if isinstance(loss, AdaptedBoxLoss | AdaptedMaskLoss) and loss.reduces:
        return _reduces_fairly(loss, case)
    together, alone = evaluate(loss, case), evaluate(loss, case, alone=True)
    off = deviation(together.value, alone.value)
    off = max(off, deviation(together.gradient, alone.gradient))
    told = f"off by {off:.2g}"
    if loss.depends_on_batch:
        raise Declared(f"declares that it depends on other items; {told}")
    if not off <= SAME:
        raise Violation(told)
    return told


def _reduces_fairly(loss: AdaptedBoxLoss | AdaptedMaskLoss, case: Case) -> str:
    """Whether the loss's own reduction is the mean or the sum over its items."""
    whole = loss.original(case.pred, case.target).detach().reshape(())
    items = value_of(loss, case).detach()
    off = {"mean": deviation(whole, items.mean()), "sum": deviation(whole, items.sum())}
    how, least = min(off.items(), key=lambda pair: pair[1])
    if not least <= SAME:
        told = f"the batch costs {whole:.3g}, its items {items.mean():.3g} in the mean"
        raise Violation(f"pools the batch: {told}", level="soft")
    return f"the {how} of its items"


@register("empty input", "hard")
def empty_input_backpropagates(loss: AnyLoss) -> str:
    """No items give no values, or a finite one if reduced, and backward() works."""
    case = cases_for(loss).empty()
    if not isinstance(loss, AdaptedBoxLoss | AdaptedMaskLoss):
        evaluate(loss, case)
        return "gives no values"
    try:
        return _empty_original(loss, case)
    except Exception as error:  # a stranger's loss may raise anything
        told = str(error) if isinstance(error, Violation) else raised(error)
        # The mean of nothing is commonly nan: no surprise in a loss that takes one.
        raise Violation(told, level="soft" if loss.reduces else None) from None


def _empty_original(loss: AdaptedBoxLoss | AdaptedMaskLoss, case: Case) -> str:
    pred = case.pred.detach().clone().requires_grad_()
    value = loss.original(pred, case.target)
    gradient_of(value, pred, case.name)
    if not value.isfinite().all():
        raise Violation(f"gives {value.sum().item()}")
    return f"gives a tensor of shape {list(value.shape)}"


def takes_valid(loss: AnyLoss) -> bool:
    """Whether the loss is told which pixels to ignore."""
    return isinstance(loss, MaskLoss) and not is_adapted(loss)


@register("ignored pixels", "hard", applies=takes_valid)
def ignored_pixels_have_no_influence(loss: AnyLoss) -> str:
    """Neither logits nor target of an ignored pixel change the value or any gradient."""
    case = cases_for(loss).ordinary()
    valid = torch.ones_like(case.target[:, :1], dtype=torch.bool)
    valid[:, :, 2:8, 5:11] = False
    valid[-1] = False
    some = Case("some ignored", case.pred, case.target, valid)
    before = evaluate(loss, some)
    if before.gradient[~valid.expand_as(before.gradient)].any():
        raise Violation("ignored pixels have a gradient")
    blind = value_of(loss, Case("all ignored", case.pred, case.target, valid & False))
    if blind.any():
        raise Violation(f"images that are wholly ignored cost {blind.max():.3g}")
    other_target = case.target.where(valid, case.target.roll(1, 1).logical_not().float())
    for logit in (1e4, -1e4):
        other = Case(some.name, case.pred.where(valid, logit), other_target, valid)
        after = evaluate(loss, other)
        if not deviation(after.value, before.value) <= SAME:
            raise Violation("ignored pixels change the value")
        if not deviation(after.gradient, before.gradient) <= SAME:
            raise Violation("ignored pixels change the gradient of others")
    return "no influence"


@register("torch.func", "soft")
def works_with_torch_func(loss: AnyLoss) -> str:
    """torch.func.vmap of torch.func.grad gives the gradients that backward() gives."""
    case = cases_for(loss).ordinary()

    def single(pred: Tensor, *rest: Tensor) -> Tensor:
        return loss(pred[None], *(tensor[None] for tensor in rest))[0]

    with unchanged(loss):
        gradient = torch.func.vmap(torch.func.grad(single))(case.pred, *case.rest)
    off = deviation(gradient, evaluate(loss, case, alone=True).gradient)
    if not off <= SAME:
        raise Violation(f"off by {off:.2g}")
    return f"off by {off:.2g}"


@register("torch.compile", "hard", adapted="soft")
def compiles_without_a_break(loss: AnyLoss) -> str:
    """torch.compile takes it in one piece (backend aot_eager) and changes nothing."""
    case = cases_for(loss).ordinary()
    plain = evaluate(loss, case)
    pred = case.pred.detach().clone().requires_grad_()
    torch.compiler.reset()
    try:
        with unchanged(loss):
            value = torch.compile(loss, fullgraph=True, backend="aot_eager")(pred, *case.rest)
        gradient = gradient_of(value, pred, case.name)
    finally:
        torch.compiler.reset()
    off = max(deviation(value.detach(), plain.value), deviation(gradient, plain.gradient))
    if not off <= SAME:
        raise Violation(f"off by {off:.2g}")
    return f"off by {off:.2g}"
