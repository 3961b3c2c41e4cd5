"""The experiment's loop beside the loop that one would write first.

The plain loop keeps one tensor of boxes that wants a gradient, calls a loss made of ordinary
operations on all of them at once, and lets autograd find the way back to centre and size.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pandas as pd
import torch
import torchvision.ops
from torch import Tensor

from benchmark.simulation.experiment import (
    BLOCK_POINTS,
    Settings,
    box_loss,
    one_thread,
    simulate,
)
from benchmark.simulation.protocol import STEPS, anchor_centres, cases, learning_rate

ROUNDS = 3
SETTINGS = Settings(points=BLOCK_POINTS["cpu"])
"""Of the timed cases: one block."""

PlainLoss = Callable[[Tensor, Tensor], Tensor]


def _iou(pred: Tensor, target: Tensor) -> Tensor:
    low, high = torch.maximum(pred, target)[:, :2], torch.minimum(pred, target)[:, 2:]
    inner = (high - low).clamp(min=0).prod(1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (pred, target)]
    return inner / (areas[0] + areas[1] - inner)


PLAIN: dict[str, PlainLoss] = {
    "iou": lambda pred, target: 1 - _iou(pred, target),
    "giou": torchvision.ops.generalized_box_iou_loss,
    "diou": torchvision.ops.distance_box_iou_loss,
    "ciou": torchvision.ops.complete_box_iou_loss,
}
"""Losses made of ordinary operations, by the name of ours that is the same."""


def compare_plain(
    losses: dict[str, str], settings: Settings, on_round: Callable[[], None] = lambda: None
) -> pd.DataFrame:
    """Time both loops on the same cases, in turn, with one thread each on the CPU.

    Args:
        losses: the text of each loss by its label; one that :data:`PLAIN` does not have is taken
            as it is into the plain loop.
        settings: of the cases; :data:`SETTINGS` but for tests.

    Returns:
        One row a loss: loss, cases, seconds and plain_seconds (the least of three rounds), ratio
        (plain / ours, the median of the rounds).
    """
    rows = []
    for label, text in losses.items():
        plain = PLAIN.get(text) or box_loss(text)
        rounds = []
        for _ in range(ROUNDS):
            with one_thread():
                rounds.append((simulate(text, settings).seconds, _seconds_plain(plain, settings)))
            on_round()
        times = pd.DataFrame(rounds, columns=["seconds", "plain_seconds"])
        ratio = (times["plain_seconds"] / times["seconds"]).median()
        rows.append({"loss": label, "cases": settings.cases, **times.min(), "ratio": ratio})
    return pd.DataFrame(rows)


def _seconds_plain(loss: PlainLoss, settings: Settings) -> float:
    begun = time.perf_counter()
    centres = anchor_centres(settings.points, settings.seed)
    start, target = (part.t().to(torch.float32).contiguous() for part in cases(centres))
    plain_descent(loss, start, target)
    return time.perf_counter() - begun


def plain_descent(loss: PlainLoss, start: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The experiment as one would write it first.

    Args:
        start, target: ``[n, 4]``, centre x, centre y, width, height.

    Returns:
        The last boxes ``[n, 4]``, and the summed error at the start and after each step
        ``[201]``.
    """
    state = start.clone().requires_grad_()
    target_corners = _corners(target)
    errors = [(state.detach() - target).abs().sum()]
    for step in range(1, STEPS + 1):
        pred = _corners(state)
        (gradient,) = torch.autograd.grad(loss(pred, target_corners).sum(), state)
        with torch.no_grad():
            factor = learning_rate(step) * (2 - _iou(pred, target_corners))
            state -= factor[:, None] * gradient
            errors.append((state - target).abs().sum())
    return state.detach(), torch.stack(errors)


def _corners(boxes: Tensor) -> Tensor:
    return torch.cat((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2), dim=1)
