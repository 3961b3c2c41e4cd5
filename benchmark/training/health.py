"""How healthy a training is: what its steps add up to, and positives that get no gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmark.experiment.loss_parts import LossParts

Counter = Callable[..., Tensor]
"""``(gradient, target, ...) -> int64 [2]``: positives whose gradient is zero, and positives."""


VANISHING = 1e-12
"""Below it a box's gradient counts as 0. Formulas that keep clear of a division by zero leave
traces of some 1e-19 there; a box that is pulled anywhere gets 1 / (side · positives) or so."""


def boxes_without_gradient(gradient: Tensor, target: Tensor) -> Tensor:
    """Of boxes ``[N, 4]``, int64 ``[2]``: those without gradient in all four numbers, and N.

    None means below :data:`VANISHING` in size.
    """
    lost = (gradient.abs() < VANISHING).all(-1).sum()
    return torch.stack([lost, torch.full_like(lost, len(gradient))])


def pixels_without_gradient(gradient: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Of the foreground pixels that count, int64 ``[2]``: those whose gradient is 0, and all.

    Args:
        gradient, target: ``[N, C, H, W]``; a pixel counts once for each class that it has.
        valid: bool ``[N, 1, H, W]``.
    """
    positive = (target > 0) & valid
    return torch.stack([(positive & (gradient == 0)).sum(), positive.sum()])


class Watch:
    """Counts the positives that a loss under test gives no gradient; counts stay on the device.

    Args:
        counter: called with the gradient of the prediction and the loss's other arguments.
    """

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._counts: Tensor | None = None

    def over(self, loss: Any) -> Any:
        """The loss, watched; of losses by place those of boxes are, whose positives are alike."""
        if isinstance(loss, LossParts):
            return loss.each(lambda part: self.over(part) if hasattr(part, "space") else part)
        return WatchedLoss(loss, self._count)

    def _count(self, gradient: Tensor, *truth: Tensor) -> None:
        found = self._counter(gradient, *truth)
        self._counts = found if self._counts is None else self._counts + found

    def take(self) -> float:
        """Share of the positives since the last call that got no gradient; NaN without any."""
        counts, self._counts = self._counts, None
        lost, positives = (0, 0) if counts is None else counts.tolist()
        return lost / positives if positives else math.nan


class WatchedLoss:
    """A loss whose gradient is shown to ``watch(gradient, *truth)``.

    It is called like the loss and has its attributes. The prediction goes to the loss through a
    view, whose gradient is that of this loss alone; values and gradients stay what they are, to
    the bit.
    """

    def __init__(self, loss: Any, watch: Callable[..., None]) -> None:
        self._loss = loss
        self._watch = watch

    def __call__(self, pred: Tensor, *truth: Tensor) -> Tensor:
        view = pred.view_as(pred)
        if view.requires_grad:
            view.register_hook(lambda gradient: self._watch(gradient, *truth))
        return self._loss(view, *truth)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loss, name)


class LateReading:
    """Reads a number from the device without waiting for it: a little late."""

    def __init__(self, device: torch.device) -> None:
        self._waits = device.type == "cuda"
        self._host = torch.zeros((), pin_memory=self._waits)
        self._arrived: torch.cuda.Event | None = None
        self._last: float | None = None

    def __call__(self, value: Tensor) -> float | None:
        """The newest of the values given that has arrived; None before the first has.

        On the CPU that is ``value`` itself.
        """
        if not self._waits:
            return float(value)
        if self._arrived is None or self._arrived.query():
            if self._arrived is not None:
                self._last = float(self._host)
            self._host.copy_(value, non_blocking=True)
            self._arrived = torch.cuda.Event()
            self._arrived.record()
        return self._last


class StepSums:
    """What the steps of an epoch add up to; on the device, so that no step waits for it.

    Args:
        scaled: whether a loss scaler skips the steps whose gradient is not finite.
    """

    def __init__(self, device: torch.device, scaled: bool) -> None:
        self.scaled = scaled
        self.steps = 0
        self.sums: dict[str, Tensor] = {}
        self.largest = torch.tensor(-math.inf, device=device)
        self.nonfinite = torch.zeros((), dtype=torch.int64, device=device)
        self.first_bad = torch.tensor(math.inf, device=device)

    def add(self, loss: Tensor, norm: Tensor, parts: dict[str, Tensor]) -> None:
        """Count a step: its loss, the length of its gradient before clipping, the loss's parts."""
        self.steps += 1
        loss, norm = loss.detach(), norm.detach()
        named = {"loss_total": loss, "grad_norm": norm}
        named |= {f"loss/{name}": value.detach() for name, value in parts.items()}
        for name, value in named.items():
            self.sums[name] = self.sums.get(name, 0) + value
        finite_norm = torch.isfinite(norm)
        finite = torch.isfinite(loss) & finite_norm
        self.nonfinite += ~finite
        self.largest = torch.maximum(self.largest, torch.where(finite_norm, norm, -math.inf))
        # Steps that the scaler skips do no harm, so there only the loss counts.
        sound = torch.isfinite(loss) if self.scaled else finite
        here = torch.where(sound, math.inf, float(self.steps))
        self.first_bad = torch.minimum(self.first_bad, here)

    def means(self) -> dict[str, float]:
        """Means over the steps, the largest finite gradient norm, and ``nonfinite_steps``."""
        largest = float(self.largest)
        return {
            **{name: float(total) / self.steps for name, total in self.sums.items()},
            "grad_norm_max": largest if math.isfinite(largest) else math.nan,
            "nonfinite_steps": int(self.nonfinite),
        }

    def diverged_at(self) -> int | None:
        """The first step (from 1) from which training cannot recover, or None."""
        step = float(self.first_bad)
        return int(step) if math.isfinite(step) else None
