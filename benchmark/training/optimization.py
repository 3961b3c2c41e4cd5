"""Optimisers and learning-rate schedules, by name.

torch is imported when one is made: experiment files are checked against these names, also by
commands that train nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from torch.optim import lr_scheduler

Groups = list[dict[str, Any]]
"""Of parameters, as optimisers take them."""


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

    @property
    def backbone_lr(self) -> float: ...


def _adamw(groups: Groups, train: Settings) -> torch.optim.Optimizer:
    import torch

    return torch.optim.AdamW(groups, lr=train.lr, fused=_fused(groups))


def _sgd(groups: Groups, train: Settings) -> torch.optim.Optimizer:
    import torch

    return torch.optim.SGD(groups, lr=train.lr, momentum=train.momentum, fused=_fused(groups))


def _fused(groups: Groups) -> bool | None:
    """On CUDA one kernel updates all weights, and a loss scaler leaves a bad step out by itself.

    Otherwise it would read on the host whether the gradient was finite, and wait for it.
    """
    return True if any(p.is_cuda for group in groups for p in group["params"]) else None


def _one_cycle(optimizer: torch.optim.Optimizer, steps: int) -> lr_scheduler.LRScheduler:
    from torch.optim.lr_scheduler import OneCycleLR

    peaks = [group["lr"] for group in optimizer.param_groups]
    # Momentum stays where the experiment file puts it; only the learning rate moves.
    return OneCycleLR(optimizer, peaks, total_steps=steps, pct_start=0.15, cycle_momentum=False)


def _step(optimizer: torch.optim.Optimizer, steps: int) -> lr_scheduler.LRScheduler:
    from torch.optim.lr_scheduler import MultiStepLR

    milestones = [max(1, steps * 2 // 3), max(2, steps * 8 // 9)]
    return MultiStepLR(optimizer, milestones=milestones, gamma=0.1)


def _constant(optimizer: torch.optim.Optimizer, steps: int) -> lr_scheduler.LRScheduler:
    from torch.optim.lr_scheduler import ConstantLR

    return ConstantLR(optimizer, factor=1.0, total_iters=0)


OPTIMIZERS: dict[str, Callable[[Groups, Settings], torch.optim.Optimizer]] = {
    "adamw": _adamw,
    "sgd": _sgd,
}

SCHEDULES: dict[str, Callable[[torch.optim.Optimizer, int], lr_scheduler.LRScheduler]] = {
    "one_cycle": _one_cycle,
    "step": _step,
    "constant": _constant,
}


def make_optimizer(
    model: torch.nn.Module, train: Settings, backbone: Collection[torch.nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """The optimiser over all trainable weights; vectors (norms, biases) take no weight decay.

    Args:
        backbone: weights of the model whose learning rate is ``train.backbone_lr`` times that of
            the others. The groups of the others come first.
    """
    slower = {id(p) for p in backbone} if train.backbone_lr != 1 else set()
    weights = [p for p in model.parameters() if p.requires_grad]
    groups = _decayed([p for p in weights if id(p) not in slower], train.weight_decay)
    if slower:
        own = _decayed([p for p in weights if id(p) in slower], train.weight_decay)
        groups += [{**group, "lr": train.lr * train.backbone_lr} for group in own]
    return OPTIMIZERS[train.optimizer](groups, train)


def _decayed(weights: list[torch.nn.Parameter], weight_decay: float) -> Groups:
    return [
        {"params": [p for p in weights if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
    ]


def make_schedule(
    optimizer: torch.optim.Optimizer, train: Settings, steps: int
) -> lr_scheduler.LRScheduler:
    """The schedule over all ``steps`` optimiser steps of a run; step it after each of them."""
    return SCHEDULES[train.schedule](optimizer, steps)
