"""What a run starts from and what changes while it trains: kept in a checkpoint, taken up again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmark.config import CellConfig
from benchmark.health import WatchedLoss
from benchmark.models import MODELS
from benchmark.optimization import make_optimizer, make_schedule
from benchmark.seeding import stream_seed
from benchmark.store import RunFolder, write_atomically
from benchmark.tasks import TASKS, Task
from losses import get as get_loss


@dataclass
class State:
    """All that changes while a run trains, besides the history file."""

    task: Task
    loss: WatchedLoss
    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    scaler: torch.amp.GradScaler
    epoch: int = 0
    train_seconds: float = 0.0
    seconds: float = 0.0

    def save(self, folder: RunFolder) -> None:
        content = {
            "loss": self.task.loss.state_dict(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "counters": {
                "epoch": self.epoch,
                "train_seconds": self.train_seconds,
                "seconds": self.seconds,
            },
        }
        write_atomically(folder.checkpoint, lambda path: torch.save(content, path))

    def restore(self, content: dict[str, Any]) -> None:
        """Take up what :meth:`save` wrote."""
        self.task.loss.load_state_dict(content["loss"])
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.schedule.load_state_dict(content["schedule"])
        self.scaler.load_state_dict(content["scaler"])
        for name, value in content["counters"].items():
            setattr(self, name, value)


def make_task(cell: CellConfig, classes: list[str]) -> Task:
    """The cell's task with its loss."""
    loss = get_loss(cell.loss.name, **cell.loss.options)
    return TASKS[cell.task](loss, cell.loss.weight, classes)


def build_model(cell: CellConfig, num_classes: int, device: torch.device) -> nn.Module:
    """The cell's model with the weights that every loss of its repetition starts from."""
    torch.manual_seed(stream_seed(cell, "weights"))
    model = MODELS[cell.model.name](**cell.model.options).build(num_classes)
    return model.to(device).to(memory_format=torch.channels_last)


def resume_or_start(
    cell: CellConfig,
    folder: RunFolder,
    classes: list[str],
    steps_per_epoch: int,
    device: torch.device,
) -> State:
    """The state of the checkpoint; without a usable one, that before the first epoch."""

    def fresh() -> State:
        train = cell.train
        task = make_task(cell, classes)
        task.loss = loss = WatchedLoss(task.loss, task.without_gradient)
        model = build_model(cell, len(classes), device)
        optimizer = make_optimizer(model, train)
        schedule = make_schedule(optimizer, train, train.epochs * steps_per_epoch)
        scaled = train.amp and amp_type(device) == torch.float16
        scaler = torch.amp.GradScaler(device.type, enabled=scaled)
        return State(task, loss, model, optimizer, schedule, scaler)

    state = fresh()
    if folder.checkpoint.exists():
        try:
            state.restore(torch.load(folder.checkpoint, map_location=device, weights_only=True))
        except Exception as error:
            # Cut short, or of other code: training again from the start gives the same numbers.
            print(f"{folder.checkpoint} cannot be used ({error}); starting from epoch 1")
            folder.checkpoint.unlink()
            return fresh()
    return state


def amp_type(device: torch.device) -> torch.dtype:
    """bfloat16 where the device has it, since it needs no loss scaling; else float16."""
    if device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return torch.float16
    return torch.bfloat16
