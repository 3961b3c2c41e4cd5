"""Values and gradients of losses at chosen predictions, in float64 and by autograd."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.experiment.loss_spec import NamedLoss
from benchmark.options import UserError
from losses import BoxLoss

Array = NDArray[np.float64]


def box_loss(named: NamedLoss, pred: Array, target: Array) -> tuple[Array, Array]:
    """Loss of each predicted box, and its gradient.

    Args:
        named: a box loss. One that works on encoded boxes gets (Δcx/w*, Δcy/h*, ln w/w*,
            ln h/h*), the encoding of R-CNN with the target for anchor.
        pred: ``[N, 4]``, centre x, centre y, width, height in pixels.
        target: ``[4]``, the same.

    Returns:
        The values ``[N]`` and the gradient ``[N, 4]`` with respect to ``pred``, per pixel.

    Raises:
        UserError: the loss raised an exception; the message names it.
    """
    assert isinstance(named.loss, BoxLoss)
    encode = ENCODINGS[named.loss.space]
    aim = torch.from_numpy(target).expand(len(pred), 4)

    def values(loss: Callable[..., Tensor], x: Tensor, aim: Tensor) -> Tensor:
        return loss(*encode(x, aim))

    return _evaluate(named, values, torch.from_numpy(pred), aim)


def mask_loss(named: NamedLoss, logits: Array, target: Array) -> tuple[Array, Array]:
    """Loss of each predicted mask of one class, and its gradient.

    Args:
        named: a mask loss.
        logits: ``[N, H, W]``.
        target: ``[N, H, W]``, 0 or 1.

    Returns:
        The values ``[N]`` and the gradient ``[N, H, W]`` with respect to the logits.

    Raises:
        UserError: the loss raised an exception; the message names it.
    """

    def values(loss: Callable[..., Tensor], x: Tensor, aim: Tensor) -> Tensor:
        return loss(x[:, None], aim[:, None], torch.ones_like(x[:, None], dtype=torch.bool))

    return _evaluate(named, values, torch.from_numpy(logits), torch.from_numpy(target))


def _evaluate(
    named: NamedLoss,
    values: Callable[[Callable[..., Tensor], Tensor, Tensor], Tensor],
    pred: Tensor,
    target: Tensor,
) -> tuple[Array, Array]:
    """Values and gradients; each row by itself where the others would change its value."""
    x = pred.to(torch.float64).requires_grad_()
    aim = target.to(torch.float64)
    rows = range(len(x)) if named.loss.depends_on_batch else [slice(None)]
    parts = [slice(row, row + 1) if isinstance(row, int) else row for row in rows]
    try:
        # A copy each, so that no point of a curve knows of the points before it.
        value = torch.cat([values(copy.deepcopy(named.loss), x[part], aim[part]) for part in parts])
        (gradient,) = torch.autograd.grad(value.sum(), x)
    except Exception as error:
        raise UserError(f"loss '{named.label}' failed on an ordinary prediction: {error}") from None
    return value.detach().numpy(), gradient.numpy()


def _corners(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both boxes as x1, y1, x2, y2."""
    first, second = (
        torch.cat([box[:, :2] - box[:, 2:] / 2, box[:, :2] + box[:, 2:] / 2], 1)
        for box in (pred, target)
    )
    return first, second


def _deltas(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The prediction encoded relative to the target, and the target's own encoding, zeros."""
    centre = (pred[:, :2] - target[:, :2]) / target[:, 2:]
    size = (pred[:, 2:] / target[:, 2:]).log()
    return torch.cat([centre, size], 1), torch.zeros_like(target)


ENCODINGS: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "boxes": _corners,
    "deltas": _deltas,
}
