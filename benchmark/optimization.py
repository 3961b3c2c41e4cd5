"""Optimisers and learning-rate schedules, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

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


OPTIMIZERS: dict[str, Callable[[Iterable[Any], Settings], torch.optim.Optimizer]] = {
    "adamw": lambda groups, train: torch.optim.AdamW(groups, lr=train.lr),
    "sgd": lambda groups, train: torch.optim.SGD(groups, lr=train.lr, momentum=train.momentum),
}

SCHEDULES: dict[str, Callable[[torch.optim.Optimizer, float, int], lr_scheduler.LRScheduler]] = {
    # Momentum stays where the experiment file puts it; only the learning rate moves.
    "one_cycle": lambda optimizer, lr, steps: lr_scheduler.OneCycleLR(
        optimizer, max_lr=lr, total_steps=steps, pct_start=0.15, cycle_momentum=False
    ),
    "step": lambda optimizer, lr, steps: lr_scheduler.MultiStepLR(
        optimizer, milestones=[max(1, steps * 2 // 3), max(2, steps * 8 // 9)], gamma=0.1
    ),
    "constant": lambda optimizer, lr, steps: lr_scheduler.ConstantLR(
        optimizer, factor=1.0, total_iters=0
    ),
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
