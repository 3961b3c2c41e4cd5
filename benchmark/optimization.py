"""Optimisers and learning-rate schedules, by name.

torch is imported when one is made: experiment files are checked against these names, also by
commands that train nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from torch.optim import lr_scheduler


class Settings(Protocol):
    """The train settings that are read here; an experiment's ``Train`` has them."""

    @property
    def optimizer(self) -> str: ...

    @property
    def lr(self) -> float: ...

    @property
    def weight_decay(self) -> float: ...

    @property
    def momentum(self) -> float: ...

    @property
    def schedule(self) -> str: ...


def _adamw(groups: Iterable[Any], train: Settings) -> torch.optim.Optimizer:
    import torch

    return torch.optim.AdamW(groups, lr=train.lr)


def _sgd(groups: Iterable[Any], train: Settings) -> torch.optim.Optimizer:
    import torch

    return torch.optim.SGD(groups, lr=train.lr, momentum=train.momentum)


def _one_cycle(optimizer: torch.optim.Optimizer, lr: float, steps: int) -> lr_scheduler.LRScheduler:
    from torch.optim.lr_scheduler import OneCycleLR

    # Momentum stays where the experiment file puts it; only the learning rate moves.
    return OneCycleLR(optimizer, max_lr=lr, total_steps=steps, pct_start=0.15, cycle_momentum=False)


def _step(optimizer: torch.optim.Optimizer, lr: float, steps: int) -> lr_scheduler.LRScheduler:
    from torch.optim.lr_scheduler import MultiStepLR

    milestones = [max(1, steps * 2 // 3), max(2, steps * 8 // 9)]
    return MultiStepLR(optimizer, milestones=milestones, gamma=0.1)


def _constant(optimizer: torch.optim.Optimizer, lr: float, steps: int) -> lr_scheduler.LRScheduler:
    from torch.optim.lr_scheduler import ConstantLR

    return ConstantLR(optimizer, factor=1.0, total_iters=0)


OPTIMIZERS: dict[str, Callable[[Iterable[Any], Settings], torch.optim.Optimizer]] = {
    "adamw": _adamw,
    "sgd": _sgd,
}

SCHEDULES: dict[str, Callable[[torch.optim.Optimizer, float, int], lr_scheduler.LRScheduler]] = {
    "one_cycle": _one_cycle,
    "step": _step,
    "constant": _constant,
}


def make_optimizer(model: torch.nn.Module, train: Settings) -> torch.optim.Optimizer:
    """The optimiser over all trainable weights; vectors (norms, biases) take no weight decay."""
    weights = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in weights if p.ndim > 1], "weight_decay": train.weight_decay},
        {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return OPTIMIZERS[train.optimizer](groups, train)


def make_schedule(
    optimizer: torch.optim.Optimizer, train: Settings, steps: int
) -> lr_scheduler.LRScheduler:
    """The schedule over all ``steps`` optimiser steps of a run; step it after each of them."""
    return SCHEDULES[train.schedule](optimizer, train.lr, steps)
