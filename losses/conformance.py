"""What every loss must satisfy, checked on any loss object, ours or a user's.

::

    for finding in check(MyLoss(beta=2.0)):
        print(finding.check, finding.problem or "ok")
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from .base import BoxLoss, MaskLoss

L = TypeVar("L")
MATCH_TOLERANCE = 1e-6
HALF_TYPES = (torch.float16, torch.bfloat16)


class ConformanceError(AssertionError):
    """A loss breaks its contract; the message says which part and on what input."""


@dataclass(frozen=True)
class Finding:
    """Outcome of one check.

    Attributes:
        check: name of the check, its function's name.
        problem: what is wrong, or None.
    """

    check: str
    problem: str | None


def check(loss: BoxLoss | MaskLoss) -> Iterator[Finding]:
    """Run every check that fits ``loss`` and yield one finding each.

    An exception that the loss raises is a finding, not an error.

    Raises:
        TypeError: ``loss`` is neither a box loss nor a mask loss.
    """
    if isinstance(loss, BoxLoss):
        for box_check in BOX_CHECKS:
            yield _run(box_check, loss)
    elif isinstance(loss, MaskLoss):
        for mask_check in MASK_CHECKS:
            yield _run(mask_check, loss)
    else:
        raise TypeError(f"expected an instance of BoxLoss or MaskLoss, got {loss!r}")


def _run(one: Callable[[L], None], loss: L) -> Finding:
    try:
        one(loss)
    except ConformanceError as error:
        return Finding(one.__name__, str(error))
    except Exception as error:
        return Finding(one.__name__, f"raised {type(error).__name__}: {error}")
    return Finding(one.__name__, None)


def _hold(condition: bool | Tensor, message: str) -> None:
    if not bool(condition):
        raise ConformanceError(message)


def _differentiate(
    loss: BoxLoss | MaskLoss, pred: Tensor, *rest: Tensor, case: str
) -> tuple[Tensor, Tensor]:
    """Value and gradient of the summed loss; both must be finite, the value one per row."""
    pred = pred.detach().clone().requires_grad_()
    value = loss(pred, *rest)
    _hold(
        value.shape == pred.shape[:1],
        f"{case}: expected {list(pred.shape[:1])} values, got shape {list(value.shape)}",
    )
    _hold(value.isfinite().all(), f"{case}: the loss is not finite: {value.tolist()}")
    value.sum().backward()
    _hold(pred.grad is not None, f"{case}: no gradient reaches the prediction")
    assert pred.grad is not None
    _hold(pred.grad.isfinite().all(), f"{case}: the gradient is not finite")
    return value.detach(), pred.grad


BOX_TARGET = torch.tensor([[10.0, 20.0, 50.0, 60.0]])
DEGENERATE_BOXES = {
    "zero size": [30.0, 30.0, 30.0, 30.0],
    "zero size on a corner": [10.0, 20.0, 10.0, 20.0],
    "zero width": [30.0, 25.0, 30.0, 55.0],
    "zero height": [15.0, 40.0, 45.0, 40.0],
    "inverted": [50.0, 60.0, 10.0, 20.0],
    "inverted in x": [50.0, 20.0, 10.0, 60.0],
    "identical": [10.0, 20.0, 50.0, 60.0],
    "touching": [50.0, 20.0, 90.0, 60.0],
    "disjoint": [100.0, 100.0, 140.0, 140.0],
    "huge": [-1e8, -1e8, 1e8, 1e8],
    "far away": [1e8, 1e8, 2e8, 2e8],
    "far away and inverted": [2e8, 2e8, 1e8, 1e8],
}


def box_values_have_shape_and_type(loss: BoxLoss) -> None:
    """[N, 4] gives [N] in float32, the same under autocast as without."""
    pred, target = BOX_TARGET.repeat(3, 1) + 2, BOX_TARGET.repeat(3, 1)
    value, _ = _differentiate(loss, pred, target, case="float32")
    _hold(value.dtype == torch.float32, f"float32 boxes give {value.dtype}")
    for dtype in HALF_TYPES:
        half, _ = _differentiate(loss, pred.to(dtype), target.to(dtype), case=str(dtype))
        _hold(half.dtype == torch.float32, f"{dtype} boxes give {half.dtype}")
        _hold(torch.allclose(half, value), f"{dtype} boxes are not computed in float32")
    with torch.autocast("cpu", torch.bfloat16):
        _hold(loss(pred, target).equal(value), "the value changes under autocast")


def box_match_costs_nothing(loss: BoxLoss) -> None:
    """A prediction that equals its target has loss 0."""
    target = torch.cat([BOX_TARGET, BOX_TARGET / 640, BOX_TARGET + 1000])
    value, _ = _differentiate(loss, target, target, case="identical boxes")
    _hold(value.abs().max() < MATCH_TOLERANCE, f"identical boxes cost {value.tolist()}")


def box_degenerate_is_finite(loss: BoxLoss) -> None:
    """Flat, inverted, far and huge predictions have a finite loss and gradient."""
    for case, box in DEGENERATE_BOXES.items():
        value, _ = _differentiate(loss, torch.tensor([box]), BOX_TARGET, case=case)
        _hold(value.item() >= 0, f"{case}: the loss is negative: {value.item()}")


def box_target_may_be_degenerate(loss: BoxLoss) -> None:
    """The same boxes are finite as targets, too."""
    for case, box in DEGENERATE_BOXES.items():
        target = torch.tensor([box])
        _differentiate(loss, BOX_TARGET, target, case=f"target {case}")
        _differentiate(loss, target, target, case=f"both {case}")


def box_empty_input_backpropagates(loss: BoxLoss) -> None:
    """No boxes give no values, and backward() works."""
    _differentiate(loss, torch.zeros(0, 4), torch.zeros(0, 4), case="no boxes")


def box_better_costs_less(loss: BoxLoss) -> None:
    """The nearer of two overlapping predictions has the lower loss."""
    steps = torch.tensor([[0.0], [2.0], [8.0], [20.0]])
    value, _ = _differentiate(loss, BOX_TARGET + steps, BOX_TARGET.repeat(4, 1), case="shifted")
    _hold((value.diff() > 0).all(), f"shifts of 0, 2, 8, 20 px cost {value.tolist()}")


def box_pairs_are_independent(loss: BoxLoss) -> None:
    """A pair has the same loss alone as among others."""
    pred = torch.tensor(list(DEGENERATE_BOXES.values()))
    together = loss(pred, BOX_TARGET.expand_as(pred))
    for i, row in enumerate(pred):
        alone = loss(row[None], BOX_TARGET)[0]
        _hold(torch.allclose(alone, together[i]), f"pair {i}: {alone} alone, {together[i]} not")


def _masks(n: int = 2, classes: int = 2, size: int = 6) -> tuple[Tensor, Tensor]:
    """Exclusive targets ``[n, classes, size, size]`` with background left, all pixels valid."""
    target = torch.zeros(n, classes, size, size)
    target[:, 0, : size // 2, : size // 2] = 1
    if classes > 1:
        target[:, 1, size // 2 :, size // 2 :] = 1
    return target, torch.ones(n, 1, size, size, dtype=torch.bool)


def mask_values_have_shape_and_type(loss: MaskLoss) -> None:
    """[N, C, H, W] gives [N] in float32, the same under autocast as without."""
    target, valid = _masks()
    logits = target * 2 - 0.5
    value, _ = _differentiate(loss, logits, target, valid, case="float32")
    _hold(value.dtype == torch.float32, f"float32 logits give {value.dtype}")
    for dtype in HALF_TYPES:
        half, _ = _differentiate(loss, logits.to(dtype), target, valid, case=str(dtype))
        _hold(half.dtype == torch.float32, f"{dtype} logits give {half.dtype}")
        _hold(torch.allclose(half, value), f"{dtype} logits are not computed in float32")
    with torch.autocast("cpu", torch.bfloat16):
        _hold(loss(logits, target, valid).equal(value), "the value changes under autocast")


def mask_match_costs_nothing(loss: MaskLoss) -> None:
    """Certain and correct logits have loss 0."""
    target, valid = _masks()
    value, _ = _differentiate(loss, target * 80 - 40, target, valid, case="perfect masks")
    _hold(value.abs().max() < MATCH_TOLERANCE, f"perfect masks cost {value.tolist()}")


def mask_degenerate_is_finite(loss: MaskLoss) -> None:
    """Saturated logits and empty, full or wholly ignored masks have a finite loss and gradient."""
    some, valid = _masks()
    full = torch.zeros_like(some)
    full[:, 0] = 1
    targets = {"some": some, "empty": torch.zeros_like(some), "full": full}
    for name, target in targets.items():
        for level in (0.0, 1e4, -1e4, 65504.0, -65504.0):
            for ignored in (False, True):
                case = f"{name} target, logits {level:g}" + (", all ignored" if ignored else "")
                logits, seen = torch.full_like(target, level), valid & (not ignored)
                value, gradient = _differentiate(loss, logits, target, seen, case=case)
                _hold(not ignored or not value.any(), f"{case}: costs {value.tolist()}, not 0")
                _hold(not ignored or not gradient.any(), f"{case}: has a gradient")


def mask_ignored_pixels_do_not_matter(loss: MaskLoss) -> None:
    """Neither logits nor target of an ignored pixel change the loss or any gradient."""
    target, valid = _masks()
    valid[:, :, 1:4, 2:5] = False
    logits = torch.linspace(-3, 3, target.numel()).reshape(target.shape)
    before, gradient = _differentiate(loss, logits, target, valid, case="some ignored")
    _hold(not gradient[~valid.expand_as(gradient)].any(), "ignored pixels have a gradient")
    other_logits = logits.where(valid, 1e4)
    other_target = target.where(valid, torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1))
    after, other = _differentiate(loss, other_logits, other_target, valid, case="some ignored")
    _hold(torch.allclose(before, after), "ignored pixels change the loss")
    _hold(torch.allclose(gradient, other), "ignored pixels change the gradient of others")


def mask_empty_input_backpropagates(loss: MaskLoss) -> None:
    """No images give no values, and backward() works."""
    target, valid = _masks(n=0)
    _differentiate(loss, target, target, valid, case="no images")


def mask_better_costs_less(loss: MaskLoss) -> None:
    """The more certain the correct logits, the lower the loss; wrong ones cost most."""
    target, valid = _masks()
    losses = [loss((target * 2 - 1) * level, target, valid).sum() for level in (6, 2, 0.5, -2)]
    value = torch.stack(losses)
    _hold((value.diff() > 0).all(), f"logits of 6, 2, 0.5, -2 times the truth cost {losses}")


BOX_CHECKS: tuple[Callable[[BoxLoss], None], ...] = (
    box_values_have_shape_and_type,
    box_match_costs_nothing,
    box_degenerate_is_finite,
    box_target_may_be_degenerate,
    box_empty_input_backpropagates,
    box_better_costs_less,
    box_pairs_are_independent,
)

MASK_CHECKS: tuple[Callable[[MaskLoss], None], ...] = (
    mask_values_have_shape_and_type,
    mask_match_costs_nothing,
    mask_degenerate_is_finite,
    mask_ignored_pixels_do_not_matter,
    mask_empty_input_backpropagates,
    mask_better_costs_less,
)
